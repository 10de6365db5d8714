// The bounds that this package promises: each with what was measured, and whether it is met.
import { milliseconds, percentLess, ratio } from "./report/figures.mjs";
import { summarise } from "../dist/bench/statistics.js";

const MiB = 1024 * 1024;
const nodeWays = ["node:whole", "node:pieces", "node:strings", "node:parsed", "node"];

/**
 * @param {object} report as `measure()` makes it, without bounds
 * @returns {{job: string, bound: string, measured: string, met: boolean | null}[]} `met` is null when it was not measured
 */
export function bounds({ results, growth }) {
  const find = (kind, contender, more = {}) =>
    results.find(
      (result) =>
        result.kind === kind &&
        result.contender === contender &&
        Object.entries(more).every(([name, value]) => result[name] === value),
    );
  const row = (job, bound, needed, judge) => {
    const parts = needed();
    if (parts.some((part) => part === undefined)) return { job, bound, measured: "not measured", met: null };
    return { job, bound, ...judge(...parts) };
  };

  /** This package, and the fastest that Node did in the same case; the variants' case where it was run. */
  const againstNode = (kind, size) => {
    for (const label of ["variants", undefined]) {
      const own = find(kind, "native", { content: "ascii", size, label });
      const others = nodeWays.map((way) => find(kind, way, { content: "ascii", size, label })).filter(Boolean);
      const fastest = others.sort((a, b) => cost(kind, a) - cost(kind, b))[0];
      if (own !== undefined && fastest !== undefined) return [own, fastest];
    }
    return [undefined, undefined];
  };
  /** What depends on the size: for opening, RSA does not. */
  const cost = (kind, result) => (kind === "open" ? result.median - result.fixed : result.median);
  const times = (least, kind) => (own, other) => {
    const value = cost(kind, other) / cost(kind, own);
    const spread = own.rounds.map((median, round) => other.rounds[round] / median);
    const between = kind === "open" ? "" : `, rounds ${ratio(Math.min(...spread))} to ${ratio(Math.max(...spread))}`;
    return {
      measured: `${ratio(value)} (${milliseconds(cost(kind, own))} against ${milliseconds(cost(kind, other))}, ${other.contender}${between})`,
      // As it is printed: two decimals.
      met: Math.round(value * 100) / 100 >= least,
    };
  };
  const atMost = (limit, result) => ({ measured: milliseconds(result.median), met: result.median < limit });

  return [
    row("seal 9 MB ASCII", "3 × the fastest pure-Node pipeline", () => againstNode("seal", 9 * MiB), times(3, "seal")),
    row(
      "seal 9 MB ASCII",
      "100 × nomyo-js 0.1.0's own steps",
      () =>
        ["native", "webcrypto"].map((name) =>
          find("seal", name, { content: "ascii", size: 9 * MiB, label: undefined }),
        ),
      times(100, "seal"),
    ),
    row("seal 1 KB", "not slower than the pure-Node pipeline", () => againstNode("seal", 1024), times(1, "seal")),
    row("open 9 MB, without RSA", "2 × the pure-Node pipeline", () => againstNode("open", 9 * MiB), times(2, "open")),
    row(
      "open 9 MB, with RSA",
      "RSA time + that",
      () => [...againstNode("open", 9 * MiB), find("rsa", "openssl")],
      (own, other, rsa) => {
        const limit = 1.05 * rsa.median + cost("open", other) / 2;
        return {
          measured: `${milliseconds(own.median)}; RSA (+ 5 %) and half of Node's rest are ${milliseconds(limit)}`,
          met: own.median <= limit,
        };
      },
    ),
    row(
      "RSA-4096 private operation",
      "within 5 % of `openssl speed`'s",
      () => [
        find("rsa", "native"),
        find("rsa", "openssl"),
        find("core", "core", { label: "RsaOaepDecrypt4096" }) ?? null,
      ],
      (own, limit, core) => {
        // Round by round: the machine's speed changes between them.
        const way = summarise(own.rounds.map((median, round) => median / limit.rounds[round])).median;
        const fromJs =
          `${milliseconds(own.median)} from JavaScript, with the way to the thread and back ` +
          `(${percentLess(own.median, limit.median)}; within a round ${percentLess(way, 1)})`;
        const against = `against ${milliseconds(limit.median)}`;
        // What the package's thread does, without the way there, where it was measured.
        const alone =
          core === null ? "" : `; in the core ${milliseconds(core.median)} (${percentLess(core.median, limit.median)})`;
        return { measured: `${fromJs}, ${against}${alone}`, met: own.median <= 1.05 * limit.median };
      },
    ),
    row(
      "JavaScript thread meanwhile",
      "no stall over 2 ms, beyond an idle process's",
      () => [find("stall", "native"), find("stall", "idle")],
      (own, idle) => ({
        measured: `longest of a round ${milliseconds(own.max)} (99.9 %: ${milliseconds(own.p999)}), of an idle process ${milliseconds(idle.max)}`,
        // What the machine itself does to a process that does nothing is not this package's.
        met: own.max - idle.max <= 2,
      }),
    ),
    row(
      "requests in flight, client's CPU time each, all cores",
      "within 10 % of RSA + AES + base64",
      () => [
        find("router", "native", { inFlight: 8 }),
        find("router", "http", { inFlight: 8 }),
        find("router", "http-rsa", { inFlight: 8 }),
        find("seal", "native", { content: "ascii", size: 1024, label: undefined }),
      ],
      (own, http, withRsa, seal) => {
        // Round by round: the machine's speed changes between them.
        const middle = (of) => summarise(own.clientCpuRounds.map((_, round) => of(round))).median;
        const beyondHttp = (result) => (round) => result.clientCpuRounds[round] - http.clientCpuRounds[round];
        const least = (round) => beyondHttp(withRsa)(round) + seal.median;
        const share = middle((round) => beyondHttp(own)(round) / least(round));
        const idle = find("router", "openssl", { inFlight: 8 });
        const alone = (round) => beyondHttp(own)(round) / (idle.clientCpuRounds[round] + seal.median);
        return {
          measured:
            `${milliseconds(middle((round) => own.clientCpuRounds[round]))}, without Node's HTTP ` +
            `${milliseconds(middle(beyondHttp(own)))}, against ${milliseconds(middle(least))} for RSA under the same load ` +
            `(${percentLess(share, 1)})` +
            (idle === undefined
              ? ""
              : `; RSA by \`openssl speed\`, with nothing else on the cores, is ${milliseconds(middle((round) => idle.clientCpuRounds[round]))} (${percentLess(middle(alone), 1)})`),
          met: share <= 1.1,
        };
      },
    ),
    row("memory", "flat over 100 000 requests", () => [find("soak", "native")], flat),
    ...["ecc-p256", "rsa2048"].map((label) =>
      row(
        `attestation verification, ${label}`,
        "under 0.5 ms",
        () => [find("attestation", "native", { label })],
        (own) => atMost(0.5, own),
      ),
    ),
    row(
      "process start",
      "`import` under 20 ms, the key in the background",
      () => [find("start", "native")],
      (own) => ({
        measured: `import ${milliseconds(own.median)}, constructor ${milliseconds(own.construct)}, key there after ${milliseconds(own.ready.median)}`,
        met: own.median < 20,
      }),
    ),
    ...["seal", "open"].map((kind) =>
      row(
        `${kind}: growth from 1 KB to 9 MB`,
        "exponent at most 1.05",
        () => [growth.find((one) => one.kind === kind && one.contender === "native")],
        ({ exponent, exponentOfVariablePart: part }) => ({
          measured: `${exponent.toFixed(2)}; ${part.toFixed(2)} for what depends on the size`,
          met: exponent <= 1.05,
        }),
      ),
    ),
  ];
}

/** Whether the last fifth of a long run takes more than the second one did. */
function flat({ requests, memory }) {
  const part = (from, to) => memory.slice(Math.floor(memory.length * from), Math.ceil(memory.length * to));
  const typical = (samples, of) => summarise(samples.map(of)).median;
  const rss = (samples) => typical(samples, (sample) => sample.rss) / MiB;
  const pool = (samples) => typical(samples, (sample) => sample.pool.bytesMapped) / MiB;
  const early = part(0.2, 0.4);
  const late = part(0.8, 1);
  const rssGrowth = rss(late) - rss(early);
  const poolGrowth = pool(late) - pool(early);
  return {
    measured:
      `${requests.toLocaleString("en")} requests: RSS ${rss(early).toFixed(1)} → ${rss(late).toFixed(1)} MiB, ` +
      `pool ${pool(early).toFixed(2)} → ${pool(late).toFixed(2)} MiB`,
    // A shorter run cannot show it, except when it fails.
    met: rssGrowth > 8 || poolGrowth > 0 ? false : requests >= 100_000 ? true : null,
  };
}
