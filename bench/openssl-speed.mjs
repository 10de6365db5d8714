// The `openssl speed` command: what the library does without anything around it.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";

/** Runs `openssl` and gives its standard output; undefined where there is no such command. */
export function openssl(args) {
  return new Promise((resolve, reject) => {
    const child = spawn("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", (error) => (error.code === "ENOENT" ? resolve(undefined) : reject(error)));
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`openssl ${args.join(" ")}: ${errors.slice(-500)}`));
    });
  });
}

/**
 * CPU milliseconds of one RSA-4096 private operation, with one process for each core at work for `seconds`; undefined without the
 * command. One line tells the sum: `+F2:<n>:4096:<signatures a second>:<verifications a second>`, after those of the processes.
 */
export async function rsaOnAllCores(seconds) {
  const cores = availableParallelism();
  const time = ["-elapsed", "-seconds", String(seconds)];
  const output = await openssl(["speed", "-mr", ...time, "-multi", String(cores), "rsa4096"]);
  return output && (1000 * cores) / Number(/^\+F2:\d+:4096:([\d.e+-]+):/m.exec(output)[1]);
}

/** Milliseconds of one operation over a second of them, by the clock on the wall; undefined without the command. */
const measurements = {
  /** `+F2:<n>:4096:<signatures a second>:<verifications a second>` */
  async rsa() {
    const output = await openssl(["speed", "-mr", "-elapsed", "-seconds", "1", "rsa4096"]);
    return output && 1000 / Number(/^\+F2:\d+:4096:([\d.e+-]+):/m.exec(output)[1]);
  },
  /** `+F:<n>:<cipher>:<bytes a second>` */
  async aes({ size }) {
    const bytes = String(size);
    const output = await openssl(["speed", "-mr", "-elapsed", "-seconds", "1", "-bytes", bytes, "-evp", "aes-256-gcm"]);
    return output && (size / Number(/^\+F:\d+:[^:]+:([\d.e+-]+)/m.exec(output)[1])) * 1000;
  },
  async keygen() {
    const begin = performance.now();
    const options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-quiet", "-out", "/dev/null"];
    const output = await openssl(["genpkey", ...options]);
    return output === undefined ? undefined : performance.now() - begin;
  },
};

/** The command in the place of a contender process: each turn is one run of it. */
export class OpensslContender {
  contender = "openssl";
  #item;

  async ask(command) {
    if (command.do === "prepare") this.#item = command;
    return command.do === "round" ? { samples: [await measurements[this.#item.kind](this.#item)], baseline: [] } : {};
  }

  async end() {
    // Its processes end by themselves.
  }
}
