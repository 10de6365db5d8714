// The client's side of the load: one JSON command per line, one answer per line.
//   {do: "load", milliseconds?, requests?, inFlight, bytes} → latencies, requests a second, CPU, delays of the event loop, memory
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { chatRequest } from "../../dist/bench/payload.js";

/** @param {(url: string) => Promise<{request(body): Promise<unknown>, memory(): unknown, close(): unknown}>} connect */
export async function serve(connect) {
  const client = await connect(process.argv[2]);
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    let answer;
    try {
      answer = await load(client, JSON.parse(line));
    } catch (error) {
      answer = { error: error.stack ?? String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await client.close();
}

async function load(
  client,
  { milliseconds = Number.POSITIVE_INFINITY, requests = Number.POSITIVE_INFINITY, inFlight, bytes },
) {
  const body = chatRequest("ascii", bytes);
  const latencies = [];
  const memory = [];
  const delays = monitorEventLoopDelay({ resolution: 10 });
  const sampleMemory = () =>
    memory.push({ requests: latencies.length, rss: process.memoryUsage().rss, pool: client.memory() });
  const memoryEvery = Number.isFinite(requests) ? Math.max(1, Math.floor(requests / 200)) : Number.POSITIVE_INFINITY;
  const begin = performance.now();
  const cpu = process.cpuUsage();
  let started = 0;
  delays.enable();
  sampleMemory();
  const loop = async () => {
    while (started < requests && performance.now() - begin < milliseconds) {
      started++;
      const from = performance.now();
      const answer = await client.request(body);
      latencies.push(performance.now() - from);
      if (typeof answer.choices?.[0]?.message?.content !== "string")
        throw new Error("The answer is not a chat completion.");
      if (latencies.length % memoryEvery === 0) sampleMemory();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  delays.disable();
  sampleMemory();
  const beyond = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 10);
  return {
    requests: latencies.length,
    seconds,
    // A long run's latencies are not wanted one by one.
    latencies: Number.isFinite(requests) ? [] : latencies,
    cpuMs: (user + system) / 1000,
    stall: { median: beyond(delays.percentile(50)), p99: beyond(delays.percentile(99)), max: beyond(delays.max) },
    memory,
  };
}
