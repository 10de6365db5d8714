// The bounds that this package promises, as data, and the one judge of them.
import { summarise } from "../dist/bench/statistics.js";
import { milliseconds, percentLess, ratio } from "./report/figures.mjs";

const MiB = 1024 * 1024;
const nodeWays = ["node:whole", "node:pieces", "node:strings", "node:parsed", "node"];

/** The whole cost; and what depends on the size, which for opening leaves out RSA. */
const cost = ({ kind, median, fixed }) => (kind === "open" ? median - fixed : median);
const middle = (values) => summarise(values).median;

const find = (results, wanted) =>
  results.find((result) => Object.entries(wanted).every(([name, value]) => result[name] === value));

/** What a bound needs: results that have these members. One that may be missing is marked `optional`. */
const of = (kind, contender, more = {}) => ({ kind, contender, ...more });
const ascii = (kind, contender, size) => of(kind, contender, { content: "ascii", size, label: undefined });

/** This package, and the fastest that Node did in the same case; the variants' case where it was run. */
const besideNode = (kind, size) => (results) => {
  for (const label of ["variants", undefined]) {
    const [own, ...ways] = ["native", ...nodeWays].map((way) => find(results, { ...ascii(kind, way, size), label }));
    const [fastest] = ways.filter(Boolean).sort((a, b) => cost(a) - cost(b));
    if (own !== undefined && fastest !== undefined) return [own, fastest];
  }
  return [undefined];
};

function timesAsFast(own, other) {
  const spread = own.rounds.map((median, round) => other.rounds[round] / median);
  const between = own.kind === "open" ? "" : `, rounds ${ratio(Math.min(...spread))} to ${ratio(Math.max(...spread))}`;
  const value = cost(other) / cost(own);
  const times = `${milliseconds(cost(own))} against ${milliseconds(cost(other))}`;
  // As it is printed: two decimals.
  return { value: Math.round(value * 100) / 100, text: `${ratio(value)} (${times}, ${other.contender}${between})` };
}

const median = (own) => ({ value: own.median, text: milliseconds(own.median) });

function withRsa(own, other, rsa) {
  const limit = 1.05 * rsa.median + cost(other) / 2;
  const text = `${milliseconds(own.median)}; RSA (+ 5 %) and half of Node's rest are ${milliseconds(limit)}`;
  return { value: own.median / limit, text };
}

function privateOperation(own, command, core) {
  // Round by round: the machine's speed changes between them.
  const way = middle(own.rounds.map((time, round) => time / command.rounds[round]));
  const over = (value) => percentLess(value, command.median);
  const fromJs =
    `${milliseconds(own.median)} from JavaScript, with the way to the thread and back ` +
    `(${over(own.median)}; within a round ${percentLess(way, 1)})`;
  // What the package's thread does, without the way there, where it was measured.
  const alone = core && `; in the core ${milliseconds(core.median)} (${over(core.median)})`;
  const text = `${fromJs}, against ${milliseconds(command.median)}${alone ?? ""}`;
  return { value: own.median / command.median, text };
}

function stall(own, idle) {
  const longest = `longest of a round ${milliseconds(own.max)} (99.9 %: ${milliseconds(own.p999)})`;
  // What the machine itself does to a process that does nothing is not this package's.
  const text = `${longest}, of an idle process ${milliseconds(idle.max)}`;
  return { value: own.max - idle.max, text, shown: own.completed > 0 };
}

function cpuOfRequests(own, http, rsa, seal, command) {
  // Round by round: the machine's speed changes between them.
  const overRounds = (each) => middle(own.clientCpuRounds.map((_, round) => each(round)));
  const beyondHttp = (result) => (round) => result.clientCpuRounds[round] - http.clientCpuRounds[round];
  const least = (round) => beyondHttp(rsa)(round) + seal.median;
  const value = overRounds((round) => beyondHttp(own)(round) / least(round));
  const all = milliseconds(overRounds((round) => own.clientCpuRounds[round]));
  let text =
    `${all}, without Node's HTTP ${milliseconds(overRounds(beyondHttp(own)))}, against ` +
    `${milliseconds(overRounds(least))} for RSA under the same load (${percentLess(value, 1)})`;
  if (command !== undefined) {
    const rounds = command.clientCpuRounds;
    const alone = overRounds((round) => beyondHttp(own)(round) / (rounds[round] + seal.median));
    const time = milliseconds(overRounds((round) => rounds[round]));
    text += `; RSA by \`openssl speed\`, with nothing else on the cores, is ${time} (${percentLess(alone, 1)})`;
  }
  return { value, text };
}

/** Whether the last fifth of a long run takes more than the second one did. A shorter run cannot show it, except when it fails. */
function flat({ requests, memory }) {
  const typical = (from, to, bytesOf) =>
    middle(memory.slice(Math.floor(memory.length * from), Math.ceil(memory.length * to)).map(bytesOf)) / MiB;
  const [rss, pool] = [({ rss }) => rss, ({ pool }) => pool.bytesMapped].map((bytesOf) => ({
    early: typical(0.2, 0.4, bytesOf),
    late: typical(0.8, 1, bytesOf),
  }));
  const text =
    `${requests.toLocaleString("en")} requests: RSS ${rss.early.toFixed(1)} → ${rss.late.toFixed(1)} MiB, ` +
    `pool ${pool.early.toFixed(2)} → ${pool.late.toFixed(2)} MiB`;
  return { value: pool.late > pool.early ? Infinity : rss.late - rss.early, text, shown: requests >= 100_000 };
}

function start(own) {
  const times = [own.median, own.construct, own.ready.median].map(milliseconds);
  return { value: own.median, text: `import ${times[0]}, constructor ${times[1]}, key there after ${times[2]}` };
}

function exponent({ exponent: value, exponentOfVariablePart: part }) {
  return { value, text: `${value.toFixed(2)}; ${part.toFixed(2)} for what depends on the size` };
}

const seal9 = (contender) => ascii("seal", contender, 9 * MiB);
const in8 = (contender) => of("router", contender, { inFlight: 8 });

/**
 * Each bound: the results that it needs, the figure that is judged (`measure`), and what that must be: `least`, `most`, or `under`.
 * A figure may say that it does not show that the bound holds (`shown: false`), only that it does not.
 */
const bounds = [
  {
    job: "seal 9 MB ASCII",
    bound: "3 × the fastest pure-Node pipeline",
    ...{ needs: besideNode("seal", 9 * MiB), measure: timesAsFast, least: 3 },
  },
  {
    job: "seal 9 MB ASCII",
    bound: "100 × nomyo-js 0.1.0's own steps",
    ...{ needs: [seal9("native"), seal9("webcrypto")], measure: timesAsFast, least: 100 },
  },
  {
    job: "seal 1 KB",
    bound: "not slower than the pure-Node pipeline",
    ...{ needs: besideNode("seal", 1024), measure: timesAsFast, least: 1 },
  },
  {
    job: "open 9 MB, without RSA",
    bound: "2 × the pure-Node pipeline",
    ...{ needs: besideNode("open", 9 * MiB), measure: timesAsFast, least: 2 },
  },
  {
    job: "open 9 MB, with RSA",
    bound: "RSA time + that",
    needs: (results) => [...besideNode("open", 9 * MiB)(results), find(results, of("rsa", "openssl"))],
    ...{ measure: withRsa, most: 1 },
  },
  {
    job: "RSA-4096 private operation",
    bound: "within 5 % of `openssl speed`'s",
    needs: [
      ...[of("rsa", "native"), of("rsa", "openssl")],
      { ...of("core", "core", { label: "RsaOaepDecrypt4096" }), optional: true },
    ],
    ...{ measure: privateOperation, most: 1.05 },
  },
  {
    job: "JavaScript thread meanwhile",
    bound: "no stall over 2 ms, beyond an idle process's",
    ...{ needs: [of("stall", "native"), of("stall", "idle")], measure: stall, most: 2 },
  },
  {
    job: "requests in flight, client's CPU time each, all cores",
    bound: "within 10 % of RSA + AES + base64",
    needs: [
      ...[in8("native"), in8("http"), in8("http-rsa"), ascii("seal", "native", 1024)],
      { ...in8("openssl"), optional: true },
    ],
    ...{ measure: cpuOfRequests, most: 1.1 },
  },
  {
    job: "memory",
    bound: "flat over 100 000 requests",
    ...{ needs: [of("soak", "native")], measure: flat, most: 8 },
  },
  ...["ecc-p256", "rsa2048"].map((label) => ({
    job: `attestation verification, ${label}`,
    bound: "under 0.5 ms",
    ...{ needs: [of("attestation", "native", { label })], measure: median, under: 0.5 },
  })),
  {
    job: "process start",
    bound: "`import` under 20 ms, the key in the background",
    ...{ needs: [of("start", "native")], measure: start, under: 20 },
  },
  ...["seal", "open"].map((kind) => ({
    job: `${kind}: growth from 1 KB to 9 MB`,
    bound: "exponent at most 1.05",
    needs: (_results, growth) => [find(growth, of(kind, "native"))],
    ...{ measure: exponent, most: 1.05 },
  })),
];

/**
 * @param {object} report as `measure()` makes it
 * @returns {{job: string, bound: string, measured: string, met: boolean | null}[]} `met` is null when it was not shown
 */
export const judged = ({ results, growth }) => bounds.map((bound) => judge(bound, results, growth));

function judge({ job, bound, needs, measure, least = -Infinity, most = Infinity, under = Infinity }, results, growth) {
  const parts =
    typeof needs === "function"
      ? needs(results, growth)
      : needs.map(({ optional, ...wanted }) => find(results, wanted) ?? (optional ? undefined : null));
  const missing = typeof needs === "function" ? parts.includes(undefined) : parts.includes(null);
  if (missing) return { job, bound, measured: "not measured", met: null };
  const { value, text, shown = true } = measure(...parts);
  const holds = value >= least && value <= most && value < under;
  return { job, bound, measured: text, met: holds && !shown ? null : holds };
}
