// scripts/timing-run.mjs SAMPLES: the measurement of scripts/timing, and its table.
import { constants, createHash, publicEncrypt, randomBytes, randomInt } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(import.meta.url);
const { SecureCompletionClient } = require("../dist/index.js");
const { packageText } = require("../dist/bench/node-envelope.js");
const { differences, medianInterval, signedRank } = require("../test/support/paired-differences.cjs");
const samples = Number(process.argv[2]);
if (!Number.isInteger(samples) || samples < 10) throw new Error("how many samples of each kind?");

/** A p below this is a difference: with all pairs of a run looked at, chance gives one in ten thousand runs. */
const ALPHA = 1e-5;
/**
 * What the positive control adds on a quiet machine: as long as a cache miss or two dozen, far less than one more
 * hash.
 */
const LEAST_CONTROL_NS = 3_000;
/** Blocks before those that count: caches get warm, and the noise of the machine shows. */
const WARMING = 100;
let controlNs = 0;

const vectors = new URL("../test/vectors/keys/", import.meta.url);
const publicPem = readFileSync(new URL("client_public.pem", vectors), "utf8");
const folder = mkdtempSync(join(tmpdir(), "timing-"));
const keyFile = join(folder, "key.pem");
copyFileSync(new URL("client_private.pem", vectors), keyFile);
chmodSync(keyFile, 0o600);

const MODULUS = 512;
const HASH = 32;
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const labelHash = sha256();

/** RFC 8017 B.2.1. */
function mask(seed, length) {
  const blocks = [];
  for (let counter = 0; blocks.length * HASH < length; counter += 1) {
    blocks.push(sha256(seed, Buffer.from([0, 0, 0, counter])));
  }
  return Buffer.concat(blocks).subarray(0, length);
}

const xor = (one, other) => one.map((byte, at) => byte ^ other[at]);

/** RFC 8017 7.1.1, with what `kind` has wrong. */
function wrapped(kind) {
  const block = Buffer.alloc(MODULUS - HASH - 1);
  (kind === "wrong label hash" ? randomBytes(HASH) : labelHash).copy(block);
  const key = randomBytes(kind === "wrong length" ? 16 : 32);
  if (kind !== "no 01") {
    block[block.length - key.length - 1] = 1;
    key.copy(block, block.length - key.length);
  }
  const seed = randomBytes(HASH);
  const maskedBlock = xor(block, mask(seed, block.length));
  const message = Buffer.concat([
    Buffer.of(kind === "wrong first byte" ? 1 : 0),
    xor(seed, mask(maskedBlock, HASH)),
    maskedBlock,
  ]);
  return publicEncrypt({ key: publicPem, padding: constants.RSA_NO_PADDING }, message).toString("base64");
}

// The first unwraps to a key, which is not the one that the ciphertext was made with; the others to none. All must be
// refused alike.
const kinds = ["valid", "wrong first byte", "wrong label hash", "no 01", "wrong length"];
const control = "control";
const client = new SecureCompletionClient({ apiKey: null });
await client.loadKeys(keyFile);
rmSync(folder, { recursive: true });

const words = new Set();
async function timed(kind) {
  const text = packageText(
    ...[200, 12, 16].map((bytes) => randomBytes(bytes).toString("base64")),
    wrapped(kind === control ? "valid" : kind),
  );
  const body = Buffer.from(text);
  const start = process.hrtime.bigint();
  try {
    await client.decryptResponse(body, "timing");
    throw new Error("a forged package was opened");
  } catch (error) {
    if (kind === control) {
      const until = process.hrtime.bigint() + BigInt(controlNs);
      while (process.hrtime.bigint() < until);
    }
    const end = process.hrtime.bigint();
    words.add(`${error.name} ${error.code}: ${error.message}`);
    return Number(end - start);
  }
}

const all = [...kinds, control];
/** One call of each kind, in an order that chance chooses: nanoseconds by kind. */
async function block() {
  const order = [...all];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  const taken = {};
  for (const kind of order) taken[kind] = await timed(kind);
  return taken;
}

/**
 * As much as this many samples can tell from the machine's noise, and no less than on a quiet one: the control must
 * be found.
 */
async function controlDelay() {
  const noise = [];
  for (let nth = 0; nth < WARMING; nth += 1) {
    const { valid, "no 01": other } = await block();
    noise.push(other - valid);
  }
  noise.sort((one, other) => one - other);
  const middleHalf = noise[Math.floor(WARMING * 0.75)] - noise[Math.floor(WARMING * 0.25)];
  return Math.max(LEAST_CONTROL_NS, Math.round((16 * middleHalf) / Math.sqrt(samples)));
}

controlNs = await controlDelay();
const times = Object.fromEntries(all.map((kind) => [kind, new Float64Array(samples)]));
for (let nth = 0; nth < samples; nth += 1) {
  for (const [kind, nanoseconds] of Object.entries(await block())) times[kind][nth] = nanoseconds;
}
await client.close();
if (words.size !== 1) throw new Error(`the refusals differ in words: ${[...words].join("; ")}`);

const random = () => randomInt(2 ** 32) / 2 ** 32;
/**
 * The largest delay that would not have been found, of those in steps of a factor of two: added to one kind's
 * samples.
 */
function resolution(values) {
  for (let delay = 10; delay < 1e9; delay *= 2) {
    if (signedRank(values.map((value) => value + delay)) < ALPHA) return delay;
  }
  return Number.NaN;
}
const microseconds = (nanoseconds) => (nanoseconds / 1000).toFixed(3);
let found = 0;
let weakest = 0;
const row = (one, other, draws) => {
  const values = differences(times[one], times[other]);
  const p = signedRank(values);
  const { median, low, high } = medianInterval(values, random, draws);
  const between = `${microseconds(low)} to ${microseconds(high)}`;
  const row = `| ${[one, other, microseconds(median), between, p.toExponential(1)].join(" | ")} |\n`;
  return { p, row, values };
};
const draws = samples > 10_000 ? 100 : 300;
let table = "| of | against | median difference, µs | 95 % of medians | p |\n| --- | --- | --- | --- | --- |\n";
for (const [at, one] of kinds.entries()) {
  for (const other of kinds.slice(at + 1)) {
    const compared = row(one, other, draws);
    table += compared.row;
    if (compared.p < ALPHA) found += 1;
    weakest = Math.max(weakest, resolution(compared.values));
  }
}
const controlled = row("valid", control, draws);
table += controlled.row;
const seen = controlled.p < ALPHA;
process.stdout.write(
  `${samples} calls of each kind in random order, each with a seed, a key and a ciphertext of its own; ` +
    "all refused with the same words. Wilcoxon's signed-rank test of the differences block by block; " +
    `a p below ${ALPHA} counts as a difference.\n\n${table}\n` +
    `${found} of ${(kinds.length * (kinds.length - 1)) / 2} pairs differ. ` +
    `The positive control (${microseconds(controlNs)} µs of waiting, put in on purpose) was ` +
    `${seen ? "found" : "NOT found"}; a delay of about ${microseconds(weakest)} µs in any pair would have been.\n`,
);
process.exitCode = found === 0 && seen ? 0 : 1;
