/** Runs the `nomyo-native` command: within the test, with streams of its own, or built and as a process. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { main } from "../../lib/cli/main.js";
import { Output } from "../../lib/cli/output.js";
import { tooMuch, withoutLineEnd } from "../../lib/cli/secret-input.js";
import type { LineOptions, SecretInput } from "../../lib/cli/secret-input.js";
import type { Streams } from "../../lib/cli/streams.js";
import { SecureBuffer } from "../../lib/memory/secure-buffer.js";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Terminal {
  /** Waits until stdout shows this after what was waited for before, then types a line. */
  readonly answer: (shown: string, line: string) => void;
}

/**
 * Input that a test has in memory: what a command does with it is what is tested, not how it is read
 * (test/integration/cli).
 */
export class TestInput implements SecretInput {
  readonly isTTY: boolean;
  #typed: string[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(private readonly whole: string | Buffer | undefined) {
    this.isTTY = whole === undefined;
  }

  type(line: string): void {
    if (line === "\u0004") this.#ended = true;
    else if (line === "\u0003") process.emit("SIGINT", "SIGINT");
    else this.#typed.push(line);
    this.#wake();
  }

  all(maxBytes: number): Promise<SecureBuffer> {
    const bytes = Buffer.from(this.whole ?? "");
    if (bytes.length > maxBytes) return Promise.reject(tooMuch(maxBytes));
    return Promise.resolve(SecureBuffer.from(bytes));
  }

  async line(
    locking: "required" | "preferred" | "off",
    { signal, ask }: LineOptions,
  ): Promise<SecureBuffer | undefined> {
    await ask?.();
    for (;;) {
      if (signal?.aborted === true) return undefined;
      const line = this.#typed.shift();
      if (line !== undefined) return withoutLineEnd(SecureBuffer.from(line, locking));
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }
}

/** What a command gets of its surroundings, in memory, and what it has written so far. */
export interface TestStreams extends Streams {
  readonly input: TestInput;
  readonly text: { stdout: string; stderr: string; both: string };
}

export function testStreams({
  input,
  terminal = false,
  env = {},
  onText = () => undefined,
}: {
  /** All of stdin; undefined: a terminal. */
  readonly input?: string | Buffer | undefined;
  /** Whether stdout and stderr are a terminal. */
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly onText?: () => void;
} = {}): TestStreams {
  const text = { stdout: "", stderr: "", both: "" };
  const collect = (name: "stdout" | "stderr") => {
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        // At once: the bytes may be the pool's, and gone after the callback.
        text[name] += chunk.toString();
        text.both += chunk.toString();
        onText();
        done();
      },
    });
    return new Output(Object.assign(stream, { isTTY: terminal, columns: 80 }));
  };
  return { input: new TestInput(input), stdout: collect("stdout"), stderr: collect("stderr"), env, text };
}

/** `input`: all of stdin, or a function that acts at a terminal. */
export async function runCommand(
  args: readonly string[],
  {
    env = {},
    input = "",
    terminal = false,
  }: {
    env?: Record<string, string>;
    input?: string | Buffer | ((terminal: Terminal) => void);
    terminal?: boolean;
  } = {},
): Promise<Outcome> {
  const waiting: { shown: string; line: string }[] = [];
  let seen = 0;
  const act = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const at = streams.text.both.indexOf(next.shown, seen);
      if (at < 0) return;
      seen = at + next.shown.length;
      waiting.shift();
      // Later, as a person would: not in the middle of what is being written.
      const { line } = next;
      setTimeout(() => streams.input.type(line), 20);
    }
  };
  const whole = typeof input === "function" ? undefined : input;
  const streams = testStreams({ input: whole, terminal, env, onText: act });
  if (typeof input === "function") input({ answer: (shown, line) => waiting.push({ shown, line }) });
  const code = await main(args, streams);
  return { code, stdout: streams.text.stdout, stderr: streams.text.stderr };
}

export interface CommandProcess {
  readonly child: ChildProcess;
  /** The first line of stdout; rejects when the process ends without one. */
  readonly firstLine: Promise<string>;
  /** Everything so far. */
  readonly output: { stdout: string; stderr: string };
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

const built = join(__dirname, "..", "..", "dist", "cli", "main.js");

/** Starts the built command; the test ends it by `child.kill()`. */
export function startCommand(args: readonly string[], env: Record<string, string> = {}): CommandProcess {
  if (!existsSync(built)) throw new Error("The command is not built: run scripts/build first.");
  const child = spawn(process.execPath, [built, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.on("data", () => {
      const end = output.stdout.indexOf("\n");
      if (end >= 0) resolve(output.stdout.slice(0, end));
    });
    void ended.then((code) => reject(new Error(`the command ended with ${code}: ${output.stderr}`)));
  });
  firstLine.catch(() => undefined);
  return { child, firstLine, output, ended };
}
