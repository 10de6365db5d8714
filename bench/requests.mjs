// Whole requests through the local router: router and client in processes of their own, on the same machine, over loopback.
import { availableParallelism } from "node:os";
import { summarise } from "../dist/bench/statistics.js";
import { LineProcess, partsOf, rsaOnAllCores } from "./processes.mjs";
import { inTurns } from "./turns.mjs";

/** As many threads for private operations as this package has by default. */
const environment = { UV_THREADPOOL_SIZE: String(availableParallelism()) };
/** Bytes of a request: a short prompt, so that what is measured is the way and not the size. */
const bytes = 1024;

/** `work` gets what starts a process; all of them are ended afterwards, the last first. */
async function withProcesses(work) {
  const processes = [];
  const start = (name, ...args) => {
    processes.unshift(new LineProcess(name, "requests-process.mjs", args, environment));
    return processes[0];
  };
  try {
    return await work(start);
  } finally {
    for (const started of processes) await started.end();
  }
}

/** A client process under load, and the CPU of the servers that work for it. */
async function clientOf(start, contender, url, servers) {
  const { name, variant = "", folder = ".." } = partsOf(contender);
  const client = start(`${contender} client`, [name, variant].filter(Boolean).join("-"), url, folder);
  await client.next();
  return {
    name: contender,
    load: (command) => client.ask({ bytes, ...command }),
    serversCpuMs: async () => sum(await Promise.all(servers.map(async (server) => (await server.ask({})).cpuMs))),
  };
}

/** Starts a router, and a client of each kind. */
const withClients = (names, work) =>
  withProcesses(async (start) => {
    const router = start("router", "router");
    const { url } = await router.next();
    const loads = [];
    for (const contender of names) loads.push(await clientOf(start, contender, url, [router]));
    return await work(loads, () => router.ask({}));
  });

const sum = (values) => values.reduce((total, value) => total + value, 0);
const middle = (values) => summarise(values).median;

/**
 * Requests a second, latency and CPU, for each contender in turns; in each round the bare private operation on all cores too, since
 * how fast that is changes with what else the machine does.
 */
export function routerLoad(item, contenders, options) {
  const names = contenders.filter((name) => name !== "openssl");
  return withClients(names, async (loads) => {
    const rsa = [];
    const results = await underLoad(item, loads, options, async (milliseconds) => {
      if (contenders.includes("openssl")) rsa.push(await rsaOnAllCores(Math.ceil(milliseconds / 1000)));
    });
    const alone = { ...about(item, "openssl"), ...summarise(rsa), clientCpuRounds: rsa };
    return rsa.length === 0 ? results : [...results, alone];
  });
}

/** What stands between the openai package and what answers it: each server gets the address of the one before. */
const serversBetween = {
  "openai:fetch": ["router"],
  "openai:proxy": ["router", "proxy"],
  "openai:reverse": ["model", "reverse"],
};

/** The same for the openai package: on createSecureFetch, through our proxy, and through a plain reverse proxy, where nothing is sealed. */
export function proxyLoad(item, contenders, options) {
  return withProcesses(async (start) => {
    const loads = [];
    for (const contender of contenders) {
      const servers = [];
      let url = "";
      for (const kind of serversBetween[contender]) {
        servers.push(start(kind, kind, url));
        ({ url } = await servers.at(-1).next());
      }
      loads.push(await clientOf(start, contender, url, servers));
    }
    return await underLoad(item, loads, options);
  });
}

async function underLoad(item, loads, { rounds, turnMs, warmUpMs, quick }, betweenRounds = () => undefined) {
  const { inFlight } = item;
  // Until V8 has compiled what a request needs, which takes some thousand requests: a server is measured that has run for a while.
  for (const { load } of loads) await load({ milliseconds: (quick ? 6 : 40) * warmUpMs, inFlight });
  const milliseconds = (quick ? 5 : 15) * turnMs;
  const turns = await inTurns(
    rounds,
    loads,
    async ({ load, serversCpuMs }) => {
      const before = await serversCpuMs();
      const measured = await load({ milliseconds, inFlight });
      return { ...measured, routerCpuMs: (await serversCpuMs()) - before };
    },
    () => betweenRounds(milliseconds),
  );
  return loads.map(({ name }, index) => ({ ...about(item, name), ...loadFigures(turns[index]) }));
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
