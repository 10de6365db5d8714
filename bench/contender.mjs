// contender.mjs NAME FOLDER: one contender in a process of its own; FOLDER has the build of this package. Answers each
// line with one:
//   {do: "prepare", kind, variant?, content?, size?, label?, pauseMs?, folder}
//     → {evidence}: what the measuring side checks before it times
//   {do: "warm", milliseconds} → {}
//   {do: "round", milliseconds, samples?}
//     → {samples, …}: milliseconds of single runs; `fixed`: of the same on a 2-byte request; and figures
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { chatRequest } from "../dist/bench/payload.js";
import { Sampler } from "../dist/bench/sampler.js";
import { summarise } from "../dist/bench/statistics.js";
import { processStart } from "./process-start.mjs";
import { answerLines } from "./processes.mjs";

const [name, build] = process.argv.slice(2);
const file = new URL(`contenders/${name}.mjs`, import.meta.url);
/** What does nothing, copies or only starts has no file of its own. */
const contender = existsSync(file) ? await import(file) : undefined;
await contender?.load?.(build);
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** How long the JavaScript thread had something to do: what it waited for is not in it. */
const threadClock = { now: () => performance.eventLoopUtilization().active, sleep: () => undefined };

async function opening({ content, size, variant, folder }) {
  const key = await contender.privateKey(readFileSync(`${folder}/private.pem`, "utf8"));
  const read = contender.readPackage ?? readFileSync;
  const [body, smallest] = [`${content}-${size}`, "smallest"].map((which) => read(`${folder}/package-${which}.json`));
  const open = contender.opener?.(variant) ?? contender.open;
  return { key, body, smallest, open };
}

/** Each kind: what is timed, what is timed beside it, and the evidence that the result is right. */
const kinds = {
  async seal({ content, size, variant, folder }) {
    const key = await contender.publicKey(readFileSync(`${folder}/public.pem`, "utf8"));
    const request = chatRequest(content, size);
    const seal = contender.sealer?.(variant) ?? contender.seal;
    const file = `${folder}/sealed-${name}-${variant}.json`;
    return {
      operation: () => seal(key, request),
      fixed: () => seal(key, {}),
      evidence: async () => writeFileSync(file, await seal(key, request)) ?? { file },
    };
  },
  /** As `seal`, in time of the JavaScript thread; `copy`: the request's text, written out once. */
  async hold(command) {
    if (contender !== undefined) {
      const { operation, evidence } = await kinds.seal(command);
      return { operation, evidence, clock: threadClock };
    }
    const text = chatRequest(command.content, command.size).messages.at(-1).content;
    const out = Buffer.alloc(text.length);
    const operation = () => out.write(text, "latin1");
    return { operation, clock: threadClock, evidence: () => ({ right: operation() === text.length }) };
  },
  async open(command) {
    const { key, body, smallest, open } = await opening(command);
    return {
      operation: () => open(key, body),
      fixed: () => open(key, smallest),
      evidence: async () => ({ sha256: sha256(JSON.stringify(await open(key, body))) }),
    };
  },
  /** The most memory that the first opening of a process takes; the body, and what V8 makes of it, apart. */
  async memory(command) {
    const { key, body, smallest } = await opening(command);
    const status = readFileSync.bind(undefined, "/proc/self/status", "utf8");
    const bytesOf = (field) => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status())[1]);
    await contender.openOnly(key, smallest);
    // The mark of the most memory starts again at what there is now (Linux, proc(5)).
    writeFileSync("/proc/self/clear_refs", "5");
    const before = bytesOf("VmRSS");
    await contender.openOnly(key, body);
    const bytes = bytesOf("VmHWM") - before;
    return { round: () => ({ samples: [], bytes }), evidence: (await kinds.open(command)).evidence };
  },
  async rsa({ folder }) {
    const key = await contender.privateKey(readFileSync(`${folder}/private.pem`, "utf8"));
    const body = readFileSync(`${folder}/package-smallest.json`);
    const operation = contender.privateOperation(key, body, Buffer.from(JSON.parse(body).encrypted_aes_key, "base64"));
    // A key, or, where no key comes out, the opened value.
    const evidence = async () => {
      const result = await operation();
      const isKey = ArrayBuffer.isView(result) || result instanceof ArrayBuffer;
      return isKey ? { key: Buffer.from(result).toString("hex") } : { value: result };
    };
    return { operation, evidence };
  },
  keygen() {
    const evidence = async () => {
      const { pem, open } = await contender.generated();
      const body = await contender.seal(await contender.publicKey(pem), { text: "x" });
      return { pem, opens: sha256(JSON.stringify(await open(body))) };
    };
    return { operation: contender.generate, evidence };
  },
  async aes({ size }) {
    const [key, nonce, plain] = [32, 12, size].map((bytes) => randomBytes(bytes));
    const operation = await contender.encryption(key, nonce, plain);
    const evidence = async () => {
      const sealed = Buffer.concat([await operation()].flat().map((part) => Buffer.from(part))).toString("base64");
      return { key: key.toString("hex"), nonce: nonce.toString("hex"), plain: sha256(plain), sealed };
    };
    return { operation, evidence };
  },
  base64({ size }) {
    const operation = contender.encoding(Buffer.alloc(size, "nomyo"));
    return { operation, evidence: () => ({ sha256: sha256(operation()) }) };
  },
  attestation({ label, folder }) {
    const read = (kind) => JSON.parse(readFileSync(`${folder}/${kind}-${label}.json`, "utf8"));
    const { holds, statement, forged } = contender.attestation(read);
    const evidence = async () => ({ valid: await holds(statement), forged: await holds(forged) });
    return { operation: () => holds(statement), evidence };
  },
  quote: ({ label, tcti, folder }) => contender.quoting(label, tcti, folder),
  async stall(command) {
    const { operation, evidence } = contender === undefined ? {} : await kinds.rsa(command);
    return { round: ({ milliseconds }) => stall(operation, 5 * milliseconds), evidence };
  },
  start: () => ({ round: () => processStart(name, build) }),
};

/**
 * Keeps twice as many operations in flight as there are cores; gives the delays of a 1 ms timer in milliseconds beyond
 * that millisecond. Without an operation: an idle process, the machine's own noise.
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
  return { samples: [median], loop99: p99, loop999: p999, loopMax: beyond(delays.max), completed };
}

/** A job of `kinds`; or of a program that runs anew for each turn, and has nothing to show. */
const jobOf = async (command) => {
  if (contender?.alone !== undefined) {
    return { round: async () => ({ samples: [await contender.alone[command.kind](command)] }) };
  }
  if (kinds[command.kind] === undefined) throw new Error(`does not do ${command.kind}`);
  return await kinds[command.kind](command);
};

let job;
let samplers = [];
await answerLines(async ({ do: what, milliseconds, samples, ...command }) => {
  if (what === "prepare") {
    job = await jobOf(command);
    samplers = [job.operation, job.fixed].map(
      (operation) => operation && new Sampler(operation, command.pauseMs, job.clock),
    );
    return { evidence: await job.evidence?.() };
  }
  if (what === "warm") {
    for (const sampler of samplers) await sampler?.warmUp(milliseconds);
    return {};
  }
  if (job.round !== undefined) return await job.round({ milliseconds });
  const [main, fixed] = samplers;
  const own = await main.round(milliseconds, samples);
  return { samples: own, ...(fixed && { fixed: summarise(await fixed.round(milliseconds / 4)).median }) };
});
