// Runs one case: every contender in its own process, all checked, then warmed up, then timed in turns (A B C, B C A, C A B …), so that a
// machine that grows slower or faster meanwhile does so for all of them.
import { check } from "./check.mjs";
import { ContenderProcess } from "./line-process.mjs";
import { OpensslContender } from "./openssl-speed.mjs";
import { summarise } from "../dist/bench/statistics.js";

/**
 * @param {import("./plan.mjs").Case} item
 * @param {string[]} contenders those of the case that are there
 * @param {{folder: string, quick: boolean, rounds: number, turnMs: number, warmUpMs: number}} run
 * @returns {Promise<object[]>} one result per contender, in the case's order
 */
export async function interleave(item, contenders, run) {
  const processes = contenders.map((name) =>
    name === "openssl" ? new OpensslContender() : new ContenderProcess(name),
  );
  try {
    for (const contender of processes) await prepare(contender, item, run.folder);
    // What takes seconds is warm after the check.
    if (item.samples !== 1) {
      for (const contender of processes) await contender.ask({ do: "warm", milliseconds: run.warmUpMs });
    }
    const turns = processes.map(() => []);
    const rounds = run.rounds * (run.quick ? 1 : (item.moreRounds ?? 1));
    for (let round = 0; round < rounds; round++) {
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

/** Gives a process its case, and checks what it makes of it. */
export async function prepare(contender, { name, kind, content, size, label, pauseMs }, folder) {
  const { evidence } = await contender.ask({
    do: "prepare",
    ...{ kind, content, size, label, pauseMs, folder, variant: contender.variant },
  });
  if (evidence !== undefined) await check({ name, kind, content, size }, contender.contender, evidence, folder);
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
