// contender.mjs NAME: one contender in a process of its own. Reads commands, one JSON text per line, answers each with one line:
//   {do: "prepare", kind, variant?, content?, size?, label?, pauseMs?, folder}  → {evidence}: what the measuring side checks before it times
//   {do: "warm", milliseconds} → {}
//   {do: "round", milliseconds, samples?} → {samples, baseline}: milliseconds of single runs; baseline: of the same on a 2-byte request
//   {do: "measure", …} → what the kind measures by itself
import { createInterface } from "node:readline";
import { Sampler } from "../dist/bench/sampler.js";

const { kinds } = await import(`./contenders/${process.argv[2]}.mjs`);
let job;
let samplers = [];

const commands = {
  async prepare(command) {
    const make = kinds[command.kind];
    if (make === undefined) throw new Error(`does not do ${command.kind}`);
    job = await make(command);
    samplers = [job.operation, job.baseline].map((operation) => operation && new Sampler(operation, command.pauseMs));
    return { evidence: await job.evidence() };
  },
  async warm({ milliseconds }) {
    for (const sampler of samplers) await sampler?.warmUp(milliseconds);
    return {};
  },
  async round({ milliseconds, samples }) {
    const [main, baseline] = samplers;
    return {
      samples: await main.round(milliseconds, samples),
      baseline: (await baseline?.round(milliseconds / 4)) ?? [],
    };
  },
  async measure(command) {
    return await job.measure(command);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: error.stack ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
