/**
 * Any Node program, started so that everything can be had of it from outside: its memory, a diagnostic report, a heap
 * snapshot, and at the end a core dump. Linux only. The programs need not know of it; memory-scan.ts shows the use.
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { dumpCore, dumpsCore } from "./core-dump.js";
import { compiledScanner, scanCore, scanFiles, scanProcess } from "./memory-scan.js";
import type { CoreScan, Patterns, ProcessScan } from "./memory-scan.js";
import type { Circumstances, Exit } from "./subject.js";

/** Signals that no program here uses otherwise. */
const reportSignal = "SIGUSR2";
const snapshotSignal = "SIGPWR";

/**
 * What a process must have in its environment so that it writes a diagnostic report and a heap snapshot into `folder`
 * when it is asked.
 */
export const writesReports = (folder: string): NodeJS.ProcessEnv => ({
  NODE_OPTIONS:
    `--report-on-signal --report-signal=${reportSignal} --report-directory=${folder} ` +
    `--heapsnapshot-signal=${snapshotSignal} --diagnostic-dir=${folder}`,
});

const isComplete = (file: string): boolean => {
  // Reading all of it each time would take longer than writing it.
  const { size } = statSync(file);
  const end = Buffer.alloc(Math.min(2, size));
  const descriptor = openSync(file, "r");
  readSync(descriptor, end, 0, end.length, size - end.length);
  closeSync(descriptor);
  if (!end.includes("}")) return false;
  try {
    JSON.parse(readFileSync(file, "utf8"));
    return true;
  } catch {
    return false;
  }
};

/** Whether a process has come so far as to catch both signals: before, they would end it. Throws when it has ended. */
function catchesBoth(pid: number): boolean {
  const caught = BigInt(`0x${/^SigCgt:\s+(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]!}`);
  const signals = [reportSignal, snapshotSignal] as const;
  return signals.every((name) => ((caught >> BigInt(constants.signals[name] - 1)) & 1n) === 1n);
}

/**
 * Makes a process that was started with `writesReports(folder)` write both, and returns the new files when they are
 * complete. Its JavaScript thread must come back to its event loop: both are written there.
 */
export async function askForReports(pid: number, folder: string): Promise<string[]> {
  const before = new Set(readdirSync(folder));
  const made: string[] = [];
  while (!catchesBoth(pid)) await sleep(20);
  for (const [signal, suffix] of [
    [reportSignal, ".json"],
    [snapshotSignal, ".heapsnapshot"],
  ] as const) {
    process.kill(pid, signal);
    for (;;) {
      const file = readdirSync(folder).find((name) => name.endsWith(suffix) && !before.has(name));
      if (file !== undefined && isComplete(join(folder, file))) {
        made.push(join(folder, file));
        break;
      }
      // Throws when the process has ended: then there is nothing to wait for.
      process.kill(pid, 0);
      await sleep(20);
    }
  }
  return made;
}

export class WatchedProcess {
  /** Settles when the process has ended. */
  readonly exit: Promise<Exit>;
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #folder: string;
  #output = "";

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, folder: string) {
    this.child = child;
    this.#folder = folder;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (part: Buffer) => (this.#output += part.toString()));
    }
    this.exit = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  }

  /**
   * Starts `node ARGUMENTS`. Resolves at once: that the program is where it should be is the test's to see ({@link
   * until}). Its working directory is a temporary folder; {@link end} removes it.
   */
  static start(
    args: readonly string[],
    options: { readonly circumstances?: Circumstances; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<WatchedProcess> {
    // Before the program waits for anything: it may have limits on that.
    compiledScanner();
    const folder = mkdtempSync(join(tmpdir(), "nomyo-watched-"));
    for (const name of ["core", "reports"]) mkdirSync(join(folder, name), { mode: 0o777 });
    // prlimit and the like replace themselves with the program, so the child's pid is its pid.
    const [command, ...rest] = [...dumpsCore, ...(options.circumstances ?? []), process.execPath, ...args];
    const child = spawn(command!, rest, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ...options.env, ...writesReports(join(folder, "reports")) },
      cwd: join(folder, "core"),
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("spawn", () => resolve(new WatchedProcess(child, folder)));
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Standard output and standard error so far. */
  get output(): string {
    return this.#output;
  }

  /** Waits until the output matches. Rejects when the process ends before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      const ended = await Promise.race([this.exit, sleep(10)]);
      if (ended !== undefined && !pattern.test(this.#output)) {
        throw new Error(`the process ended (${ended.code ?? ended.signal}): ${this.#output}`);
      }
    }
  }

  /**
   * Waits until its event loop waits for its standard output to take more (full-output.py). Rejects when the process
   * ends before.
   */
  async waitsForOutput(): Promise<void> {
    const folder = `/proc/${this.pid}/fdinfo`;
    // What an epoll instance watches, one line for each descriptor: 4 is EPOLLOUT.
    const watches = (info: string) =>
      [...info.matchAll(/^tfd: +(\d+) events: +([0-9a-f]+)/gm)].some(
        ([, fd, events]) => fd === "1" && (parseInt(events!, 16) & 4) !== 0,
      );
    for (;;) {
      const ended = await Promise.race([this.exit, sleep(10)]);
      if (ended !== undefined) throw new Error(`the process ended (${ended.code ?? ended.signal}): ${this.#output}`);
      for (const fd of readdirSync(folder)) {
        try {
          if (watches(readFileSync(join(folder, fd), "utf8"))) return;
        } catch (error) {
          // Closed since.
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        }
      }
    }
  }

  /**
   * Searches its memory, then a diagnostic report and a heap snapshot, which are made after, since making them copies
   * strings. With `reports: false` its memory alone: for a moment at which its event loop stands still.
   */
  async scan(patterns: Patterns, { reports = true } = {}): Promise<ProcessScan> {
    const memory = await scanProcess(this.pid, patterns);
    if (!reports) return memory;
    const files = await askForReports(this.pid, join(this.#folder, "reports"));
    const written = await scanFiles(files, patterns);
    for (const file of files) rmSync(file);
    return { ...memory, hits: [...memory.hits, ...written.hits] };
  }

  /** Ends it with a core dump and searches that: memory, and the registers of all threads. */
  async dump(patterns: Patterns): Promise<CoreScan> {
    return await scanCore(await dumpCore(this, join(this.#folder, "core")), patterns);
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    this.child.kill(signal);
    return await this.exit;
  }

  /** Ends it and removes what it wrote. */
  async end(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
