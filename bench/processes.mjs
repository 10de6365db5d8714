// Other programs: those that are asked line by line, which every contender is, and those that run once.
import { execFile, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Python with its `cryptography` package, as the system has it. */
export const python = "/usr/bin/python3";
export const root = fileURLToPath(new URL("..", import.meta.url));

/** `node:pieces` is a way of `node`; `native@FOLDER` is the package that was built there. */
export function partsOf(contender) {
  const [, name, variant, folder = root] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(contender);
  return { name, variant, folder };
}

/**
 * The side of a child that is asked: answers each line of standard input, a JSON text, with one line, until there are
 * no more; then the process ends, whatever still listens or is kept alive.
 */
export async function answerLines(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    const said = await Promise.resolve(command)
      .then(answer)
      .catch((error) => ({ error: error.stack ?? String(error) }));
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
  process.exit(0);
}

/** A process that is asked with one JSON text per line and answers each with one line. */
export class LineProcess {
  #name;
  #child;
  #waiting = [];
  #errors = "";
  #closed;

  /**
   * @param {string} name for messages
   * @param {string} script Node's, or Python's, in this folder
   * @param {Record<string, string>} environment on top of this process's
   */
  constructor(name, script, args = [], environment = {}) {
    this.#name = name;
    const program = script.endsWith(".py") ? python : process.execPath;
    this.#child = spawn(program, [resolve(root, "bench", script), ...args], {
      env: { ...process.env, ...environment },
    });
    this.#child.stderr.on("data", (data) => (this.#errors = (this.#errors + data).slice(-4000)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#answer(JSON.parse(line)));
    this.#child.on("error", (error) => this.#fail(error.message));
    // A process that died is reported by `close`.
    this.#child.stdin.on("error", () => undefined);
    this.#closed = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => resolve(this.#fail(`ended with ${signal ?? `code ${code}`}`)));
    });
  }

  #answer(answer) {
    const { resolve, reject } = this.#waiting.shift();
    if (answer.error === undefined) resolve(answer);
    else reject(new Error(`${this.#name}: ${answer.error}`));
  }

  #fail(why) {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${this.#name}: ${why}\n${this.#errors}`));
  }

  /** Sends one command and gives its answer. */
  ask(command) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) this.#fail("has ended");
      else this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  /** Lets it end, and waits for that. */
  async end() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.#closed;
    clearTimeout(timer);
  }
}

/** A command's standard output; undefined where there is no such command. */
export async function output(command, args, options = {}) {
  try {
    return (await promisify(execFile)(command, args, options)).stdout;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Milliseconds by the clock on the wall. */
export async function timed(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
