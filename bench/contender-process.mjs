// The measuring side of a contender's process: one JSON text per line each way. `contender.mjs` and `cryptography.py` are the other side.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Python with its `cryptography` package, as the system has it. */
export const python = "/usr/bin/python3";

export class ContenderProcess {
  #child;
  #waiting = [];
  #errors = "";

  /** @param {string} contender e.g. `native`, `node:pieces` */
  constructor(contender) {
    const [name, variant] = contender.split(":");
    this.contender = contender;
    const command = name === "cryptography" ? [python, here("contenders/cryptography.py")] : [process.execPath, here("contender.mjs"), name];
    this.#child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
    this.variant = variant;
    this.#child.stderr.on("data", (data) => (this.#errors = (this.#errors + data).slice(-4000)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const { resolve, reject } = this.#waiting.shift();
      const answer = JSON.parse(line);
      if (answer.error === undefined) resolve(answer);
      else reject(new Error(`${contender}: ${answer.error}`));
    });
    const fail = (why) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${contender}: ${why}\n${this.#errors}`));
    };
    this.#child.on("error", (error) => fail(error.message));
    this.#child.on("close", (code, signal) => fail(`ended with ${signal ?? `code ${code}`}`));
    // A process that died is reported by `close`.
    this.#child.stdin.on("error", () => undefined);
  }

  /** Sends one command and gives its answer. */
  ask(command) {
    return new Promise((resolve, reject) => {
      if (this.#child.exitCode !== null) {
        reject(new Error(`${this.contender}: has ended\n${this.#errors}`));
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    });
  }

  /** Lets it end, and waits for that. */
  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await closed;
    clearTimeout(timer);
  }
}
