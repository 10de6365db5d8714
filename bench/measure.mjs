// Runs the chosen cases and makes the report. One loop: prepare, check, warm up, then everybody in turns; what differs
// is who is asked.
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { summarise } from "../dist/bench/statistics.js";
import { check } from "./check.mjs";
import { machine } from "./machine.mjs";
import { LineProcess, contenderProcess, output, partsOf, root } from "./processes.mjs";
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
  return {
    ...about(item, contender),
    ...summarise(turns.flatMap(({ samples }) => samples)),
    ...Object.fromEntries(figures),
    rounds,
  };
}

/** As many threads for private operations as this package has by default. */
const environment = { UV_THREADPOOL_SIZE: String(availableParallelism()) };

/** A client under load and the servers behind it, in processes of their own on this machine, over loopback. */
class Load {
  #processes = [];
  #client;
  #servers = [];
  #route;
  #folder;

  /**
   * @param {{servers: string[], client: string}} route each server gets the address of the one before, the client the
   * last one's
   */
  constructor(contender, route, folder) {
    this.contender = contender;
    this.#route = route;
    this.#folder = folder;
  }

  #start(kind, url, build = root) {
    const args = [kind, url, build, this.#folder];
    this.#processes.unshift(new LineProcess(`${this.contender} ${kind}`, "requests-process.mjs", args, environment));
    return this.#processes[0];
  }

  async ask(command) {
    if (command.do === "prepare") {
      let url = "";
      for (const kind of this.#route.servers) {
        this.#servers.push(this.#start(kind, url));
        ({ url } = await this.#servers.at(-1).ask({}));
      }
      // Another build takes part as client; servers are this one's for all.
      this.#client = this.#start(this.#route.client, url, partsOf(this.contender).folder);
      return {};
    }
    const before = await this.#ofServers();
    const { do: what, ...wanted } = command;
    const measured = await this.#client.ask(wanted);
    if (what === "warm") return {};
    const after = await this.#ofServers();
    // The last server is the one that the client talks to.
    const serverCpuMs = after.map(({ cpuMs }, index) => (cpuMs - before[index].cpuMs) / measured.requests);
    const [all, last] = [serverCpuMs.reduce((sum, each) => sum + each, 0), serverCpuMs.at(-1)];
    return { ...measured, serversCpuMs: all, serverCpuMs: last, serverLoop99: after.at(-1).loop99 };
  }

  #ofServers() {
    return Promise.all(this.#servers.map((server) => server.ask({})));
  }

  async end() {
    for (const one of this.#processes) await one.end();
  }
}

/** What is asked in the place of each contender. */
function started(item, contender, folder) {
  const route = item.routes?.[contender] ?? item.routes?.[partsOf(contender).name];
  return route === undefined ? contenderProcess(contender, item.kind) : new Load(contender, route, folder);
}

/** Starts the contenders, checks what each makes of the case before anything is timed, and ends all after `work`. */
async function withContenders(item, contenders, given, work) {
  const sides = contenders.map((contender) => ({ contender, process: started(item, contender, given.folder) }));
  try {
    const prepared = sides.map(async ({ contender, process }) => {
      const { variant } = partsOf(contender);
      const { evidence } = await process.ask({ ...item, ...given, do: "prepare", variant });
      if (evidence !== undefined) await check(item, contender, evidence, given.folder);
    });
    await Promise.all(prepared);
    return await work(sides.map(({ process }) => process));
  } finally {
    await Promise.all(sides.map(({ process }) => process.end()));
  }
}

/** How many rounds, and what each turn and the warm-up are asked for. */
function plan({ kind, samples, factor = 1, moreRounds = 1 }, { rounds, quick, turnMs, warmUpMs, soak }) {
  if (kind === "soak") return { count: 1, turn: { requests: soak }, warm: { requests: Math.ceil(soak / 20) } };
  // Under load until V8 has compiled what a request needs, which takes some thousand of them.
  const warm = { milliseconds: (factor > 1 ? 2 : 1) * factor * warmUpMs };
  return { count: rounds * (quick ? 1 : moreRounds), turn: { milliseconds: factor * turnMs, samples }, warm };
}

/** What every case goes through. */
async function measured(item, contenders, given, options) {
  const { count, turn, warm } = plan(item, options);
  const { isFresh = false, inFlights = [undefined] } = item;
  const all = [];
  const work = async (sides, inFlight, rounds) => {
    const turns = await inTurns(rounds, sides, (side) => side.ask({ do: "round", ...turn, inFlight }));
    const name = inFlight === undefined ? item.name : `${item.name} ${inFlight} in flight`;
    return { ...item, name, inFlight, turns };
  };
  if (isFresh) {
    const sets = [];
    for (let done = 0; done < count; done++) {
      sets.push(await withContenders(item, contenders, given, (sides) => work(sides, undefined, 1)));
    }
    all.push({ ...item, turns: contenders.map((_, index) => sets.flatMap(({ turns }) => turns[index])) });
  } else {
    await withContenders(item, contenders, given, async (sides) => {
      // What takes seconds is warm after the check.
      if (item.samples !== 1) for (const side of sides) await side.ask({ do: "warm", ...warm, inFlight: 8 });
      for (const inFlight of inFlights) all.push(await work(sides, inFlight, count));
    });
  }
  return all.flatMap(({ turns, ...one }) => turns.map((each, index) => result(one, contenders[index], each)));
}

/**
 * The C++ core alone, without Node: the google-benchmark programs of native/bench, where they have been built
 * (scripts/setup bench installs what they need):
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

/**
 * One result for each of their benchmarks: the median of its repetitions, of which google-benchmark wants more than
 * one.
 */
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
