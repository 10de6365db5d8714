// requests.mjs KIND SERVERS BUILD FOLDER: a client under load, in a process of its own, with the servers behind it (the
// local router, our proxy before it, a model, a plain reverse proxy before that) in others; over loopback. Answers each
// line with one:
//   {do: "prepare"} → {}
//   {do: "warm" or "round", milliseconds?, requests?, inFlight}
//     → latencies, requests a second, CPU, delays of the event loops; of a counted run, growth of memory
// A server, requests.mjs KIND URL BUILD FOLDER, is asked by its client:
//   {} → its address, CPU milliseconds and delays of its event loop since it was last asked
import { createPrivateKey, createPublicKey, randomUUID, sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { promisify } from "node:util";
import { openPieces, sealPieces } from "../dist/bench/node-envelope.js";
import { chatRequest } from "../dist/bench/payload.js";
import { summarise } from "../dist/bench/statistics.js";
import { LineProcess, answerLines, root } from "./processes.mjs";

const [kind, behind, build, folder] = process.argv.slice(2);
/** What a client or a server talks to. */
let url = behind;
/** A short prompt, so that what is measured is the way and not the size. */
const prompt = chatRequest("ascii", 1024);
const built = (file) => import(`${build}/dist/${file}`);

const signOffThread = promisify(sign);
/** One key for all that need one of their own: making it is not what is measured. */
const keyFile = `${folder}/private.pem`;
const privateKey = createPrivateKey(readFileSync(keyFile));
/**
 * A bare private operation of RSA-4096 on libuv's threads. (A signature: Node has no decryption off the JavaScript
 * thread.)
 */
const operate = (bytes) => signOffThread("sha256", bytes.subarray(0, 32), privateKey);

/** What clients without this package need: the router's key, and the headers of a request. */
async function ownKeys() {
  const pem = encodeURIComponent(createPublicKey(privateKey).export({ type: "spki", format: "pem" }));
  const server = createPublicKey(await (await fetch(`${url}/pki/public_key`)).text());
  const type = { "Content-Type": "application/octet-stream" };
  const headers = () => ({ "X-Payload-ID": randomUUID(), "X-Public-Key": pem, ...type });
  return { server, headers };
}

/** Posts `bytes` by Node's own client; gives the answer's. */
const poster = (agent, path) => {
  const post = (bytes, headers) =>
    new Promise((resolve, reject) => {
      const options = { method: "POST", agent, headers: { ...headers, "Content-Length": String(bytes.length) } };
      const request = http.request(`${url}${path}`, options, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const answer = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`The server answered ${response.statusCode}: ${answer.toString().slice(0, 200)}`));
        });
      });
      // While others had their turns the server may have closed a connection that was kept: Node's manual says to ask
      // again.
      const isStale = (error) => request.reusedSocket && error.code === "ECONNRESET";
      request.on("error", (error) => (isStale(error) ? post(bytes, headers).then(resolve, reject) : reject(error)));
      request.end(bytes);
    });
  return post;
};

/** What a completion must hold; of those that are not opened, what tells that one came. */
const completion = (text, found) => {
  if (!text.includes(found)) throw new Error(`no chat completion came: ${text.toString().slice(0, 200)}`);
};
const ownAgent = () => new http.Agent({ keepAlive: true, scheduling: "lifo" });

/**
 * HTTP alone: what Node's own client costs for the same bytes. Each request is a package that was sealed beforehand;
 * its answer is not opened. With RSA each answer is followed by a bare private operation: what HTTP and RSA cost at the
 * least when they share the cores, with each other and with the router.
 */
async function httpClient(withRsa) {
  const { server, headers } = await ownKeys();
  const sealed = sealPieces(server, prompt);
  const post = poster(ownAgent(), "/v1/chat/secure_completion");
  return async () => {
    const answer = await post(sealed, headers());
    if (withRsa) await operate(answer);
    completion(answer, '"encrypted_payload"');
  };
}

/** The openai package as it is. */
async function openaiClient(secureFetch) {
  const { default: OpenAI } = await import("openai");
  const own = secureFetch === undefined ? {} : { fetch: secureFetch };
  const client = new OpenAI({ apiKey: "none", baseURL: `${url}/v1`, maxRetries: 0, ...own });
  return async () => completion(JSON.stringify(await client.chat.completions.create(prompt)), '"content"');
}

const unverified = () => ({ baseUrl: url, allowHttp: true, apiKey: null, attestation: "off" });
const single = () => ({ ...unverified(), maxRetries: 0 });
let poolStats;

const clients = {
  async native() {
    const [{ native }, { SecureChatCompletion }] = await Promise.all(["native.js", "index.js"].map(built));
    const client = new SecureChatCompletion(single());
    await client.ready();
    poolStats = () => native.memoryInfo().stats;
    return async () => completion(JSON.stringify(await client.create(prompt)), '"content"');
  },
  /**
   * By Node alone: `fetch`, and an envelope whose private operation runs on the JavaScript thread, as Node has no
   * other.
   */
  async node() {
    const { server, headers } = await ownKeys();
    return async () => {
      const options = { method: "POST", headers: headers(), body: sealPieces(server, prompt) };
      const response = await fetch(`${url}/v1/chat/secure_completion`, options);
      const body = Buffer.from(await response.arrayBuffer());
      if (!response.ok) throw new Error(`The router answered ${response.status}: ${body.toString()}`);
      completion(JSON.stringify(openPieces(privateKey, body)), '"content"');
    };
  },
  "openai-fetch": async () => {
    const { createSecureFetch } = await built("index.js");
    return await openaiClient(createSecureFetch(unverified()));
  },
  openai: () => openaiClient(),
  http: () => httpClient(false),
  "http-rsa": () => httpClient(true),
  plain() {
    const post = poster(ownAgent(), "/v1/chat/completions");
    const bytes = Buffer.from(JSON.stringify(prompt));
    return async () => completion(await post(bytes, { "Content-Type": "application/json" }), '"content"');
  },
};

const loopDelays = monitorEventLoopDelay({ resolution: 10 });
loopDelays.enable();
/** Delays of the event loop beyond the resolution, since this was last called. */
function delays() {
  const beyond = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - 10);
  const figures = { loop99: beyond(loopDelays.percentile(99)), loopMax: beyond(loopDelays.max) };
  loopDelays.reset();
  return figures;
}
const cpuMs = (since) => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

/** MiB that the last fifth of a run took more than the second one did: of the whole process, and of the locked pool. */
function growth(memory) {
  const fifth = (of, from) => {
    const part = memory.slice((memory.length * from) / 5).slice(0, memory.length / 5);
    return summarise(part.map(of)).median;
  };
  const grown = (of) => (fifth(of, 4) - fifth(of, 1)) / 2 ** 20;
  return { rssGrowth: grown(({ rss }) => rss), poolGrowth: grown(({ pool }) => pool?.bytesMapped ?? 0) };
}

async function load(request, { milliseconds = Infinity, requests = Infinity, inFlight }) {
  const samples = [];
  const memory = [];
  const isCounted = Number.isFinite(requests);
  const memoryEvery = isCounted ? Math.max(1, Math.floor(requests / 200)) : Infinity;
  const begin = performance.now();
  const cpu = process.cpuUsage();
  let started = 0;
  delays();
  const loop = async () => {
    while (started < requests && performance.now() - begin < milliseconds) {
      started++;
      const from = performance.now();
      await request();
      samples.push(performance.now() - from);
      if (samples.length % memoryEvery === 0) memory.push({ rss: process.memoryUsage().rss, pool: poolStats?.() });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const seconds = (performance.now() - begin) / 1000;
  const each = { cpuMs: cpuMs(cpu) / samples.length, requestsPerSecond: samples.length / seconds };
  return { samples, requests: samples.length, ...each, ...delays(), ...(isCounted && growth(memory)) };
}

/** What a server of HTTP alone listens on. */
async function listening(server) {
  // Others have their turns meanwhile: a connection that is closed as it is used again would end the run.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

/**
 * The least that any proxy does: hands on what comes, both ways; and, where the local router would, one bare private
 * operation.
 */
function reverse(withRsa) {
  const agent = ownAgent();
  const { hostname, port } = new URL(url);
  return http.createServer((request, response) => {
    const { method, url: path, headers } = request;
    const onwards = http.request({ hostname, port, method, path, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onwards.on("error", (error) => response.destroy(error));
    const operated = withRsa ? operate(Buffer.alloc(32)) : Promise.resolve();
    operated.then(() => request.pipe(onwards));
  });
}

/** Answers at once, as the router's echo does. */
function model(request, response) {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { model, messages } = JSON.parse(Buffer.concat(parts).toString());
    const choices = [{ index: 0, message: { role: "assistant", ...messages.at(-1) }, finish_reason: "stop" }];
    const answer = { id: "chatcmpl-1", object: "chat.completion", created: 0, model, choices };
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
  });
}

/** Each gives its address. */
const servers = {
  async router() {
    const { startRouter } = await built("router/index.js");
    return (await startRouter({ port: 0, keyFile, maxRequests: 1000, ...(url && { upstream: { url } }) })).url;
  },
  async proxy() {
    const { startProxy } = await built("proxy/index.js");
    return (await startProxy({ port: 0, client: single() })).baseUrl.replace(/\/v1$/, "");
  },
  model: () => listening(http.createServer(model)),
  reverse: () => listening(reverse(false)),
  "reverse-rsa": () => listening(reverse(true)),
};

/** The servers, each with the address of the one before; the last is the one that the client talks to. */
async function startServers(names) {
  const started = [];
  url = "";
  for (const name of names) {
    // Another build takes part as client; servers are this one's for all.
    started.push(new LineProcess(name, "requests.mjs", [name, url, root, folder]));
    ({ url } = await started.at(-1).ask({}));
  }
  return () => Promise.all(started.map((server) => server.ask({})));
}

/** A round of the client, with what its servers used meanwhile. */
async function round(request, askServers, command) {
  const before = await askServers();
  const measured = await load(request, command);
  const after = await askServers();
  const each = after.map((server, index) => (server.cpuMs - before[index].cpuMs) / measured.requests);
  const serversCpuMs = each.reduce((sum, one) => sum + one, 0);
  return { ...measured, serversCpuMs, serverCpuMs: each.at(-1), serverLoop99: after.at(-1).loop99 };
}

if (Object.hasOwn(servers, kind)) {
  const address = await servers[kind]();
  await answerLines(() => ({ url: address, cpuMs: cpuMs(), ...delays() }));
} else {
  const askServers = await startServers(behind.split(","));
  const request = await clients[kind]();
  await answerLines(async ({ do: what, ...command }) => {
    if (what === "prepare") return {};
    return what === "warm" ? (await load(request, command)) && {} : await round(request, askServers, command);
  });
}
