// scripts/soak-run.mjs (--requests N | --hours N): the load of scripts/soak, and its account. Ends with 1 where an
// answer was wrong, a request failed that was not given up, or memory has grown.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { toldCommand } from "./told-command.mjs";

const require = createRequire(import.meta.url);
const nomyo = require("../dist/index.js");

/** Requests that are under way at a time, of each worker. */
const AT_A_TIME = 8;
/** Requests of a worker's life. */
const LIFE = 100;
/** Of so many requests one is given up. */
const GIVEN_UP = 20;
/** What a process may hold more at the end than after the first tenth. */
const GROWTH_KIB = 32 * 1024;
const ROTATION_MS = 20_000;
const environment = { NOMYO_API_KEY: "soak" };
/** Of a thread of the package (kJobStackBytes), and what the pools may hold more at the end. */
const STACK_BYTES = 128 * 1024;
const POOL_BYTES = 64 * 1024;

if (isMainThread) await lead();
else await work();

/** A worker: its client and its requests, each to the router or, by plain HTTP, to the proxy. */
async function work() {
  const { routerUrl, proxyUrl, first, count } = workerData;
  const client = new nomyo.SecureChatCompletion({
    baseUrl: routerUrl,
    ...{ allowHttp: true, apiKey: null, maxRetries: 0, keyRotationInterval: ROTATION_MS },
  });
  const agent = new http.Agent({ keepAlive: true });
  const told = { right: 0, givenUp: 0, wrong: 0, failed: [] };
  let next = first;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let index = next++; index < first + count; index = next++) await one(index);
    }),
  );
  agent.destroy();
  await client.close();
  parentPort.postMessage(told);

  async function one(index) {
    const prompt = `${index}:${'abß€👋\n"\\'.repeat(randomInt(1, 400))}:${index}.`;
    const request = { model: "m", messages: [{ role: "user", content: prompt }] };
    const stop = new AbortController();
    const givenUp = randomInt(GIVEN_UP) === 0;
    if (givenUp) setTimeout(() => stop.abort(), randomInt(100)).unref();
    try {
      const answer =
        index % 3 === 0 ? await byProxy(request, stop.signal) : await client.create(request, { signal: stop.signal });
      if (answer.choices[0].message.content.endsWith(prompt)) told.right += 1;
      else told.wrong += 1;
    } catch (error) {
      if (stop.signal.aborted) told.givenUp += 1;
      else told.failed.push(`${error.name} ${error.code ?? ""}: ${error.message}`);
    }
  }

  function byProxy(request, signal) {
    return new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json" };
      const sent = http.request(
        `${proxyUrl}/chat/completions`,
        { method: "POST", agent, headers, signal },
        (response) => {
          const parts = [];
          response.on("data", (part) => parts.push(part));
          response.once("error", reject);
          response.once("end", () => {
            const text = Buffer.concat(parts).toString();
            if (response.statusCode === 200) resolve(JSON.parse(text));
            else reject(new Error(`status ${response.statusCode}: ${text}`));
          });
        },
      );
      sent.once("error", reject);
      sent.end(JSON.stringify(request));
    });
  }
}

/** Router and proxy as processes, and what they and this one hold. */
async function stage() {
  const router = await toldCommand(environment, "router");
  const routerUrl = router.told.url;
  const proxy = await toldCommand(environment, "proxy", "--base-url", routerUrl, "--allow-http");
  const proxyUrl = proxy.told.base_url;
  const processes = { router: router.child.pid, proxy: proxy.child.pid, clients: process.pid };
  const metric = async (name) => {
    const text = await (await fetch(proxyUrl.replace(/\/v1$/, "/metrics"))).text();
    return Number(new RegExp(`^nomyo_proxy_${name} (\\d+)$`, "m").exec(text)[1]);
  };
  return {
    urls: { routerUrl, proxyUrl },
    resident: () =>
      Object.fromEntries(
        Object.entries(processes).map(([name, pid]) => [
          name,
          Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]),
        ]),
      ),
    /** What the two pools hold, without the stacks of their threads, when the proxy has no job left. */
    async pools() {
      while ((await metric("jobs")) > 0) await sleep(20);
      const { stats, threads } = nomyo.getMemoryProtectionInfo();
      return {
        proxy: (await metric("pool_bytes")) - (await metric("threads")) * STACK_BYTES,
        clients: stats.bytesInUse - threads.started * STACK_BYTES,
      };
    },
    /** Ends both; the codes that they ended with. */
    async end() {
      const codes = [];
      for (const { child } of [router, proxy]) {
        const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
        child.kill();
        codes.push(await ended);
      }
      return codes;
    },
  };
}

/** One worker's life: what became of its requests is added to `sum`. */
async function life(workerData, sum) {
  const worker = new Worker(new URL(import.meta.url), { workerData });
  worker.on("message", ({ right, givenUp, wrong, failed }) => {
    sum.right += right;
    sum.givenUp += givenUp;
    sum.wrong += wrong;
    sum.failed.push(...failed.slice(0, 20));
  });
  await new Promise((resolve, reject) => worker.once("error", reject).once("exit", resolve));
}

/** What grew, by the resident sizes and by the pools; and a sentence on both. */
async function account({ pools }, sizes, before) {
  let left;
  for (let tries = 0; tries < 100; tries += 1) {
    const now = await pools();
    left = { proxy: now.proxy - before.proxy, clients: now.clients - before.clients };
    // A thread's generators of random numbers, some KiB for each, come with its first use.
    if (left.proxy <= POOL_BYTES && left.clients <= POOL_BYTES) break;
    await sleep(100);
  }
  const tenth = Math.max(1, Math.floor(sizes.length / 10));
  const largest = (of, name) => Math.max(...of.map((size) => size[name]));
  const mib = (kib) => (kib / 1024).toFixed(0);
  const grown = Object.keys(left).flatMap((name) =>
    left[name] > POOL_BYTES ? [`pool of ${name} (${left[name]} bytes)`] : [],
  );
  const memory = Object.keys(sizes[0]).map((name) => {
    const [early, late] = [largest(sizes.slice(0, tenth + 1), name), largest(sizes.slice(-tenth), name)];
    // A short run has no first tenth that is warm.
    if (sizes.length >= 50 && late - early > GROWTH_KIB) grown.push(name);
    return `${name} ${mib(early)} MiB early, ${mib(late)} MiB late`;
  });
  const said =
    `Resident: ${memory.join("; ")}. Pools, against the first worker's end: ` +
    `proxy ${left.proxy} bytes, clients ${left.clients} bytes.`;
  return { grown, said };
}

async function lead() {
  const [, , unit, amount] = process.argv;
  if (!["--requests", "--hours"].includes(unit) || !(Number(amount) > 0)) throw new Error("--requests N or --hours N?");
  const until = unit === "--hours" ? performance.now() + Number(amount) * 3_600_000 : Number.POSITIVE_INFINITY;
  const most = unit === "--requests" ? Number(amount) : Number.POSITIVE_INFINITY;
  const place = await stage();
  const started = performance.now();
  const sum = { right: 0, givenUp: 0, wrong: 0, failed: [] };
  const sizes = [];
  let first = 0;
  let before;
  const crew = async () => {
    while (first < most && performance.now() < until) {
      const count = Math.min(LIFE, most - first);
      first += count;
      await life({ ...place.urls, first: first - count, count }, sum);
      sizes.push(place.resident());
      before ??= await place.pools();
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, crew));
  const seconds = Math.round((performance.now() - started) / 1000);
  const { grown, said } = await account(place, sizes, before);
  for (const code of await place.end()) if (code !== 0) grown.push(`a process that ended with ${code}`);
  const asked = sum.right + sum.wrong + sum.givenUp + sum.failed.length;
  process.stdout.write(
    `${asked} requests in ${seconds} s, by ${sizes.length} worker threads of ${LIFE} requests each, ` +
      `${AT_A_TIME} at a time in each, a third of them through the proxy; ` +
      `clients' keys are replaced every ${ROTATION_MS / 1000} s.\n\n` +
      `${sum.right} answers were right, ${sum.wrong} were wrong, ${sum.givenUp} requests were given up on purpose, ` +
      `${sum.failed.length} failed.\n\n${said}\n`,
  );
  for (const failure of sum.failed.slice(0, 5)) process.stderr.write(`failed: ${failure}\n`);
  if (grown.length > 0) process.stderr.write(`not as before: ${grown.join(", ")}\n`);
  if (sum.wrong > 0 || sum.failed.length > 0 || grown.length > 0 || (most < Infinity && asked < most))
    process.exitCode = 1;
}
