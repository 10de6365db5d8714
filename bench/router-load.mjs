// Whole requests through the local router: router and client in processes of their own, on the same machine, over loopback.
import { availableParallelism } from "node:os";
import { LineProcess, nodeScript } from "./line-process.mjs";
import { rsaOnAllCores } from "./openssl-speed.mjs";
import { summarise } from "../dist/bench/statistics.js";

const clients = {
  native: ["load/native-client.mjs"],
  node: ["load/node-client.mjs"],
  http: ["load/http-client.mjs"],
  "http-rsa": ["load/http-client.mjs", "rsa"],
};
/** As many threads for private operations as this package has by default. */
const environment = { UV_THREADPOOL_SIZE: String(availableParallelism()) };
/** Bytes of a request: a short prompt, so that what is measured is the way and not the size. */
const bytes = 1024;

/** Starts a router, and a client of each kind; `work` gets them; all are stopped afterwards. */
async function withClients(names, work) {
  const processes = [];
  const start = (name, command) => {
    const started = new LineProcess(name, command, environment);
    processes.unshift(started);
    return started;
  };
  try {
    const router = start("router", nodeScript("load/router.mjs"));
    const { url } = await router.next();
    const loads = [];
    for (const name of names) {
      const [script, ...options] = clients[name];
      const client = start(`${name} client`, nodeScript(script, url, ...options));
      await client.next();
      loads.push({ name, client });
    }
    return await work(loads, router);
  } finally {
    for (const started of processes) await started.end();
  }
}

/**
 * Requests a second, latency and CPU, for each contender in turns; in each round the bare private operation on all cores too, since
 * how fast that is changes with what else the machine does.
 */
export function routerLoad(item, contenders, { rounds, turnMs, warmUpMs, quick }) {
  return withClients(
    contenders.filter((name) => name in clients),
    async (loads, router) => {
      const turns = loads.map(() => []);
      const rsa = [];
      // Until V8 has compiled what a request needs, which takes some thousand requests: a server is measured that has run for a while.
      const milliseconds = (quick ? 6 : 40) * warmUpMs;
      const turn = (quick ? 5 : 15) * turnMs;
      for (const { client } of loads) await client.ask({ do: "load", milliseconds, inFlight: item.inFlight, bytes });
      for (let round = 0; round < rounds; round++) {
        if (contenders.includes("openssl")) rsa.push(await rsaOnAllCores(Math.ceil(turn / 1000)));
        for (let step = 0; step < loads.length; step++) {
          const index = (round + step) % loads.length;
          const before = (await router.ask({})).cpuMs;
          const measured = await loads[index].client.ask({
            do: "load",
            milliseconds: turn,
            inFlight: item.inFlight,
            bytes,
          });
          turns[index].push({ ...measured, routerCpuMs: (await router.ask({})).cpuMs - before });
        }
      }
      const results = loads.map(({ name }, index) => loadResult(item, name, turns[index]));
      return rsa.length === 0 ? results : [...results, rsaResult(item, rsa)];
    },
  );
}

/** CPU milliseconds of the private operation alone, in each round. */
function rsaResult({ name, kind, label, inFlight }, rounds) {
  return {
    ...{ case: name, kind, label, inFlight, contender: "openssl", unit: "ms" },
    ...summarise(rounds),
    clientCpuRounds: rounds,
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function loadResult({ name, kind, label, inFlight }, contender, turns) {
  const requests = sum(turns.map((turn) => turn.requests));
  const last = turns.at(-1).memory.at(-1);
  return {
    ...{ case: name, kind, label, inFlight, contender, unit: "ms" },
    ...summarise(turns.flatMap((turn) => turn.latencies)),
    rounds: turns.map((turn) => summarise(turn.latencies).median),
    requestsPerSecond: requests / sum(turns.map((turn) => turn.seconds)),
    clientCpuMs: sum(turns.map((turn) => turn.cpuMs)) / requests,
    clientCpuRounds: turns.map((turn) => turn.cpuMs / turn.requests),
    routerCpuMs: sum(turns.map((turn) => turn.routerCpuMs)) / requests,
    stall: {
      median: summarise(turns.map((turn) => turn.stall.median)).median,
      p99: summarise(turns.map((turn) => turn.stall.p99)).median,
      max: Math.max(...turns.map((turn) => turn.stall.max)),
    },
    rssBefore: turns[0].memory[0].rss,
    rssAfter: last.rss,
  };
}

/** Many requests, and what memory does meanwhile. */
export function soak({ name, kind, label }, requests) {
  return withClients(["native"], async ([{ client }], router) => {
    // What is allocated once (compiled code, connections, the pool's chunks) is there after this.
    const inFlight = 8;
    await client.ask({ do: "load", requests: Math.ceil(Math.min(requests, 5000) / 5), inFlight, bytes });
    const routerBefore = (await router.ask({})).rss;
    const { memory, seconds, cpuMs } = await client.ask({ do: "load", requests, inFlight, bytes });
    const routerAfter = (await router.ask({})).rss;
    return [
      {
        ...{
          case: name,
          kind,
          label,
          contender: "native",
          unit: "MiB",
          requests,
          seconds,
          memory,
          routerBefore,
          routerAfter,
        },
        requestsPerSecond: requests / seconds,
        clientCpuMs: cpuMs / requests,
      },
    ];
  });
}
