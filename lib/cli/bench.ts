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
import type { Locking, PrivateKeyHandle, PublicKeyHandle } from "../native.js";
import { parse, wholeNumber } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import type { Output } from "./output.js";
import type { Streams } from "./streams.js";

const HELP = `Usage: nomyo-native bench [options]

Measures on this machine: sealing a request, opening an answer, the RSA-4096 private operation and key generation, each
beside the fastest way that Node's own crypto offers. The two take turns; figures are medians of single calls. First on
each line: how many times as fast as Node this package is.

  --job JOB          seal, open, rsa or keygen; may be repeated (all of them)
  --size BYTES       bytes of the serialised request, 1024 to 10485760; may be repeated (1024, 1048576, 9437184)
  --content KIND     ascii (default), latin1, cjk or tools
  --seconds N        time for each line, 1 to 600 (2)
  --json             print JSON: milliseconds, one object for each line
  --help
`;

const LOCKING: Locking = "required";
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
  const moving = new MovingLine(streams);
  const report = async (line: Line): Promise<void> => {
    lines.push(line);
    await moving.show("");
    if (!options.json) streams.stdout.write(row(line));
  };
  if (!options.json) {
    streams.stdout.write(`nomyo-native ${build.version}, ${build.opensslVersion}\n`);
    streams.stdout.write(`Node ${process.version}, OpenSSL ${process.versions.openssl}; ${options.content}\n\n`);
    streams.stdout.write(columns("as fast", "job", "size", "median", "10 % – 90 %", "rate", "Node"));
  }
  try {
    await measure(options, report, moving);
  } finally {
    await moving.show("");
  }
  if (options.json) {
    const versions = { nomyoNative: build.version, openssl: build.opensslVersion, node: process.version };
    streams.stdout.writeJson({ schema: 1, versions, content: options.content, unit: "ms", lines });
  }
  return exitCode.ok;
}

/** A line of a terminal that says what is being measured; nothing where there is none, or one that cannot erase. */
class MovingLine {
  readonly #stderr: Output;
  readonly #moves: boolean;
  #isEmpty = true;

  constructor({ stderr, env }: Pick<Streams, "stderr" | "env">) {
    this.#stderr = stderr;
    this.#moves = stderr.isTTY && env["TERM"] !== "dumb";
  }

  /** Written when this has settled, so that no figure pays for it. */
  async show(text: string): Promise<void> {
    if (!this.#moves || (this.#isEmpty && text === "")) return;
    this.#isEmpty = text === "";
    // To the start of the line; what stood there is erased behind the text.
    await this.#stderr.writeBytes([Buffer.from(`\r${text}\u001b[K`)]);
  }
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

async function measure(options: Options, report: (line: Line) => Promise<void>, moving: MovingLine): Promise<void> {
  const { jobs: chosen, sizes, content, milliseconds } = options;
  await moving.show("making a key …");
  const key = await PrivateKey.generate(LOCKING);
  try {
    const recipient = key.publicHandle;
    const node = await exportToNode(key);
    /** Both sides of a line, if it was asked for. */
    const line = async (job: Job, bytes: number | undefined, own: Operation, other: Operation): Promise<void> => {
      if (!chosen.has(job)) return;
      const told = (done: number): Promise<void> =>
        moving.show(`${job} ${sizeText(bytes)} … ${Math.round((100 * done) / (ROUNDS + 1))} %`);
      await report({ job, ...(bytes !== undefined && { bytes }), ...(await compare(own, other, milliseconds, told)) });
    };
    const opening = (job: Job, bytes: number | undefined, body: Buffer): Promise<void> =>
      line(
        job,
        bytes,
        () => open(key.handle, body),
        () => openPieces(node.private, body),
      );
    for (const bytes of sizes) {
      const request = chatRequest(content, bytes);
      await check(key.handle, recipient, node.private, request);
      const own = (): unknown => sealJson(recipient, request, sealing);
      await line("seal", bytes, own, () => sealPieces(node.public, request));
      await opening("open", bytes, sealPieces(node.public, request));
    }
    // The smallest package: what is left is the private operation, and the way to its thread and back.
    await opening("rsa", undefined, sealPieces(node.public, {}));
  } finally {
    key.dispose();
  }
  if (!chosen.has("keygen")) return;
  const told = (made: number): Promise<void> => moving.show(`keygen … ${made} made`);
  await report({ job: "keygen", native: await keyGeneration(milliseconds, told) });
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

/** `told` hears how many of the rounds are over; warming up is one more. */
async function compare(
  own: Operation,
  other: Operation,
  milliseconds: number,
  told: (done: number) => Promise<void>,
): Promise<Sides> {
  const samplers = [new Sampler(own), new Sampler(other)] as const;
  const turn = milliseconds / 2 / (ROUNDS + 1);
  await told(0);
  for (const sampler of samplers) await sampler.warmUp(turn);
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    await told(round + 1);
    samples[0].push(...(await samplers[0].round(turn)));
    samples[1].push(...(await samplers[1].round(turn)));
  }
  return { native: summarise(samples[0]), node: summarise(samples[1]) };
}

/** Times spread over a factor of ten: at least three are made, whatever the time. */
async function keyGeneration(milliseconds: number, told: (made: number) => Promise<void>): Promise<Summary> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  while (times.length < 3 || performance.now() < end) {
    await told(times.length);
    const begin = performance.now();
    const key = await PrivateKey.generate(LOCKING);
    times.push(performance.now() - begin);
    key.dispose();
  }
  return summarise(times);
}

const MIB = 1024 * 1024;

function sizeText(bytes: number | undefined): string {
  if (bytes === undefined) return "";
  if (bytes >= MIB) return `${Number((bytes / MIB).toPrecision(3))} MB`;
  return bytes % 1024 === 0 ? `${bytes / 1024} KB` : `${bytes} B`;
}

/** A line of up to 80 columns. */
function columns(...cells: readonly string[]): string {
  const widths = [8, -6, 8, 8, 19, 10, 8];
  const padded = cells.map((cell, at) => {
    const width = widths[at] ?? 0;
    return width < 0 ? cell.padEnd(-width) : cell.padStart(width);
  });
  return `${padded.join("  ").trimEnd()}\n`;
}

function row({ job, bytes, native: own, node }: Line): string {
  const rate = bytes === undefined ? "" : `${(bytes / own.median / 1000).toPrecision(3)} MB/s`;
  const times = node === undefined ? "" : `${(node.median / own.median).toFixed(2)} ×`;
  const spread = `${timeText(own.p10)} – ${timeText(own.p90)}`;
  const beside = node === undefined ? "" : timeText(node.median);
  return columns(times, job, sizeText(bytes), timeText(own.median), spread, rate, beside);
}
