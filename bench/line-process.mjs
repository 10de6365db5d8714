// A process that is asked with one JSON text per line and answers each with one line.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Python with its `cryptography` package, as the system has it. */
export const python = "/usr/bin/python3";

export class LineProcess {
  #name;
  #child;
  #waiting = [];
  #errors = "";
  #closed;

  /**
   * @param {string} name for messages
   * @param {string[]} command
   * @param {Record<string, string>} environment on top of this process's
   */
  constructor(name, command, environment = {}) {
    this.#name = name;
    this.#child = spawn(command[0], command.slice(1), {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stderr.on("data", (data) => (this.#errors = (this.#errors + data).slice(-4000)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#answer(JSON.parse(line)));
    this.#child.on("error", (error) => this.#fail(error.message));
    this.#closed = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => {
        this.#fail(`ended with ${signal ?? `code ${code}`}`);
        resolve();
      });
    });
    // A process that died is reported by `close`.
    this.#child.stdin.on("error", () => undefined);
  }

  #answer(answer) {
    const { resolve, reject } = this.#waiting.shift();
    if (answer.error === undefined) resolve(answer);
    else reject(new Error(`${this.#name}: ${answer.error}`));
  }

  #fail(why) {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${this.#name}: ${why}\n${this.#errors}`));
  }

  get #ended() {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Its next line. */
  next() {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(new Error(`${this.#name}: has ended\n${this.#errors}`));
      else this.#waiting.push({ resolve, reject });
    });
  }

  /** Sends one command and gives its answer. */
  ask(command) {
    const answer = this.next();
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    return answer;
  }

  /** Lets it end, and waits for that. */
  async end() {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await this.#closed;
    clearTimeout(timer);
  }
}

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A script of this folder, run by the Node that runs this. */
export const nodeScript = (path, ...args) => [process.execPath, here(path), ...args];

/** A contender's process: `contender.mjs`, or `python.py`, which speaks the same. */
export class ContenderProcess extends LineProcess {
  /** @param {string} contender e.g. `native`, `node:pieces` */
  constructor(contender) {
    const [name, variant] = contender.split(":");
    super(contender, name === "python" ? [python, here("contenders/python.py")] : nodeScript("contender.mjs", name));
    this.contender = contender;
    this.variant = variant;
  }
}
