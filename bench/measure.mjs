// Runs the chosen cases and makes the report. One loop: prepare, check, warm up, then everybody in turns; what differs
// is who is asked.
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { summarise } from "../dist/bench/statistics.js";
import { check } from "./check.mjs";
import { machine } from "./machine.mjs";
import { LineProcess, output, partsOf, root } from "./processes.mjs";
import { WorkFolder } from "./work-folder.mjs";

const middle = (values) => summarise(values).median;

/** What a result says of its case. */
const about = ({ name, kind, content, size, label, inFlight }, contender) => ({
  ...{ case: name, kind, content, size, label, inFlight, contender, unit: "ms" },
});

/**
 * Everybody in turns (A B C, B C A, …), so that a machine that grows slower or faster meanwhile does so for all of
 * them.
 */
async function inTurns(rounds, sides, ask) {
  const answers = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let step = 0; step < sides.length; step++) {
      const index = (round + step) % sides.length;
      answers[index].push(await ask(sides[index]));
    }
  }
  return answers;
}

/** The turns of one contender: of all samples, and of each round; figures beside them are medians of the rounds. */
function result(item, contender, turns) {
  const rounds = turns.map(({ samples, ...figures }) => ({
    ...(samples.length > 0 && { median: middle(samples), p90: summarise(samples).p90 }),
    ...figures,
  }));
  const names = Object.keys(rounds[0]).filter((name) => name !== "median" && name !== "p90");
  const figures = names.map((name) => [name, middle(rounds.map((round) => round[name]))]);
  const all = summarise(turns.flatMap(({ samples }) => samples));
  return { ...about(item, contender), ...all, ...Object.fromEntries(figures), rounds };
}

/** As many threads for private operations as this package has by default. */
const environment = { UV_THREADPOOL_SIZE: String(availableParallelism()) };

/** The process of a contender, ready to be asked: `prepare`, `warm`, `round`. */
function started(item, contender, directory) {
  const { name, folder } = partsOf(contender);
  const route = item.routes?.[contender] ?? item.routes?.[name];
  if (route !== undefined) {
    const args = [route.client, route.servers.join(","), folder, directory];
    return new LineProcess(contender, "requests.mjs", args, environment);
  }
  if (name === "python") return new LineProcess(contender, "contenders/python.py");
  return new LineProcess(contender, "contender.mjs", [name, folder]);
}

/** Starts the contenders, checks what each makes of the case before anything is timed, and ends all after `work`. */
async function withContenders(item, contenders, given, work) {
  const sides = contenders.map((contender) => started(item, contender, given.folder));
  try {
    const prepared = sides.map(async (side, index) => {
      const { variant } = partsOf(contenders[index]);
      const { evidence } = await side.ask({ ...item, ...given, do: "prepare", variant });
      if (evidence !== undefined) await check(item, contenders[index], evidence, given.folder);
    });
    await Promise.all(prepared);
    return await work(sides);
  } finally {
    await Promise.all(sides.map((side) => side.end()));
  }
}

/** How many rounds, and what each turn and the warm-up are asked for. */
function plan({ kind, samples, factor = 1, moreRounds = 1 }, { rounds, quick, turnMs, warmUpMs, soak }) {
  if (kind === "soak") return { count: 1, turn: { requests: soak }, warm: { requests: Math.ceil(soak / 20) } };
  // Under load until V8 has compiled what a request needs, which takes some thousand of them.
  const warm = { milliseconds: (factor > 1 ? 2 : 1) * factor * warmUpMs };
  return { count: rounds * (quick ? 1 : moreRounds), turn: { milliseconds: factor * turnMs, samples }, warm };
}

/** What every case goes through; some in new processes for each round. */
async function measured(item, contenders, given, options) {
  const { count, turn, warm } = plan(item, options);
  const { isFresh = false, inFlights = [undefined] } = item;
  const turns = inFlights.map(() => contenders.map(() => []));
  const [times, rounds] = isFresh ? [count, 1] : [1, count];
  for (let done = 0; done < times; done++) {
    await withContenders(item, contenders, given, async (sides) => {
      // What takes seconds is warm after the check.
      if (item.samples !== 1) for (const side of sides) await side.ask({ do: "warm", ...warm, inFlight: 8 });
      for (const [at, inFlight] of inFlights.entries()) {
        const answers = await inTurns(rounds, sides, (side) => side.ask({ do: "round", ...turn, inFlight }));
        answers.forEach((more, index) => turns[at][index].push(...more));
      }
    });
  }
  return inFlights.flatMap((inFlight, at) => {
    const name = inFlight === undefined ? item.name : `${item.name} ${inFlight} in flight`;
    return contenders.map((contender, index) => result({ ...item, name, inFlight }, contender, turns[at][index]));
  });
}

/**
 * The C++ core alone, without Node: the google-benchmark programs of native/bench, where they have been built
 * (scripts/setup bench installs what they need); pool_bench compares two allocators and prints a table of its own.
 *   cmake -S . -B build/bench -G Ninja -DNOMYO_BUILD_ADDON=OFF -DNOMYO_BUILD_BENCHMARKS=ON && cmake --build build/bench
 */
function corePrograms() {
  const folder = `${root}build/bench/native/`;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const own = names.filter((name) => /_bench(\.exe)?$/.test(name) && !name.startsWith("pool_bench"));
  return own.map((name) => folder + name);
}

const inMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3 };

/** One result for each: the median of its repetitions, of which google-benchmark wants more than one. */
async function coreSpeed(item, { rounds, turnMs }) {
  const results = [];
  for (const program of corePrograms()) {
    const repetitions = `--benchmark_repetitions=${Math.max(3, Math.min(rounds, 5))}`;
    const form = ["--benchmark_format=json", "--benchmark_report_aggregates_only=true"];
    const text = await output(program, [...form, repetitions, `--benchmark_min_time=${turnMs / 1000}`]);
    for (const one of JSON.parse(text).benchmarks.filter(({ aggregate_name: name }) => name === "median")) {
      const median = one.real_time * inMs[one.time_unit];
      results.push({ ...about({ ...item, name: one.run_name }, "core"), median, rounds: [{ median }] });
    }
  }
  return results;
}

/**
 * @param {import("./cases.mjs").Case[]} cases
 * @param {(line: string) => void} progress
 * @returns {Promise<object>} the report without its verdicts
 */
export async function measure(cases, options, progress) {
  const begin = performance.now();
  const startedAt = new Date().toISOString();
  const surroundings = await machine();
  const { cryptography, opensslCommand, swtpm } = surroundings.versions;
  const missing = { python: !cryptography, openssl: !opensslCommand, core: corePrograms().length === 0 };
  const folder = new WorkFolder();
  const given = { folder: folder.path, tcti: options.tcti };
  const results = [];
  try {
    for (const [index, item] of cases.entries()) {
      const isMissing = item.kind === "quote" && !swtpm && options.tcti === undefined;
      const contenders = isMissing ? [] : item.contenders.filter((name) => !missing[name]);
      progress(`${String(index + 1).padStart(3)}/${cases.length}  ${item.name}`);
      if (contenders.length === 0) continue;
      folder.add(item);
      const run = item.kind === "core" ? coreSpeed(item, options) : measured(item, contenders, given, options);
      results.push(...(await run));
    }
  } finally {
    folder.remove();
  }
  const { quick, rounds } = options;
  const seconds = (performance.now() - begin) / 1000;
  return { schema: 2, startedAt, seconds, quick, rounds, ...surroundings, results };
}
