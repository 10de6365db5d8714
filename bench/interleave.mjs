// Runs one case: every contender in its own process, all checked, then warmed up, then timed in turns (A B C, B C A, C A B …), so that a
// machine that grows slower or faster meanwhile does so for all of them.
import { ContenderProcess } from "./contender-process.mjs";
import { summarise } from "../dist/bench/statistics.js";

/**
 * @param {import("./plan.mjs").Case} item
 * @param {{folder: string, rounds: number, turnMs: number, warmUpMs: number, check(item, contender, evidence): Promise<void>}} run
 * @returns {Promise<object[]>} one result per contender, in the case's order
 */
export async function interleave(item, contenders, run) {
  const processes = contenders.map((name) => new ContenderProcess(name));
  try {
    for (const contender of processes) {
      const { kind, content, size, label } = item;
      const { evidence } = await contender.ask({
        do: "prepare",
        ...{ kind, content, size, label, folder: run.folder, variant: contender.variant },
      });
      await run.check(item, contender.contender, evidence);
    }
    for (const contender of processes) {
      await contender.ask({ do: "warm", milliseconds: item.samples === 1 ? 0 : run.warmUpMs });
    }
    const turns = processes.map(() => []);
    for (let round = 0; round < run.rounds; round++) {
      for (let step = 0; step < processes.length; step++) {
        const index = (round + step) % processes.length;
        turns[index].push(await processes[index].ask({ do: "round", milliseconds: run.turnMs, samples: item.samples }));
      }
    }
    return processes.map(({ contender }, index) => result(item, contender, turns[index]));
  } finally {
    await Promise.all(processes.map((contender) => contender.end()));
  }
}

function result({ name, kind, content, size, label }, contender, turns) {
  const samples = turns.flatMap((turn) => turn.samples);
  const baseline = turns.flatMap((turn) => turn.baseline);
  return {
    ...{ case: name, kind, content, size, label, contender, unit: "ms" },
    ...summarise(samples),
    /** The medians of the rounds, for ratios within a round. */
    rounds: turns.map((turn) => summarise(turn.samples).median),
    ...(baseline.length > 0 && { fixed: summarise(baseline).median }),
  };
}
