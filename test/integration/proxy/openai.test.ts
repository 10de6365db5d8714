/** The published `openai` package, with nothing but a base URL, and curl, through the proxy. */
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import OpenAI from "openai";
import { toChunks } from "../../../lib/chat/chunks.js";
import type { ChatCompletion } from "../../../lib/chat/chat-types.js";
import { startProxy } from "../../../lib/proxy/index.js";
import type { Proxy, ProxyOptions } from "../../../lib/proxy/index.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { openaiErrors } from "../../support/openai-errors.js";
import { callTool, ReferenceServer } from "../../support/reference-server.js";
import type { Received } from "../../support/reference-server.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { vectorKeyDir } from "../../support/test-clients.js";

const keyDir = vectorKeyDir();
let server: ReferenceServer;
let proxy: Proxy;
const log: string[] = [];
const start = async (options: ProxyOptions = {}, baseUrl = server.url): Promise<void> => {
  const client = { baseUrl, allowHttp: true, keyDir, keyRotationInterval: 0, apiKey: "nomyo-key", maxRetries: 0 };
  proxy = await startProxy({ log: (line) => log.push(line), ...options, client: { ...client, ...options.client } });
};
const sdk = (options: object = {}): OpenAI =>
  new OpenAI({ baseURL: proxy.baseUrl, apiKey: "anything", maxRetries: 0, ...options });

beforeEach(async () => {
  log.length = 0;
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await proxy.close();
  await server.stop();
  expect(log.filter((line) => line.includes("internal"))).toEqual([]);
});
afterAll(() => rmSync(keyDir, { recursive: true }));

const messages = [{ role: "user" as const, content: "Grüße 👋" }];
const answerOf = (received: Received) => {
  const { _metadata, choices, ...answer } = callTool(received);
  const second = { index: 1, finish_reason: "stop", message: { role: "assistant", content: 'a "quoted"\nline' } };
  return { ...answer, choices: [...choices, second] };
};

describe("the openai package with nothing but baseURL", () => {
  it("gets a plain answer, under NOMYO's key and never with its own", async () => {
    await start();
    const answer = await sdk().chat.completions.create({ model: "m", messages, temperature: 0.5, top_p: 0.9 });
    expect(answer.choices[0]!.message.content).toContain("Grüße 👋");
    const [received] = server.received;
    expect(received!.headers.authorization).toBe("Bearer nomyo-key");
    expect(received!.payload).toEqual({ model: "m", messages, temperature: 0.5, top_p: 0.9 });
    expect((answer as { _metadata?: { payload_id: string } })._metadata?.payload_id).toBe(received!.payloadId);
  });

  it("streams the chunks that toChunks makes, byte for byte, and the counts when they are asked for", async () => {
    await start();
    server.answer = answerOf;
    for (const options of [undefined, { include_usage: true }]) {
      const response = await fetch(`${proxy.baseUrl}/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "m", messages, stream: true, stream_options: options }),
      });
      expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
      const text = await response.text();
      const last = JSON.parse(text.split("\n\n").at(-3)!.slice("data: ".length)) as ChatCompletion;
      const whole = { ...answerOf(server.received[0]!), _metadata: last._metadata } as unknown as ChatCompletion;
      const events = toChunks(whole, options).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
      expect(text).toBe([...events, "data: [DONE]\n\n"].join(""));
      expect(last._metadata.attestation_report?.verified).toBe(false);
    }
    expect(server.received.map(({ payload }) => payload)).toEqual([
      { model: "m", messages },
      { model: "m", messages },
    ]);
  });

  it("gathers a stream with tool calls", async () => {
    await start();
    server.answer = answerOf;
    const stream = sdk().chat.completions.stream({ model: "m", messages, n: 2 });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]!.message.tool_calls![0]).toMatchObject({
      id: "call-1",
      function: { name: "weather", arguments: '{"city":"Köln"}' },
    });
    expect(final.choices[1]!.message.content).toBe('a "quoted"\nline');
  });

  it("lists the models it was started with", async () => {
    await start({ models: ["a/b", "c"] });
    const ids = [];
    for await (const { id } of sdk().models.list()) ids.push(id);
    expect(ids).toEqual(["a/b", "c"]);
  });

  it("throws its own classes for the server's refusals, with Retry-After and the server's sentence", async () => {
    await start();
    for (const [status, Class] of openaiErrors) {
      server.onPost = (_body, _request, response) => {
        response.writeHead(status, { "content-type": "application/json", "retry-after": "7" });
        response.end(JSON.stringify({ detail: `the server says ${status}` }));
      };
      const error = await sdk()
        .chat.completions.create({ model: "m", messages })
        .then(
          () => undefined,
          (failure: unknown) => failure as InstanceType<typeof OpenAI.APIError>,
        );
      expect(error).toBeInstanceOf(Class);
      expect(error?.message).toContain(`the server says ${status}`);
      expect(error?.headers?.get("retry-after")).toBe("7");
    }
  });

  it("gets a 424 that it does not retry for a broken answer and a wrong pin, for which nothing was sent", async () => {
    await start();
    server.onPost = (_body, _request, response) => void response.end("{}");
    await expect(sdk({ maxRetries: 2 }).chat.completions.create({ model: "m", messages })).rejects.toMatchObject({
      status: 424,
      type: "security_error",
    });
    expect(server.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
    await proxy.close();
    await start({ client: { serverKey: { fingerprints: "ab".repeat(32) } } });
    await expect(sdk().chat.completions.create({ model: "m", messages })).rejects.toMatchObject({ status: 424 });
    expect(server.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("has no second attempt of the SDK's where the request may have been processed", async () => {
    await start();
    server.onPost = (_body, _request, response) => void response.destroy();
    await expect(sdk({ maxRetries: 2 }).chat.completions.create({ model: "m", messages })).rejects.toMatchObject({
      status: 502,
    });
    expect(server.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("asks for the tier that the proxy was started with, whatever stands in the request", async () => {
    await start({ securityTier: "high" });
    const ask = (tier?: string) =>
      sdk().chat.completions.create({ model: "m", messages, ...(tier && { security_tier: tier }) } as never);
    await ask();
    await ask("high");
    await expect(ask("standard")).rejects.toMatchObject({ status: 400 });
    expect(server.received.map(({ headers }) => headers["x-security-tier"])).toEqual(["high", "high"]);
    expect(server.received[1]!.payload).toEqual({ model: "m", messages });
  });

  it("is told what is offered when it asks for something else", async () => {
    await start();
    for (const [ask, cure] of [
      [() => sdk().responses.create({ model: "m", input: "x" }), "useResponsesApi: false"],
      [() => sdk().embeddings.create({ model: "m", input: "x" }), "RAG_OPENAI_API_BASE_URL"],
      [() => sdk().completions.create({ model: "m", prompt: "x" }), "ChatOpenAI"],
    ] as [() => Promise<unknown>, string][]) {
      const error = await ask().then(
        () => undefined,
        (failure: unknown) => failure as Error,
      );
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error?.message).toContain(cure);
      expect(error?.message).toContain("POST /v1/chat/completions");
    }
    expect(server.log).toEqual([]);
  });

  it("needs a local key where there are local keys, which NOMYO never sees", async () => {
    await start({ apiKeys: ["local-key-0123456789"] });
    await expect(sdk().chat.completions.create({ model: "m", messages })).rejects.toBeInstanceOf(
      OpenAI.AuthenticationError,
    );
    expect(server.log).toEqual([]);
    await sdk({ apiKey: "local-key-0123456789" }).chat.completions.create({ model: "m", messages });
    expect(server.received[0]!.headers.authorization).toBe("Bearer nomyo-key");
  });

  it("ends the request to the server when its user gives up", async () => {
    await start();
    let gone: Promise<void> | undefined;
    const there = new Promise<void>((resolve) => {
      server.onPost = (_body, _request, response) => {
        gone = new Promise((ended) => response.once("close", () => ended()));
        resolve();
      };
    });
    const abort = new AbortController();
    const asked = sdk().chat.completions.create({ model: "m", messages }, { signal: abort.signal });
    await there;
    abort.abort();
    await expect(asked).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await gone;
  });
});

describe("requests that are not right", () => {
  const ask = async (body: string, headers: Record<string, string> = {}): Promise<[number, string]> => {
    const response = await fetch(`${proxy.baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    const { error } = (await response.json()) as { error: { message: string } };
    return [response.status, error.message];
  };
  const good = '"messages":[]';

  test.each([
    ["{", 400, "not usable JSON"],
    ["[]", 400, "not usable JSON"],
    ['{"model":"m"}', 400, "`messages`"],
    ['{"model":"m","messages":{}}', 400, "`messages`"],
    [`{${good}}`, 400, "`model`"],
    [`{"model":"",${good}}`, 400, "`model`"],
    [`{"model":7,${good}}`, 400, "`model`"],
    [`{"model":"m","model":"n",${good}}`, 400, "a name occurs twice"],
    [`{"model":"m","Model":"n",${good}}`, 400, "some parsers take"],
    [`{"model":"m","stream":1,${good}}`, 400, "`stream`"],
    [`{"model":"m","stream_options":[],${good}}`, 400, "`stream_options`"],
    [`{"model":"m","api_key":"x",${good}}`, 400, "`api_key`"],
    [`{"model":"m","apiKey":"x",${good}}`, 400, "api_key"],
  ])("%s: %d", async (body, status, message) => {
    await start();
    const [code, said] = await ask(body);
    expect([code, said]).toEqual([status, expect.stringContaining(message)]);
    expect(server.log).toEqual([]);
  });

  it("refuses other content types and encodings, which also keeps pages from posting without being asked", async () => {
    await start();
    expect((await ask("{}", { "content-type": "text/plain" }))[0]).toBe(415);
    expect((await ask("{}", { "content-encoding": "gzip" }))[0]).toBe(415);
  });

  it("refuses a body over the limit", async () => {
    await start({ maxBodyBytes: 2048 });
    const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "x".repeat(3000) }] });
    expect((await ask(body))[0]).toBe(413);
  });
});

describe("names and origins", () => {
  const get = (headers: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const flags = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
      const child = spawn("curl", [
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        `${proxy.baseUrl}/models`,
        ...flags,
      ]);
      let out = "";
      child.stdout.on("data", (part: Buffer) => (out += part.toString()));
      child.once("close", () => resolve(out));
    });

  it("refuses a name that is not its own, and takes one that it was told", async () => {
    await start({ allowedHosts: ["proxy.internal"] });
    const port = new URL(proxy.baseUrl).port;
    for (const host of ["localhost", `localhost:${port}`, "LOCALHOST", "127.0.0.1:1", "[::1]", "proxy.internal:80"]) {
      expect([host, await get({ Host: host })]).toEqual([host, "200"]);
    }
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "localhost.evil.example",
      "127.0.0.1.nip.io",
      "x@localhost",
    ]) {
      expect([host, await get({ Host: host })]).toEqual([host, "403"]);
    }
  });

  it("refuses pages of other origins, and serves one that it was told", async () => {
    await start({ allowedOrigins: ["http://localhost:3000"] });
    expect(await get({ Origin: "http://evil.example" })).toBe("403");
    expect(await get({ Origin: "null" })).toBe("403");
    expect(await get({ "Sec-Fetch-Site": "cross-site" })).toBe("403");
    expect(await get({ "Sec-Fetch-Site": "none" })).toBe("200");
    expect(await get({ Origin: "http://localhost:3000", "Sec-Fetch-Site": "cross-site" })).toBe("200");
    const asked = await fetch(`${proxy.baseUrl}/chat/completions`, {
      method: "OPTIONS",
      headers: {
        Origin: "http://localhost:3000",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-stainless-os",
      },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
    expect(asked.headers.get("access-control-allow-headers")).toBe("authorization,x-stainless-os");
  });
});

describe("before the router with a software TPM, under a require policy", () => {
  const keyFile = routerKeyFile();
  let tpm: SoftwareTpm;
  let router: Router;
  beforeAll(async () => {
    tpm = await SoftwareTpm.start();
  });
  afterAll(async () => {
    await tpm.close();
    keyFile.remove();
  });
  afterEach(() => router.close());
  const base = () => proxy.baseUrl.slice(0, -"/v1".length);

  it("passes on answers whose quote verified, plain and streamed, and shows it", async () => {
    router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti } });
    await start({ client: { attestation: "require" } }, router.url);
    const answer = await sdk().chat.completions.create({ model: "m", messages });
    expect(answer.choices[0]!.message.content).toContain("Grüße 👋");
    let text = "";
    for await (const chunk of await sdk().chat.completions.create({ model: "m", messages, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? "";
    }
    expect(text).toContain("Grüße 👋");
    const shown = (await (await fetch(`${base()}/attestation`)).json()) as Record<string, unknown>;
    // Right in itself; a software TPM's key has no certificate, and that is said.
    expect(shown).toMatchObject({
      state: "self-asserted",
      server: router.url,
      mode: "require",
      report: { verified: true },
    });
    const page = await fetch(`${base()}/attestation`, { headers: { accept: "text/html,*/*;q=0.8" } });
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await page.text()).toContain("nobody vouches for");
    const metrics = await (await fetch(`${base()}/metrics`)).text();
    expect(metrics).toContain('nomyo_proxy_requests_total{route="chat_completions",status="200"} 2\n');
    expect(metrics).toContain('nomyo_proxy_attestation_total{outcome="verified"} 2\n');
    expect(metrics).toMatch(/nomyo_proxy_locked_bytes [1-9]/);
  });

  it("passes nothing on without a quote: a 424 with the report", async () => {
    router = await startRouter({ keyFile: keyFile.path });
    await start({ client: { attestation: "require" } }, router.url);
    await expect(sdk({ maxRetries: 2 }).chat.completions.create({ model: "m", messages })).rejects.toMatchObject({
      status: 424,
      code: "ATTESTATION_MISSING",
      error: { attestation_report: { verified: false } },
    });
    const shown = (await (await fetch(`${base()}/attestation`)).json()) as Record<string, unknown>;
    expect(shown["state"]).toBe("missing");
  });
});
