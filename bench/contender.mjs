// contender.mjs NAME: one contender in a process of its own. Reads commands, one JSON text per line, answers each with one line:
//   {do: "prepare", kind, variant?, content?, size?, label?, pauseMs?, folder}  → {evidence}: what the measuring side checks before it times
//   {do: "warm", milliseconds} → {}
//   {do: "round", milliseconds, samples?} → {samples, baseline}: milliseconds of single runs; baseline: of the same on a 2-byte request
//   {do: "stall", milliseconds} → how long the JavaScript thread is kept from its work meanwhile
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { chatRequest } from "../dist/bench/payload.js";
import { Sampler } from "../dist/bench/sampler.js";

const name = process.argv[2];
const contender = name === "idle" ? undefined : await import(`./contenders/${name}.mjs`);
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Each kind: what is timed, what is timed beside it, and the evidence that the result is right. */
const kinds = {
  async seal({ content, size, variant, folder }) {
    const key = await contender.publicKey(readFileSync(`${folder}/public.pem`, "utf8"));
    const request = chatRequest(content, size);
    const seal = contender.sealer?.(variant) ?? contender.seal;
    const file = `${folder}/sealed-${name}-${variant}.json`;
    return {
      operation: () => seal(key, request),
      baseline: () => seal(key, {}),
      evidence: async () => writeFileSync(file, await seal(key, request)) ?? { file },
    };
  },
  async open({ content, size, variant, folder }) {
    const key = await contender.privateKey(readFileSync(`${folder}/private.pem`, "utf8"));
    const read = contender.readPackage ?? readFileSync;
    const body = read(`${folder}/package-${content}-${size}.json`);
    const smallest = read(`${folder}/package-smallest.json`);
    const open = contender.opener?.(variant) ?? contender.open;
    return {
      operation: () => open(key, body),
      baseline: () => open(key, smallest),
      evidence: async () => ({ sha256: sha256(JSON.stringify(await open(key, body))) }),
    };
  },
  async rsa({ folder }) {
    const key = await contender.privateKey(readFileSync(`${folder}/private.pem`, "utf8"));
    const body = readFileSync(`${folder}/package-smallest.json`);
    const operation = contender.privateOperation(key, body, Buffer.from(JSON.parse(body).encrypted_aes_key, "base64"));
    // A key, or, where no key comes out, the opened value.
    const evidence = async () => {
      const result = await operation();
      return ArrayBuffer.isView(result) || result instanceof ArrayBuffer
        ? { key: Buffer.from(result).toString("hex") }
        : { value: result };
    };
    return { operation, evidence };
  },
  keygen() {
    return {
      operation: contender.generate,
      evidence: async () => {
        const { pem, open } = await contender.generated();
        const body = await contender.seal(await contender.publicKey(pem), { text: "x" });
        return { pem, opens: sha256(JSON.stringify(await open(body))) };
      },
    };
  },
  async aes({ size }) {
    const [key, nonce, plain] = [32, 12, size].map((bytes) => randomBytes(bytes));
    const operation = await contender.encryption(key, nonce, plain);
    const hex = { key: key.toString("hex"), nonce: nonce.toString("hex"), plain: sha256(plain) };
    return {
      operation,
      evidence: async () => {
        const parts = [await operation()].flat().map((part) => Buffer.from(part));
        return { ...hex, sealed: Buffer.concat(parts).toString("base64") };
      },
    };
  },
  base64({ size }) {
    const operation = contender.encoding(Buffer.alloc(size, "nomyo"));
    return { operation, evidence: () => ({ sha256: sha256(operation()) }) };
  },
  attestation({ label, folder }) {
    const read = (kind) => JSON.parse(readFileSync(`${folder}/${kind}-${label}.json`, "utf8"));
    const { holds, statement, forged } = contender.attestation(read);
    return {
      operation: () => holds(statement),
      evidence: async () => ({ valid: await holds(statement), forged: await holds(forged) }),
    };
  },
  stall: (command) => (contender === undefined ? { evidence: () => ({}) } : kinds.rsa(command)),
};

/**
 * Keeps twice as many operations in flight as there are cores; gives the delays of a 1 ms timer in milliseconds beyond that millisecond.
 * Without an operation: an idle process, the machine's own noise.
 */
async function stall(operation, milliseconds) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  let completed = 0;
  // Warm first: on a slow machine these alone could take all the time.
  if (operation !== undefined) for (let i = 0; i < 3; i++) await operation();
  const end = performance.now() + milliseconds;
  const loop = async () => {
    while (performance.now() < end) {
      await operation();
      completed++;
      // Timers get their turn between operations that never leave the thread.
      await new Promise(setImmediate);
    }
  };
  delays.enable();
  if (operation === undefined) await new Promise((resolve) => setTimeout(resolve, milliseconds));
  else await Promise.all(Array.from({ length: 2 * availableParallelism() }, loop));
  delays.disable();
  const beyond = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 1);
  const [median, p99, p999] = [50, 99, 99.9].map((percent) => beyond(delays.percentile(percent)));
  return { completed, median, p99, p999, max: beyond(delays.max) };
}

let job;
let samplers = [];
const commands = {
  async prepare(command) {
    if (kinds[command.kind] === undefined) throw new Error(`does not do ${command.kind}`);
    job = await kinds[command.kind](command);
    samplers = [job.operation, job.baseline].map((operation) => operation && new Sampler(operation, command.pauseMs));
    return { evidence: await job.evidence() };
  },
  async warm({ milliseconds }) {
    for (const sampler of samplers) await sampler?.warmUp(milliseconds);
    return {};
  },
  async round({ milliseconds, samples }) {
    const [main, baseline] = samplers;
    const own = await main.round(milliseconds, samples);
    return { samples: own, baseline: (await baseline?.round(milliseconds / 4)) ?? [] };
  },
  stall: ({ milliseconds }) => stall(job.operation, milliseconds),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: error.stack ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
