/** `nomyo-native bench`: what sealing, opening and keys cost on this machine. The comparison with other ways is the repository's `npm run bench`. */
import { cpus } from "node:os";
import { native, type PrivateKeyHandle, type PublicKeyHandle } from "../native.js";
import { parse, wholeNumber } from "./arguments.js";
import { exitCode } from "./exit-code.js";
import type { Streams } from "./streams.js";

export const benchHelp = `Usage: nomyo-native bench [--seconds NUMBER] [--json]

Measures on this machine: making an RSA-4096 key, sealing and opening packages of 1 KB, 100 KB and 9 MB. Medians; each
line is measured for about --seconds (1).

  --seconds NUMBER
  --json
  -h, --help
`;

const options = {
  seconds: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

interface Line {
  readonly what: string;
  /** Milliseconds. */
  readonly median: number;
  readonly runs: number;
  /** Of plaintext, where there is one. */
  readonly bytes?: number;
}

export async function runBench(args: readonly string[], streams: Streams): Promise<number> {
  const { values } = parse({ args: [...args], options, allowPositionals: false });
  if (values.help === true) {
    streams.stdout.write(benchHelp);
    return exitCode.ok;
  }
  const budgetMs = (wholeNumber("seconds", values.seconds) ?? 1) * 1000;
  const build = native.getBuildInfo();
  const machine = {
    version: build.version,
    openssl: build.opensslVersion,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memory: native.memoryInfo().mechanism,
  };
  const lines = await measureAll(budgetMs);
  if (values.json === true) {
    streams.stdout.write(`${JSON.stringify({ machine, lines })}\n`);
    return exitCode.ok;
  }
  streams.stdout.write(
    `nomyo-native ${machine.version}, ${machine.openssl}, Node ${machine.node}, ${machine.platform}\n` +
      `${machine.cpu}, memory: ${machine.memory}\n\n${lines.map(tableLine).join("")}`,
  );
  return exitCode.ok;
}

async function measureAll(budgetMs: number): Promise<Line[]> {
  const policy = "required";
  const keyTimes: number[] = [];
  let key: PrivateKeyHandle | undefined;
  try {
    const deadline = performance.now() + budgetMs;
    do {
      const start = performance.now();
      const made = await native.generatePrivateKey(4096, policy);
      keyTimes.push(performance.now() - start);
      if (key !== undefined) native.privateKeyDispose(key);
      key = made;
    } while (performance.now() < deadline);
    const lines: Line[] = [{ what: "make an RSA-4096 key", median: median(keyTimes), runs: keyTimes.length }];
    for (const bytes of [1_000, 100_000, 9_000_000]) lines.push(...(await measureSize(key, bytes, budgetMs)));
    return lines;
  } finally {
    if (key !== undefined) native.privateKeyDispose(key);
  }
}

async function measureSize(key: PrivateKeyHandle, bytes: number, budgetMs: number): Promise<Line[]> {
  const recipient: PublicKeyHandle = native.privateKeyPublic(key);
  const frame = '{"model":"m","messages":[{"role":"user","content":""}]}';
  const json = Buffer.from(frame.replace('""', `"${"a".repeat(Math.max(1, bytes - frame.length))}"`));
  const limits = { maxPlaintextBytes: json.length, maxDepth: 16 };
  const seal = () => native.sealBytes(recipient, json, { maxPlaintextBytes: json.length, policy: "required" });
  const sealed = seal();
  const sealing = await measure(budgetMs, seal);
  const opening = await measure(budgetMs, async () =>
    native.openedDispose(await native.open(key, sealed, limits, "required")),
  );
  return [
    { what: `seal ${size(bytes)}`, bytes: json.length, ...sealing },
    { what: `open ${size(bytes)}`, bytes: json.length, ...opening },
  ];
}

async function measure(budgetMs: number, work: () => unknown): Promise<{ median: number; runs: number }> {
  // The first runs fault pages in and fill caches.
  for (let i = 0; i < 3; i += 1) await work();
  const times: number[] = [];
  const deadline = performance.now() + budgetMs;
  do {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  } while (performance.now() < deadline);
  return { median: median(times), runs: times.length };
}

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function tableLine({ what, median: time, runs, bytes }: Line): string {
  const rate = bytes === undefined ? "" : `${(bytes / 1e6 / (time / 1e3)).toFixed(0)} MB/s`;
  return `${what.padEnd(24)}${time.toFixed(3).padStart(12)} ms${rate.padStart(14)}${`${runs} runs`.padStart(14)}\n`;
}

function size(bytes: number): string {
  return bytes >= 1_000_000 ? `${bytes / 1_000_000} MB` : `${bytes / 1_000} KB`;
}
