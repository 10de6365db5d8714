/** Runs the `nomyo-native` command: within the test, with streams of its own, or built and as a process. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { main } from "../../lib/cli/main.js";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Terminal {
  /** Waits until stdout shows this after what was waited for before, then types a line. */
  readonly answer: (shown: string, line: string) => void;
}

/** `input`: all of stdin, or a function that acts at a terminal. */
export async function runCommand(
  args: readonly string[],
  {
    env = {},
    input = "",
  }: { env?: Record<string, string>; input?: string | Buffer | ((terminal: Terminal) => void) } = {},
): Promise<Outcome> {
  const stdin = Object.assign(new PassThrough(), { isTTY: typeof input === "function" });
  const stdout = Object.assign(new PassThrough(), { isTTY: false, columns: 80 });
  const stderr = Object.assign(new PassThrough(), { isTTY: false });
  const text = { stdout: "", stderr: "", both: "" };
  const waiting: { shown: string; line: string }[] = [];
  let seen = 0;
  const act = () => {
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      const at = text.both.indexOf(next.shown, seen);
      if (at < 0) return;
      seen = at + next.shown.length;
      waiting.shift();
      // Later, as a person would: not in the middle of what is being written.
      const { line } = next;
      setTimeout(() => stdin.write(line), 20);
    }
  };
  for (const name of ["stdout", "stderr"] as const) {
    (name === "stdout" ? stdout : stderr).on("data", (chunk: Buffer) => {
      text[name] += chunk.toString();
      text.both += chunk.toString();
      act();
    });
  }
  if (typeof input === "function") input({ answer: (shown, line) => waiting.push({ shown, line }) });
  else stdin.end(input);
  const code = await main(args, { stdin, stdout, stderr, env });
  await new Promise(setImmediate);
  return { code, stdout: text.stdout, stderr: text.stderr };
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
