// requests-process.mjs SERVER URL | CLIENT URL FOLDER: a server (the local router, our proxy before it, a model, a plain reverse proxy before
// that), or a client under load, in a process of its own. Prints one line when it is ready, then answers each line of standard input with one.
//   a server: {} → CPU milliseconds so far, memory
//   a client: {milliseconds?, requests?, inFlight, bytes} → latencies, requests a second, CPU, delays of the event loop, memory
import { createPublicKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { openPieces, sealPieces } from "../dist/bench/node-envelope.js";
import { chatRequest } from "../dist/bench/payload.js";

const [kind, url, folder] = process.argv.slice(2);

/** What clients without this package need: a key of their own, the router's, and the headers of a request. */
async function ownKeys() {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const pem = encodeURIComponent(publicKey.export({ type: "spki", format: "pem" }));
  const server = createPublicKey(await (await fetch(`${url}/pki/public_key`)).text());
  const headers = () => ({
    ...{ "X-Payload-ID": randomUUID(), "X-Public-Key": pem, "Content-Type": "application/octet-stream" },
  });
  return { privateKey, server, headers };
}

const signOffThread = promisify(sign);
const completion = { choices: [{ message: { content: "not opened" } }] };

/**
 * HTTP alone: what Node's own client costs for the same bytes. Each request is a package that was sealed beforehand; its answer is not
 * opened. With RSA each answer is followed by a bare private operation of RSA-4096 on libuv's threads: what HTTP and RSA cost at the
 * least when they share the cores, with each other and with the router. (It is a signature, since Node has no decryption off the
 * JavaScript thread; the padding costs nothing beside the operation.)
 */
async function httpClient(withRsa) {
  const { privateKey, server, headers } = await ownKeys();
  const agent = new http.Agent({ keepAlive: true, scheduling: "lifo" });
  const packages = new WeakMap();
  const post = (bytes) =>
    new Promise((resolve, reject) => {
      const options = { method: "POST", agent, headers: { ...headers(), "Content-Length": String(bytes.length) } };
      const request = http.request(`${url}/v1/chat/secure_completion`, options, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const answer = Buffer.concat(chunks);
          if (response.statusCode === 200 && answer.includes('"encrypted_payload"')) resolve(answer);
          else reject(new Error(`The router answered ${response.statusCode}: ${answer.toString().slice(0, 200)}`));
        });
      });
      request.on("error", reject);
      request.end(bytes);
    });
  return {
    async request(body) {
      if (!packages.has(body)) packages.set(body, sealPieces(server, body));
      const answer = await post(packages.get(body));
      if (withRsa) await signOffThread("sha256", answer.subarray(0, 32), privateKey);
      return completion;
    },
    close: () => agent.destroy(),
  };
}

/** The openai package as it is. */
async function openaiClient(secureFetch) {
  const { default: OpenAI } = await import("openai");
  const own = secureFetch === undefined ? {} : { fetch: secureFetch };
  const client = new OpenAI({ apiKey: "none", baseURL: `${url}/v1`, maxRetries: 0, ...own });
  return { request: (body) => client.chat.completions.create(body), close: () => secureFetch?.close() };
}

const clients = {
  async native() {
    const ofPackage = (file) => import(new URL(`${folder}/dist/${file}`, import.meta.url));
    const [{ native }, { SecureChatCompletion }] = await Promise.all(["native.js", "index.js"].map(ofPackage));
    const once = { apiKey: null, maxRetries: 0, attestation: "off" };
    const client = new SecureChatCompletion({ baseUrl: url, allowHttp: true, ...once });
    await client.ready();
    return {
      request: (body) => client.create(body),
      memory: () => native.memoryInfo().stats,
      close: () => client.close(),
    };
  },
  /** By Node alone: `fetch`, and an envelope whose private operation runs on the JavaScript thread, as Node has no other. */
  async node() {
    const { privateKey, server, headers } = await ownKeys();
    return {
      async request(body) {
        const options = { method: "POST", headers: headers(), body: sealPieces(server, body) };
        const response = await fetch(`${url}/v1/chat/secure_completion`, options);
        if (!response.ok) throw new Error(`The router answered ${response.status}: ${await response.text()}`);
        return openPieces(privateKey, Buffer.from(await response.arrayBuffer()));
      },
    };
  },
  "openai-fetch": async () => {
    const { createSecureFetch } = await import("../dist/index.js");
    return await openaiClient(createSecureFetch({ baseUrl: url, allowHttp: true, apiKey: null, attestation: "off" }));
  },
  "openai-proxy": () => openaiClient(),
  "openai-reverse": () => openaiClient(),
  http: () => httpClient(false),
  "http-rsa": () => httpClient(true),
};

async function load(client, { milliseconds = Infinity, requests = Infinity, inFlight, bytes }) {
  const body = chatRequest("ascii", bytes);
  const latencies = [];
  const memory = [];
  const delays = monitorEventLoopDelay({ resolution: 10 });
  const sampleMemory = () =>
    memory.push({ requests: latencies.length, rss: process.memoryUsage().rss, pool: client.memory?.() });
  const memoryEvery = Number.isFinite(requests) ? Math.max(1, Math.floor(requests / 200)) : Infinity;
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
      if (typeof answer.choices?.[0]?.message?.content !== "string") throw new Error("no chat completion came");
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

/** Tells that it is ready, then answers line by line until there are no more. */
async function serve(ready, answer, close) {
  const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  print(ready);
  for await (const line of createInterface({ input: process.stdin })) {
    print(await answer(JSON.parse(line)).catch((error) => ({ error: error.stack ?? String(error) })));
  }
  await close?.();
}

/** What a server of HTTP alone listens on. */
async function listening(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const servers = {
  async router() {
    const { startRouter } = await import("../dist/router/index.js");
    const router = await startRouter({ port: 0, maxRequests: 1000 });
    return { url: router.url, close: () => router.close() };
  },
  async proxy() {
    const { startProxy } = await import("../dist/proxy/index.js");
    const client = { baseUrl: url, allowHttp: true, apiKey: null, maxRetries: 0, attestation: "off" };
    const proxy = await startProxy({ port: 0, client });
    return { url: proxy.baseUrl.replace(/\/v1$/, ""), close: () => proxy.close() };
  },
  /** Answers at once, as the router's echo does. */
  model: () =>
    listening(
      http.createServer((request, response) => {
        const parts = [];
        request.on("data", (part) => parts.push(part));
        request.on("end", () => {
          const { model, messages } = JSON.parse(Buffer.concat(parts).toString());
          const choices = [{ index: 0, message: { role: "assistant", ...messages.at(-1) }, finish_reason: "stop" }];
          const answer = { id: "chatcmpl-1", object: "chat.completion", created: 0, model, choices };
          response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
        });
      }),
    ),
  /** The least that any proxy does: hands on what comes, both ways. */
  reverse() {
    const agent = new http.Agent({ keepAlive: true, scheduling: "lifo" });
    const { hostname, port } = new URL(url);
    const server = http.createServer((request, response) => {
      const { method, url: path, headers } = request;
      const onwards = http.request({ hostname, port, method, path, headers, agent }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onwards.on("error", (error) => response.destroy(error));
      request.pipe(onwards);
    });
    return listening(server);
  },
};

if (Object.hasOwn(servers, kind)) {
  const server = await servers[kind]();
  const usage = async () => {
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000, rss: process.memoryUsage().rss };
  };
  await serve({ url: server.url }, usage, server.close);
} else {
  const client = await clients[kind]();
  await serve({ ready: true }, (command) => load(client, command), client.close);
}
