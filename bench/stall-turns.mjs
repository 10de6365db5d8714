// How long the JavaScript thread is kept waiting while private operations are under way, in turns.
import { prepare } from "./interleave.mjs";
import { ContenderProcess } from "./line-process.mjs";
import { summarise } from "../dist/bench/statistics.js";

export async function stallTurns(item, contenders, { folder, rounds, turnMs }) {
  const processes = contenders.map((contender) => new ContenderProcess(contender));
  try {
    for (const contender of processes) await prepare(contender, item, folder);
    const turns = processes.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const [index, contender] of processes.entries()) {
        turns[index].push(await contender.ask({ do: "measure", milliseconds: 5 * turnMs }));
      }
    }
    return processes.map(({ contender }, index) => {
      const middle = (name) => summarise(turns[index].map((turn) => turn[name])).median;
      return {
        ...{ case: item.name, kind: item.kind, label: item.label, contender, unit: "ms" },
        ...{ median: middle("median"), p99: middle("p99"), p999: middle("p999"), max: middle("max") },
        worst: Math.max(...turns[index].map((turn) => turn.max)),
        completed: turns[index].reduce((total, turn) => total + turn.completed, 0),
      };
    });
  } finally {
    await Promise.all(processes.map((contender) => contender.end()));
  }
}
