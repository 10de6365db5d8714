// Whole requests through the local router: router and client in processes of their own, on the same machine, over loopback.
import { availableParallelism } from "node:os";
import { summarise } from "../dist/bench/statistics.js";
import { LineProcess, partsOf, rsaOnAllCores } from "./processes.mjs";
import { inTurns } from "./turns.mjs";

/** As many threads for private operations as this package has by default. */
const environment = { UV_THREADPOOL_SIZE: String(availableParallelism()) };
/** Bytes of a request: a short prompt, so that what is measured is the way and not the size. */
const bytes = 1024;

/** Starts a router, and a client of each kind; `work` gets them; all are stopped afterwards. */
async function withClients(names, work) {
  const processes = [];
  const start = (name, ...args) => {
    processes.unshift(new LineProcess(name, "requests-process.mjs", args, environment));
    return processes[0];
  };
  try {
    const router = start("router", "router");
    const { url } = await router.next();
    const loads = [];
    for (const contender of names) {
      const { name, folder = ".." } = partsOf(contender);
      const client = start(`${contender} client`, name, url, folder);
      await client.next();
      loads.push({ name: contender, load: (command) => client.ask({ bytes, ...command }) });
    }
    return await work(loads, () => router.ask({}));
  } finally {
    for (const started of processes) await started.end();
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const middle = (values) => summarise(values).median;

/**
 * Requests a second, latency and CPU, for each contender in turns; in each round the bare private operation on all cores too, since
 * how fast that is changes with what else the machine does.
 */
export function routerLoad(item, contenders, { rounds, turnMs, warmUpMs, quick }) {
  const { inFlight } = item;
  const names = contenders.filter((name) => name !== "openssl");
  return withClients(names, async (loads, router) => {
    // Until V8 has compiled what a request needs, which takes some thousand requests: a server is measured that has run for a while.
    for (const { load } of loads) await load({ milliseconds: (quick ? 6 : 40) * warmUpMs, inFlight });
    const milliseconds = (quick ? 5 : 15) * turnMs;
    const rsa = [];
    const turns = await inTurns(
      rounds,
      loads,
      async ({ load }) => {
        const before = (await router()).cpuMs;
        const measured = await load({ milliseconds, inFlight });
        return { ...measured, routerCpuMs: (await router()).cpuMs - before };
      },
      async () => {
        if (contenders.includes("openssl")) rsa.push(await rsaOnAllCores(Math.ceil(milliseconds / 1000)));
      },
    );
    const results = loads.map(({ name }, index) => ({ ...about(item, name), ...loadFigures(turns[index]) }));
    const alone = { ...about(item, "openssl"), ...summarise(rsa), clientCpuRounds: rsa };
    return rsa.length === 0 ? results : [...results, alone];
  });
}

const about = ({ name, kind, label, inFlight }, contender) => ({
  ...{ case: name, kind, label, inFlight, contender, unit: "ms" },
});

function loadFigures(turns) {
  const of = (name) => turns.map((turn) => turn[name]);
  const stall = (name) => of("stall").map((delays) => delays[name]);
  const requests = sum(of("requests"));
  return {
    ...summarise(of("latencies").flat()),
    rounds: of("latencies").map(middle),
    requestsPerSecond: requests / sum(of("seconds")),
    clientCpuMs: sum(of("cpuMs")) / requests,
    clientCpuRounds: turns.map((turn) => turn.cpuMs / turn.requests),
    routerCpuMs: sum(of("routerCpuMs")) / requests,
    stall: { median: middle(stall("median")), p99: middle(stall("p99")), max: Math.max(...stall("max")) },
    rssBefore: turns[0].memory[0].rss,
    rssAfter: turns.at(-1).memory.at(-1).rss,
  };
}

/** Many requests, and what memory does meanwhile. */
export function soak(item, _contenders, { soak: requests }) {
  return withClients(["native"], async ([{ load }], router) => {
    // What is allocated once (compiled code, connections, the pool's chunks) is there after this.
    await load({ requests: Math.ceil(Math.min(requests, 5000) / 5), inFlight: 8 });
    const routerBefore = (await router()).rss;
    const { memory, seconds, cpuMs } = await load({ requests, inFlight: 8 });
    const routerAfter = (await router()).rss;
    const figures = { requests, seconds, memory, routerBefore, routerAfter };
    const each = { requestsPerSecond: requests / seconds, clientCpuMs: cpuMs / requests };
    return [{ ...about(item, "native"), unit: "MiB", ...figures, ...each }];
  });
}
