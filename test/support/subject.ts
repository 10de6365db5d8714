/** A child process that a test watches from outside: a plain script that runs the built package and answers calls. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";

/** What is put before `node SCRIPT` on the command line, to change the circumstances of the process. */
export type Circumstances = readonly string[];

/** No memfd_secret(2): locked memory is private memory with mlock(2). */
export const withoutMemfdSecret: Circumstances = [
  "/usr/bin/python3",
  join(__dirname, "with-system-calls.py"),
  "memfd_secret=ENOSYS",
];

/**
 * An account without privileges or capabilities, and what it may lock in bytes (soft and hard limit): for root another
 * account, for any other itself.
 */
export const unprivileged = (lockLimit: number): Circumstances => [
  ...["prlimit", `--memlock=${lockLimit}:${lockLimit}`, "--", "setpriv", "--no-new-privs"],
  ...(process.getuid?.() === 0 ? ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"] : []),
  "--",
];

/** How a process ended: `code` or `signal`. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Reply {
  readonly ready?: true;
  readonly id?: number;
  readonly value?: unknown;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string };
}

export class Subject {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #calls = 0;
  #output = "";
  /** Settles when the process has ended. */
  readonly exit: Promise<Exit>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (part: Buffer) => (this.#output += part.toString()));
    }
    this.exit = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        resolve({ code, signal });
        const error = new Error(`the subject ended (${code ?? signal}): ${this.#output}`);
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      });
    });
    child.on("message", ({ id, value, error }: Reply) => {
      const waiting = this.#waiting.get(id!);
      this.#waiting.delete(id!);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(Object.assign(new Error(error.message), error));
    });
  }

  /** Starts `script`, which calls answer-calls.cjs, and waits until it is ready. */
  static async start(
    script: string,
    options: {
      readonly circumstances?: Circumstances;
      readonly args?: readonly string[];
      readonly env?: NodeJS.ProcessEnv;
      readonly cwd?: string;
      /** The Node that runs it; by default the one that runs the tests. */
      readonly node?: string;
    } = {},
  ): Promise<Subject> {
    const node = options.node ?? process.execPath;
    const [command, ...rest] = [...(options.circumstances ?? []), node, script, ...(options.args ?? [])];
    const child = spawn(command!, rest, {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { PATH: process.env["PATH"], ...options.env },
      cwd: options.cwd,
    });
    const subject = new Subject(child);
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("error", reject);
      void subject.exit.then(({ code, signal }) =>
        reject(new Error(`the subject did not start (${code ?? signal}): ${subject.#output}`)),
      );
    });
    return subject;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What it has written so far. */
  get output(): string {
    return this.#output;
  }

  /** Calls a function of the script. Arguments and results travel as JSON. */
  async call<T = unknown>(name: string, ...args: unknown[]): Promise<T> {
    const id = ++this.#calls;
    const reply = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#child.send({ id, name, args });
    return (await reply) as T;
  }

  /** Sends a signal and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    this.#child.kill(signal);
    return this.exit;
  }
}
