// Other programs: those that are asked line by line, and those that run once. Every contender is one of them, and is
// asked alike.
import { execFile, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Python with its `cryptography` package, as the system has it. */
export const python = "/usr/bin/python3";
export const root = fileURLToPath(new URL("..", import.meta.url));
const here = (path) => resolve(root, "bench", path);

/** `node:pieces` is a way of `node`; `native@FOLDER` is the package that was built there. */
export function partsOf(contender) {
  const [, name, variant, folder = root] = /^([^:@]+)(?::([^@]+))?(?:@(.+))?$/.exec(contender);
  return { name, variant, folder };
}

/**
 * The side of a child that is asked: answers each line of standard input, a JSON text, with one line, until there are
 * no more.
 */
export async function answerLines(answer) {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    const said = await Promise.resolve(command)
      .then(answer)
      .catch((error) => ({ error: error.stack ?? String(error) }));
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
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

async function milliseconds(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

const speed = (...options) => output("openssl", ["speed", "-mr", "-elapsed", "-seconds", "1", ...options]);
const perSecond = (text, form) => Number(form.exec(text)[1]);
/**
 * `+F2:<n>:<bits>:<signatures a second>:<verifications a second>`, of elliptic curves `+F4`; with -multi after those of
 * the processes.
 */
const signatures = /^\+F2:\d+:4096:([\d.e+-]+):/m;
const verifications = /^\+F[24]:\d+:\d+:[\d.e+-]+:([\d.e+-]+)/m;
const verified = { rsa2048: "rsa2048", "ecc-p256": "ecdsap256", "ecc-p384": "ecdsap384" };
const rsa = async () => 1000 / perSecond(await speed("rsa4096"), signatures);

/**
 * Milliseconds of one operation over a second of them, by the clock on the wall; under load of a core's time, all at
 * work.
 */
const opensslJobs = {
  ...{ rsa, open: rsa },
  async router() {
    const cores = availableParallelism();
    return (1000 * cores) / perSecond(await speed("-multi", String(cores), "rsa4096"), signatures);
  },
  async aes({ size }) {
    // `+F:<n>:<cipher>:<bytes a second>`
    const text = await speed("-bytes", String(size), "-evp", "aes-256-gcm");
    return (size / perSecond(text, /^\+F:\d+:[^:]+:([\d.e+-]+)/m)) * 1000;
  },
  attestation: async ({ label }) => 1000 / perSecond(await speed(verified[label]), verifications),
  keygen: () =>
    milliseconds(() =>
      output("openssl", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -quiet -out /dev/null".split(" ")),
    ),
};

/** From nothing to a client, in a fresh process. Both names resolve as they do for users. */
const starts = {
  native: `
    const begin = performance.now();
    const { SecureChatCompletion } = await import("nomyo-native");
    const imported = performance.now();
    const client = new SecureChatCompletion({ apiKey: null });
    const constructed = performance.now();
    const ready = process.argv[1] === "ready" ? await client.ready().then(() => performance.now() - begin) : undefined;
    console.log(JSON.stringify({ import: imported - begin, construct: constructed - imported, ready }));
    await client.close();`,
  openai: `
    const begin = performance.now();
    const { default: OpenAI } = await import("openai");
    const imported = performance.now();
    new OpenAI({ apiKey: "none" });
    console.log(JSON.stringify({ import: imported - begin, construct: performance.now() - imported }));`,
};

/** Each turn three processes, and one more for `--version`. */
async function start({ name, folder }) {
  const node = (...args) => output(process.execPath, args, { cwd: folder });
  const one = async (until) => JSON.parse(await node("--input-type=module", "--eval", starts[name], "--", until));
  // A key takes seconds: one of them waits for it.
  const all = [await one("none"), await one("none"), await one("ready")];
  const middle = (figure) => all.map((each) => each[figure]).sort((a, b) => a - b)[1];
  const version = name === "native" && (await milliseconds(() => node("dist/cli/main.js", "--version")));
  return {
    samples: all.map((each) => each.import),
    construct: middle("construct"),
    ...(name === "native" && { ready: all[2].ready, version }),
  };
}

/** Programs that run anew for each turn, in the place of a contender's process. */
class Runs {
  #item;
  #turn;

  constructor(turn) {
    this.#turn = turn;
  }

  async ask(command) {
    if (command.do === "prepare") this.#item = command;
    return command.do === "round" ? await this.#turn(this.#item) : {};
  }

  async end() {
    // Its processes end by themselves.
  }
}

/** The contender of a case, ready to be asked: `prepare`, `warm`, `round`. */
export function contenderProcess(contender, kind) {
  const { name, folder } = partsOf(contender);
  if (kind === "start") return new Runs(() => start({ name, folder }));
  if (name === "openssl") return new Runs(async (item) => ({ samples: [await opensslJobs[kind](item)] }));
  if (name === "python") return new LineProcess(contender, "contenders/python.py");
  return new LineProcess(contender, "contender.mjs", [name, folder]);
}
