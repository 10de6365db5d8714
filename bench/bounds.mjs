// The bounds that this package promises, as data, and the one judge of them; of two builds, too.
import { summarise, timeText } from "../dist/bench/statistics.js";

const noiseText = (noise) => `± ${(100 * (Math.exp(noise) - 1)).toFixed(1)} %`;
/** How many times as fast, or as much. */
export const ratio = (value) =>
  `${value >= 99.5 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ×`;
const percentOver = (value) => `${value >= 1 ? "+" : "−"}${Math.abs((value - 1) * 100).toFixed(1)} %`;
export const notMeasured = "not measured";
const middle = (values) => summarise(values).median;

/** A difference under one per cent is not looked at: where the linker puts a loop makes as much. */
const leastNoise = 0.01;

/**
 * Of the median of `values`; from the median deviation, which single wild rounds do not change (the factors are those
 * of a normal distribution).
 */
function standardError(values) {
  const centre = middle(values);
  const deviation = 1.4826 * middle(values.map((value) => Math.abs(value - centre)));
  return (1.2533 * deviation) / Math.sqrt(values.length);
}

/** How much more the second is, round by round, as logarithms: for both the machine was the same. */
const differences = (first, second) =>
  first.map((value, round) => Math.log(second[round] / value)).filter(Number.isFinite);

/** What one contender differs by from itself, and three standard errors of the less certain difference given. */
function noiseOf(self, ...between) {
  const errors = [self, ...between].filter((values) => values.length > 0).map(standardError);
  return Math.max(leastNoise, (self.length > 0 ? Math.abs(middle(self)) : 0) + 3 * Math.max(...errors));
}

/** A figure of each round: its name, or how it is made of the round (and of the case's size). */
const roundsOf = (result, figure) =>
  result.rounds.map((round) => (typeof figure === "function" ? figure(round, result) : round[figure]));

const withoutRsa = ({ median, fixed }) => median - fixed;
const p90 = (round) => round.p90 / round.median;
const perByte = (round, { size }) => round.bytes / size;

const each = (values, make) => values.flatMap(make);
const load = [2, 8, 32, 256];
const besideNode = "native / node";
const fastest = "the fastest pure-Node pipeline";
const faster = (times) => [1 / times, `${times} × ${fastest}`];
const overRsa = [1.05, "5 % over RSA + HTTP"];
const shortDelay = [3, "99 % delay under 3 ms"];
const ofOpenssl = [1.5, "1.5 × `openssl speed`'s signature check"];

/**
 * Each bound: the job; the case's name; who is judged, beside whom (`node`: the fastest way that Node had in this case;
 * after a minus: whose figure is taken off); what that may be at most; the bound in words; the figure, `median`, by
 * name or made of a round and its result.
 */
const bounds = [
  ["seal, 9 MB ASCII", "seal variants ascii 9 MB", besideNode, ...faster(4)],
  ["seal, 9 MB ASCII", "seal ascii 9 MB", "native / webcrypto", 1 / 100, "100 × nomyo-js 0.1.0's own steps"],
  ["seal, 9 MB ASCII", "seal variants ascii 9 MB", "native", 1.5, "90 % quantile at most 1.5 × the median", p90],
  ["seal, 9 MB ASCII, JavaScript thread", "hold ascii 9 MB", "native / copy", 1.3, "held 1.3 × copying the text out"],
  ...each(["8 KB", "32 KB", "256 KB"], (size) => [
    [`seal, tool calls, ${size}, paced`, `seal agent tools ${size}`, besideNode, ...faster(2)],
    [`seal, tool calls, ${size}`, `seal agent, back to back tools ${size}`, besideNode, ...faster(1.5)],
  ]),
  ["seal, 1 KB, paced", "seal paced ascii 1 KB", besideNode, ...faster(1.5)],
  ["seal, 1 KB", "seal variants ascii 1 KB", besideNode, 1, `not slower than ${fastest}`],
  ...each(["ascii", "cjk"], (text) => [
    [`open, 9 MB ${text}, without RSA`, `open variants ${text} 9 MB`, besideNode, ...faster(4), withoutRsa],
    [`open, 9 MB ${text}, memory`, `memory ${text} 9 MB`, "native", 1.2, "at most 1.2 × the answer", perByte],
  ]),
  ["open, 1 KB", "open beside RSA ascii 1 KB", "native / openssl", 1.02, "2 % over `openssl speed`'s RSA"],
  ["RSA-4096 private operation", "rsa 4096 private", "native / openssl", 1.05, "5 % over `openssl speed`'s"],
  ["JavaScript thread meanwhile", "stall private operations", "native - idle", 2, "no stall over 2 ms", "loopMax"],
  ...each(["ecc-p256", "ecc-p384", "rsa2048"], (key) => [
    [`attestation, ${key}`, `attestation ${key}`, "native / openssl", ...ofOpenssl],
  ]),
  ["process start: `import`", "start import", "native", 8, "under 8 ms"],
  ["process start: the first client", "start import", "native", 3, "under 3 ms more", "construct"],
  ["process start: `nomyo-native --version`", "start import", "native", 60, "under 60 ms", "version"],
  ...each(load, (n) => [
    [`${n} in flight, client's CPU`, `router ${n} in flight`, "native / http-rsa", ...overRsa, "cpuMs"],
    [`${n} in flight, client's event loop`, `router ${n} in flight`, "native", ...shortDelay, "loop99"],
  ]),
  ...each(load, (n) => [
    [`${n} in flight, router's CPU`, `upstream ${n} in flight`, "router / reverse-rsa", ...overRsa, "serverCpuMs"],
    [`${n} in flight, router's event loop`, `upstream ${n} in flight`, "router", ...shortDelay, "serverLoop99"],
  ]),
  ["through the proxy, 1 KB", "proxy 1 in flight", "openai:proxy / openai:fetch", 1.1, "10 % over createSecureFetch"],
  ["memory", "soak memory 8 in flight", "native", 8, "flat over 100 000 requests: under 8 MiB", "rssGrowth"],
  ["memory, locked", "soak memory 8 in flight", "native", 0, "flat over 100 000 requests", "poolGrowth"],
];

/** How a figure that stands alone is written: as a time, unless it is one of these. */
const mebibytes = (value) => `${value.toFixed(2)} MiB more at the end`;
const texts = new Map([
  ...[p90, perByte].map((figure) => [figure, ratio]),
  ...["rssGrowth", "poolGrowth"].map((figure) => [figure, mebibytes]),
]);

/**
 * How cost grows with size: the exponent b of cost = a · size^b, by least squares on the logarithms. Costs that noise
 * made negative do not count.
 */
export function fitExponent(points) {
  const logarithms = points.filter(({ cost }) => cost > 0).map(({ size, cost }) => [Math.log(size), Math.log(cost)]);
  const mean = (of) => logarithms.reduce((sum, pair) => sum + of(pair), 0) / logarithms.length;
  const meanX = mean(([x]) => x);
  return mean(([x, y]) => (x - meanX) * y) / mean(([x]) => (x - meanX) ** 2);
}

function growth(kind, results) {
  const points = results.filter((one) => one.kind === kind && one.label === "growth" && one.contender === "native");
  const [job, bound] = [`${kind}: growth from 1 KB to 9 MB`, "exponent at most 1.05"];
  if (points.length < 3) return { job, bound, measured: notMeasured, verdict: "not shown" };
  const exponent = fitExponent(points.map(({ size, median }) => ({ size, cost: median })));
  return { job, bound, measured: exponent.toFixed(2), verdict: exponent <= 1.05 ? "met" : "NOT MET" };
}

/**
 * @param {object[]} results
 * @returns {{job: string, bound: string, measured: string, noise?: string, verdict: "met" | "NOT MET" | "noisy" | "not
 *   shown"}[]} noisy: the measured figure is nearer to the bound than what a contender differs by from itself, so that
 *   neither is shown
 */
export const judged = (results) => [
  ...bounds.map((bound) => judge(bound, results)),
  ...["seal", "open"].map((kind) => growth(kind, results)),
];

function judge([job, of, sides, limit, bound, figure = "median"], all) {
  const results = all.filter((one) => one.case === of);
  const find = (contender) => results.find((one) => one.contender === contender);
  const values = (result) => roundsOf(result, figure);
  const cost = (result) => middle(values(result));
  const ofNode = results.filter(({ contender }) => /^node(:(whole|pieces|strings|parsed))?$/.test(contender));
  const [own, sign, beside] = sides.split(" ");
  const [mine, again] = [find(own), find(`${own}:again`)];
  const other = beside === "node" ? ofNode.sort((a, b) => cost(a) - cost(b))[0] : find(beside);
  if (mine === undefined || (beside !== undefined && other === undefined)) {
    return { job, bound, measured: notMeasured, verdict: "not shown" };
  }
  const self = again === undefined ? [] : differences(values(mine), values(again));
  const said = (measured, value, noise) => ({ job, bound, measured, ...verdict(value, limit, noise, mine) });
  if (sign !== "/") {
    const value = cost(mine) - (other === undefined ? 0 : cost(other));
    return said((texts.get(figure) ?? timeText)(value), value, noiseOf(self, spread(values(mine))));
  }
  const between = differences(values(mine), values(other));
  const times = Math.exp(middle(between));
  const figures = `${timeText(cost(mine))} against ${timeText(cost(other))}, ${other.contender}`;
  const text = limit <= 1 ? ratio(times) : limit > 1.25 ? ratio(1 / times) : percentOver(1 / times);
  return said(`${text} (${figures})`, 1 / times, noiseOf(self, between));
}

/** Of a figure that stands alone: how far its rounds are from their middle. */
const spread = (values) =>
  values.every((value) => value > 0) ? values.map((value) => Math.log(value / middle(values))) : [];

/** At most `limit`, and further from it than the noise. A soak of fewer requests shows only that a bound is not met. */
function verdict(value, limit, noise, { kind, rounds }) {
  // A figure of nothing or less (a growth, a delay beyond another) is compared as it is.
  const isNear = value > 0 && limit > 0 && Math.abs(Math.log(value / limit)) < noise;
  const holds = kind === "soak" && rounds[0].requests < 100_000 ? "not shown" : "met";
  return { noise: noiseText(noise), verdict: isNear ? "noisy" : value <= limit ? holds : "NOT MET" };
}

/**
 * For each case that was measured with this build, this build again and another one (`native`, `native:again`,
 * `native@…`) what the other one's time is beside ours.
 *
 * @returns {{case: string, own: string, other: string, difference: string, noise: string, verdict: string, met:
 *   boolean}[]} `met` is false when this build is slower by more than noise
 */
export function compared(results) {
  return results.flatMap((other) => {
    const [own, again] = ["native", "native:again"].map((name) =>
      results.find((one) => one.case === other.case && one.contender === name),
    );
    if (!other.contender.startsWith("native@") || own === undefined || again === undefined) return [];
    const [mine, self, theirs] = [own, again, other].map((one) => roundsOf(one, "median"));
    const between = differences(mine, theirs);
    const noise = noiseOf(differences(mine, self), between);
    const difference = middle(between);
    const isNoise = Math.abs(difference) <= noise;
    return {
      ...{ case: other.case, own: timeText(middle(mine)), other: timeText(middle(theirs)) },
      ...{ difference: ratio(Math.exp(difference)), noise: noiseText(noise) },
      verdict: isNoise ? "differs by noise" : difference > 0 ? "this build is faster" : "this build is SLOWER",
      met: isNoise || difference > 0,
    };
  });
}
