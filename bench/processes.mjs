// The contenders, each in a process of its own that is asked with one JSON text per line and answers each with one line.
import { execFile, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Python with its `cryptography` package, as the system has it. */
export const python = "/usr/bin/python3";
const here = (path) => resolve(fileURLToPath(new URL(".", import.meta.url)), path);

/** `node:pieces` is a way of `node`; `native@FOLDER` is the package that was built there. */
export function partsOf(contender) {
  const [, name, variant, folder] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(contender);
  return { name, variant, folder };
}

export class LineProcess {
  #name;
  #child;
  #waiting = [];
  #errors = "";
  #closed;

  /**
   * @param {string} name for messages
   * @param {string} script Node's, or Python's; in this folder unless it has a path of its own
   * @param {Record<string, string>} environment on top of this process's
   */
  constructor(name, script, args = [], environment = {}) {
    this.#name = name;
    const program = script.endsWith(".py") ? python : process.execPath;
    this.#child = spawn(program, [here(script), ...args], { env: { ...process.env, ...environment } });
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

  /** Its next line. */
  next() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) this.#fail("has ended");
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

/** `contender.mjs`, or `python.py`, which speaks the same. */
export class ContenderProcess extends LineProcess {
  /** @param {string} contender e.g. `native`, `node:pieces`; another build is asked by its own folder's script, which speaks the same */
  constructor(contender) {
    const { name, variant, folder = ".." } = partsOf(contender);
    super(contender, ...(name === "python" ? ["contenders/python.py"] : [`${folder}/bench/contender.mjs`, [name]]));
    this.contender = contender;
    this.variant = variant;
  }
}

/** A command's standard output; undefined where there is no such command. */
export async function output(command, args) {
  try {
    return (await promisify(execFile)(command, args)).stdout;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

const speed = (...options) => output("openssl", ["speed", "-mr", "-elapsed", "-seconds", ...options]);
/** `+F2:<n>:4096:<signatures a second>:<verifications a second>`, with -multi after those of the processes. */
const signatures = (text) => Number(/^\+F2:\d+:4096:([\d.e+-]+):/m.exec(text)[1]);

/** CPU milliseconds of one RSA-4096 private operation, with one process for each core at work for `seconds`. */
export async function rsaOnAllCores(seconds) {
  const cores = availableParallelism();
  return (1000 * cores) / signatures(await speed(String(seconds), "-multi", String(cores), "rsa4096"));
}

/** Milliseconds of one operation over a second of them, by the clock on the wall. */
const commands = {
  rsa: async () => 1000 / signatures(await speed("1", "rsa4096")),
  async aes({ size }) {
    // `+F:<n>:<cipher>:<bytes a second>`
    const text = await speed("1", "-bytes", String(size), "-evp", "aes-256-gcm");
    return (size / Number(/^\+F:\d+:[^:]+:([\d.e+-]+)/m.exec(text)[1])) * 1000;
  },
  async keygen() {
    const begin = performance.now();
    await output("openssl", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -quiet -out /dev/null".split(" "));
    return performance.now() - begin;
  },
};

/** The command `openssl` in the place of a contender's process: each turn is one run of it. */
export class OpensslContender {
  contender = "openssl";
  #item;

  async ask(command) {
    if (command.do === "prepare") this.#item = command;
    return command.do === "round" ? { samples: [await commands[this.#item.kind](this.#item)], baseline: [] } : {};
  }

  async end() {
    // Its processes end by themselves.
  }
}
