// Runs the chosen cases and makes the report: machine, results, growth, bounds.
import { availableContenders } from "./available.mjs";
import { bounds } from "./bounds.mjs";
import { coreSpeed } from "./core-speed.mjs";
import { growth } from "./growth.mjs";
import { interleave } from "./interleave.mjs";
import { machine } from "./machine.mjs";
import { processStart } from "./process-start.mjs";
import { routerLoad, soak } from "./router-load.mjs";
import { stallTurns } from "./stall-turns.mjs";
import { WorkFolder } from "./work-folder.mjs";

/** Kinds that are not timed call by call in turns. */
const special = {
  stall: stallTurns,
  start: processStart,
  router: routerLoad,
  soak: (item, _contenders, { soak: requests }) => soak(item, requests),
  core: coreSpeed,
};

/**
 * @param {import("./plan.mjs").Case[]} cases
 * @param {(line: string) => void} progress
 * @returns {Promise<object>} the report, as `--json` writes it
 */
export async function measure(cases, options, progress) {
  const begin = performance.now();
  const startedAt = new Date().toISOString();
  const surroundings = await machine();
  const isThere = availableContenders(surroundings.versions);
  const folder = new WorkFolder();
  const results = [];
  try {
    for (const [index, item] of cases.entries()) {
      const contenders = item.contenders.filter(isThere);
      progress(`${String(index + 1).padStart(3)}/${cases.length}  ${item.name}`);
      if (contenders.length === 0) continue;
      folder.add(item);
      const run = { ...options, folder: folder.path };
      results.push(...(await (special[item.kind] ?? interleave)(item, contenders, run)));
    }
  } finally {
    folder.remove();
  }
  const report = {
    schema: 1,
    startedAt,
    seconds: (performance.now() - begin) / 1000,
    quick: options.quick,
    rounds: options.rounds,
    ...surroundings,
    results,
    growth: growth(results),
  };
  return { ...report, bounds: bounds(report) };
}
