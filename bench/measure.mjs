// Runs the chosen cases and makes the report: machine, results, growth.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { summarise } from "../dist/bench/statistics.js";
import { check } from "./check.mjs";
import { growth } from "./growth.mjs";
import { machine } from "./machine.mjs";
import { ContenderProcess, OpensslContender, partsOf } from "./processes.mjs";
import { proxyLoad, routerLoad, soak } from "./requests.mjs";
import { inTurns } from "./turns.mjs";
import { WorkFolder } from "./work-folder.mjs";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

/** What a result says of its case. */
const about = ({ name, kind, content, size, label }, contender) => ({
  ...{ case: name, kind, content, size, label, contender, unit: "ms" },
});

/** Starts the contenders' processes and checks what each makes of the case, before anything is timed; all are ended after `work`. */
async function withContenders(item, contenders, { folder }, work) {
  const processes = contenders.map((name) =>
    name === "openssl" ? new OpensslContender() : new ContenderProcess(name),
  );
  try {
    for (const one of processes) {
      const { evidence } = await one.ask({ do: "prepare", ...item, folder, variant: one.variant });
      if (evidence !== undefined) await check(item, one.contender, evidence, folder);
    }
    return await work(processes);
  } finally {
    await Promise.all(processes.map((one) => one.end()));
  }
}

/** Calls, one by one. */
function timed(item, contenders, options) {
  return withContenders(item, contenders, options, async (processes) => {
    // What takes seconds is warm after the check.
    if (item.samples !== 1) {
      for (const one of processes) await one.ask({ do: "warm", milliseconds: options.warmUpMs });
    }
    const rounds = options.rounds * (options.quick ? 1 : (item.moreRounds ?? 1));
    const turns = await inTurns(rounds, processes, (one) =>
      one.ask({ do: "round", milliseconds: options.turnMs, samples: item.samples }),
    );
    return processes.map(({ contender }, index) => {
      const baseline = turns[index].flatMap((turn) => turn.baseline);
      return {
        ...about(item, contender),
        ...summarise(turns[index].flatMap((turn) => turn.samples)),
        /** The medians of the rounds, for ratios within a round. */
        rounds: turns[index].map((turn) => summarise(turn.samples).median),
        ...(baseline.length > 0 && { fixed: summarise(baseline).median }),
      };
    });
  });
}

/** How long the JavaScript thread is kept waiting while private operations are under way. */
function stalls(item, contenders, options) {
  return withContenders(item, contenders, options, async (processes) => {
    const ask = (one) => one.ask({ do: "stall", milliseconds: 5 * options.turnMs });
    const turns = await inTurns(options.rounds, processes, ask);
    return processes.map(({ contender }, index) => {
      const middle = (name) => summarise(turns[index].map((turn) => turn[name])).median;
      return {
        ...about(item, contender),
        ...{ median: middle("median"), p99: middle("p99"), p999: middle("p999"), max: middle("max") },
        worst: Math.max(...turns[index].map((turn) => turn.max)),
        completed: turns[index].reduce((total, turn) => total + turn.completed, 0),
      };
    });
  });
}

/** From nothing to a client, in fresh processes. Both names resolve as they do for users. */
const starts = {
  native: `
    const begin = performance.now();
    const { SecureChatCompletion } = await import("nomyo-native");
    const imported = performance.now();
    const client = new SecureChatCompletion({ apiKey: null });
    const constructed = performance.now();
    const ready = process.argv[1] === "ready" ? await client.ready().then(() => performance.now() - begin) : undefined;
    console.log(JSON.stringify({ import: imported - begin, construct: constructed - imported, ready }));
    await client.close();`,
  openai: `
    const begin = performance.now();
    const { default: OpenAI } = await import("openai");
    const imported = performance.now();
    new OpenAI({ apiKey: "none" });
    console.log(JSON.stringify({ import: imported - begin, construct: performance.now() - imported }));`,
};

async function start(contender, ...args) {
  const { name, folder = root } = partsOf(contender);
  const command = ["--input-type=module", "--eval", starts[name], "--", ...args];
  return JSON.parse((await run(process.execPath, command, { cwd: folder })).stdout);
}

/** Results whose samples are the import; beside it `construct` and `ready` (with its key generated) in milliseconds. */
async function processStart(item, contenders, { rounds }) {
  // Files come out of the disk's cache from the second start on.
  for (const contender of contenders) await start(contender);
  const turns = await inTurns(2 * rounds, contenders, (contender) => start(contender));
  const untilReady = async () => (await start("native", "ready")).ready;
  const [ready] = await inTurns(Math.ceil(rounds / 2), contenders.includes("native") ? ["native"] : [], untilReady);
  return contenders.map((contender, index) => ({
    ...about(item, contender),
    ...summarise(turns[index].map((one) => one.import)),
    rounds: turns[index].map((one) => one.import),
    construct: summarise(turns[index].map((one) => one.construct)).median,
    ...(contender === "native" && { ready: summarise(ready) }),
  }));
}

/**
 * The C++ core alone, without Node: the google-benchmark programs of native/bench, where they have been built (scripts/setup bench installs
 * what they need):
 *   cmake -S . -B build/bench -G Ninja -DNOMYO_BUILD_ADDON=OFF -DNOMYO_BUILD_BENCHMARKS=ON && cmake --build build/bench
 */
function corePrograms() {
  const folder = `${root}build/bench/native/`;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  // pool_bench compares two allocators and prints a table of its own.
  return names
    .filter((name) => /_bench(\.exe)?$/.test(name) && !name.startsWith("pool_bench"))
    .map((name) => folder + name);
}

const inMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3 };

/** One result for each of their benchmarks: the median of its repetitions, of which google-benchmark wants more than one. */
async function coreSpeed(item, _contenders, { rounds, turnMs }) {
  const results = [];
  for (const program of corePrograms()) {
    const repetitions = `--benchmark_repetitions=${Math.max(3, Math.min(rounds, 5))}`;
    const form = ["--benchmark_format=json", "--benchmark_report_aggregates_only=true"];
    const { stdout } = await run(program, [...form, repetitions, `--benchmark_min_time=${turnMs / 1000}`]);
    for (const one of JSON.parse(stdout).benchmarks.filter(({ aggregate_name: name }) => name === "median")) {
      const median = one.real_time * inMs[one.time_unit];
      results.push({ ...about(item, "core"), label: one.run_name, median, bytesPerSecond: one.bytes_per_second });
    }
  }
  return results;
}

/** Kinds that are not timed call by call. */
const special = { stall: stalls, start: processStart, router: routerLoad, proxy: proxyLoad, soak, core: coreSpeed };

/**
 * @param {import("./cases.mjs").Case[]} cases
 * @param {(line: string) => void} progress
 * @returns {Promise<object>} the report without its verdicts
 */
export async function measure(cases, options, progress) {
  const begin = performance.now();
  const startedAt = new Date().toISOString();
  const surroundings = await machine();
  const { cryptography, opensslCommand } = surroundings.versions;
  const missing = { python: !cryptography, openssl: !opensslCommand, core: corePrograms().length === 0 };
  const folder = new WorkFolder();
  const results = [];
  try {
    for (const [index, item] of cases.entries()) {
      const contenders = item.contenders.filter((name) => !missing[name]);
      progress(`${String(index + 1).padStart(3)}/${cases.length}  ${item.name}`);
      if (contenders.length === 0) continue;
      folder.add(item);
      results.push(...(await (special[item.kind] ?? timed)(item, contenders, { ...options, folder: folder.path })));
    }
  } finally {
    folder.remove();
  }
  const { quick, rounds } = options;
  const seconds = (performance.now() - begin) / 1000;
  return { schema: 1, startedAt, seconds, quick, rounds, ...surroundings, results, growth: growth(results) };
}
