/**
 * `nomyo-native bench`: how fast this machine seals, opens and makes keys, beside Node's own crypto. It needs the
 * package alone. The full comparison, with other libraries, the router and a picture, is `npm run bench` in the
 * repository.
 */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { openPieces, sealPieces } from "../bench/node-envelope.js";
import { chatRequest, contents } from "../bench/payload.js";
import type { Content } from "../bench/payload.js";
import { Sampler } from "../bench/sampler.js";
import type { Operation } from "../bench/sampler.js";
import { summarise, timeText } from "../bench/statistics.js";
import type { Summary } from "../bench/statistics.js";
import { openPackage } from "../envelope/open.js";
import { sealJson } from "../envelope/seal.js";
import { getBuildInfo } from "../build-info.js";
import { PrivateKey } from "../keys/private-key.js";
import type { LockPolicy, PrivateKeyHandle, PublicKeyHandle } from "../native.js";
import { parse, wholeNumber } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import type { Streams } from "./streams.js";

const HELP = `Usage: nomyo-native bench [options]

Measures on this machine: sealing a request, opening an answer, the RSA-4096 private operation and key generation, each
beside the fastest way that Node's own crypto offers. The two take turns; figures are medians of single calls.

  --job JOB          seal, open, rsa or keygen; may be repeated (all of them)
  --size BYTES       bytes of the serialised request, 1024 to 10485760; may be repeated (1024, 1048576, 9437184)
  --content KIND     ascii (default), latin1, cjk or tools
  --seconds N        time for each line, 1 to 600 (2)
  --json             print JSON: milliseconds, one object for each line
  --help
`;

const LOCKING: LockPolicy = "required";
const sealing = { locking: LOCKING, maxPlaintextBytes: 10 * 1024 * 1024 };
const jobs = ["seal", "open", "rsa", "keygen"] as const;
type Job = (typeof jobs)[number];
/** Turns of each side. */
const ROUNDS = 5;

interface Line {
  readonly job: Job;
  /** Bytes of the serialised request; undefined where there is none. */
  readonly bytes?: number;
  readonly native: Summary;
  readonly node?: Summary;
}

type Sides = Required<Pick<Line, "native" | "node">>;

/** Runs the command; gives its exit code. */
export async function runBench(args: readonly string[], streams: Streams): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    streams.stdout.write(HELP);
    return exitCode.ok;
  }
  const lines: Line[] = [];
  const build = getBuildInfo();
  const report = (line: Line): void => {
    lines.push(line);
    if (!options.json) streams.stdout.write(row(line));
  };
  if (!options.json) {
    streams.stdout.write(`nomyo-native ${build.version}, ${build.opensslVersion}; Node ${process.version}, OpenSSL `);
    streams.stdout.write(`${process.versions.openssl}; ${options.content}; medians, 10 % and 90 % quantiles\n\n`);
  }
  await measure(options, report);
  if (options.json) {
    const versions = { nomyoNative: build.version, openssl: build.opensslVersion, node: process.version };
    streams.stdout.writeJson({ schema: 1, versions, content: options.content, unit: "ms", lines });
  }
  return exitCode.ok;
}

interface Options {
  readonly jobs: ReadonlySet<Job>;
  readonly sizes: readonly number[];
  readonly content: Content;
  readonly milliseconds: number;
  readonly json: boolean;
}

function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parse({
    args: [...args],
    options: {
      job: { type: "string", multiple: true, default: [...jobs] },
      size: { type: "string", multiple: true, default: ["1024", "1048576", "9437184"] },
      content: { type: "string", default: "ascii" },
      seconds: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const sizes = values.size.map((text) => {
    const size = wholeNumber("size", text) ?? 0;
    if (size < 1024 || size > 10_485_760) throw new UsageError("--size takes 1024 to 10485760 bytes.");
    return size;
  });
  const content = contents.find((one) => one === values.content);
  if (content === undefined) throw new UsageError(`--content is one of ${contents.join(", ")}.`);
  const chosen = jobs.filter((job) => values.job.includes(job));
  if (chosen.length < new Set(values.job).size) throw new UsageError(`--job is one of ${jobs.join(", ")}.`);
  const seconds = wholeNumber("seconds", values.seconds) ?? 0;
  if (seconds < 1 || seconds > 600) throw new UsageError("--seconds takes 1 to 600.");
  return { jobs: new Set(chosen), sizes, content, milliseconds: seconds * 1000, json: values.json };
}

async function measure(options: Options, report: (line: Line) => void): Promise<void> {
  const { jobs: chosen, sizes, content, milliseconds } = options;
  const key = await PrivateKey.generate(LOCKING);
  try {
    const recipient = key.publicHandle;
    const node = await exportToNode(key);
    /** Both sides of opening a package. */
    const opening = (body: Buffer): Promise<Sides> =>
      compare(
        () => open(key.handle, body),
        () => openPieces(node.private, body),
        milliseconds,
      );
    for (const bytes of sizes) {
      const request = chatRequest(content, bytes);
      await check(key.handle, recipient, node.private, request);
      if (chosen.has("seal")) {
        const own = (): unknown => sealJson(recipient, request, sealing);
        report({ job: "seal", bytes, ...(await compare(own, () => sealPieces(node.public, request), milliseconds)) });
      }
      if (chosen.has("open")) report({ job: "open", bytes, ...(await opening(sealPieces(node.public, request))) });
    }
    // The smallest package: what is left is the private operation, and the way to its thread and back.
    if (chosen.has("rsa")) report({ job: "rsa", ...(await opening(sealPieces(node.public, {}))) });
  } finally {
    key.dispose();
  }
  if (chosen.has("keygen")) report({ job: "keygen", native: await keyGeneration(milliseconds) });
}

/** The same key for Node's crypto: a throw-away key, which protects nothing. */
async function exportToNode(key: PrivateKey) {
  const pem = await key.toPem(null, LOCKING);
  try {
    const text = pem.toString();
    return { private: createPrivateKey(text), public: createPublicKey(text) };
  } finally {
    pem.dispose();
  }
}

async function open(key: PrivateKeyHandle, body: Uint8Array): Promise<unknown> {
  const opened = await openPackage(key, body, { locking: LOCKING });
  try {
    return opened.value();
  } finally {
    opened.dispose();
  }
}

/** Each side opens what the other sealed: a figure for a wrong result would be worth nothing. */
async function check(
  key: PrivateKeyHandle,
  recipient: PublicKeyHandle,
  nodeKey: ReturnType<typeof createPrivateKey>,
  request: unknown,
): Promise<void> {
  const byNode = openPieces(nodeKey, Buffer.from(sealJson(recipient, request, sealing)));
  const byNative = await open(key, sealPieces(createPublicKey(nodeKey), request));
  const expected = JSON.stringify(request);
  if (JSON.stringify(byNode) !== expected || JSON.stringify(byNative) !== expected) {
    throw new Error("What one side sealed, the other opened to something else. Please report this.");
  }
}

async function compare(own: Operation, other: Operation, milliseconds: number): Promise<Sides> {
  const samplers = [new Sampler(own), new Sampler(other)] as const;
  const turn = milliseconds / 2 / (ROUNDS + 1);
  for (const sampler of samplers) await sampler.warmUp(turn);
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    samples[0].push(...(await samplers[0].round(turn)));
    samples[1].push(...(await samplers[1].round(turn)));
  }
  return { native: summarise(samples[0]), node: summarise(samples[1]) };
}

/** Times spread over a factor of ten: at least three are made, whatever the time. */
async function keyGeneration(milliseconds: number): Promise<Summary> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  while (times.length < 3 || performance.now() < end) {
    const begin = performance.now();
    const key = await PrivateKey.generate(LOCKING);
    times.push(performance.now() - begin);
    key.dispose();
  }
  return summarise(times);
}

function row({ job, bytes, native: own, node }: Line): string {
  const time = ({ median, p10, p90 }: Summary): string => `${timeText(median)} (${timeText(p10)} – ${timeText(p90)})`;
  const size = bytes === undefined ? "" : `${bytes} B`;
  const rate = bytes === undefined ? "" : `${(bytes / own.median / 1000).toPrecision(3)} MB/s`;
  const beside = node === undefined ? "" : `Node ${time(node)}   ${(node.median / own.median).toFixed(2)} ×`;
  return (
    `${job.padEnd(6)} ${size.padStart(10)}   ${time(own).padEnd(32)} ${rate.padStart(10)}   ${beside}`.trimEnd() + "\n"
  );
}
