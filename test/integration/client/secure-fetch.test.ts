/** createSecureFetch under the published `openai` package and the Vercel AI SDK. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText, tool } from "ai";
import type { ToolSet } from "ai";
import OpenAI from "openai";
import { z } from "zod";

import { getMemoryProtectionInfo } from "../../../lib/memory/protection.js";
import { ConfigurationError } from "../../../lib/errors.js";
import { createSecureFetch } from "../../../lib/openai/secure-fetch.js";
import type { SecureFetch, SecureFetchOptions } from "../../../lib/openai/secure-fetch.js";
import { openaiErrors } from "../../support/openai-errors.js";
import { callTool, echo, makeKeyPair, ReferenceServer } from "../../support/reference-server.js";
import type { KeyPair } from "../../support/reference-server.js";
import { TestClients } from "../../support/test-clients.js";

const clients = new TestClients();
let server: ReferenceServer;
let otherKeys: KeyPair;

beforeAll(() => {
  otherKeys = makeKeyPair();
});

beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await clients.close();
  await server.stop();
});
afterAll(() => clients.removeKeys());

const make = (options: SecureFetchOptions = {}): SecureFetch =>
  clients.add(
    createSecureFetch({
      baseUrl: server.url,
      allowHttp: true,
      keyDir: clients.keyDir,
      keyRotationInterval: 0,
      ...options,
    }),
  );
const sdk = (fetch: SecureFetch, options: object = {}): OpenAI =>
  new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: "sdk-key",
    fetch: fetch,
    maxRetries: 0,
    ...options,
  });
const posts = (): number => server.log.filter((line) => line.startsWith("POST")).length;
const messages = [{ role: "user" as const, content: "Grüße 👋" }];
const refuseWith = (status: number, headers: Record<string, string> = {}): void => {
  server.onPost = (_body, _request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ detail: `the server says ${status}` }));
  };
};

describe("the openai package", () => {
  it("gets a plain answer, through the encrypted protocol only, with the SDK's key", async () => {
    const answer = await sdk(make()).chat.completions.create({ model: "m", messages, temperature: 0.5 });
    expect(answer.choices[0]?.message.content).toBe("Grüße 👋");
    expect(server.log).toEqual(["GET /pki/public_key", "POST /v1/chat/secure_completion"]);
    expect(server.received[0]?.headers.authorization).toBe("Bearer sdk-key");
    expect(server.received[0]?.payload).toEqual({ model: "m", messages, temperature: 0.5 });
    expect(answer).toHaveProperty("_metadata.payload_id", server.received[0]?.payloadId);
  });

  it("gets a stream, with token counts", async () => {
    const stream = await sdk(make()).chat.completions.create({
      model: "m",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let total: number | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      total = chunk.usage?.total_tokens ?? total;
    }
    expect([text, total]).toEqual(["Grüße 👋", 12]);
    expect(server.received[0]?.payload).toEqual({ model: "m", messages });
  });

  it("gets tool calls, plain and in its streaming helper", async () => {
    server.answer = callTool;
    const client = sdk(make());
    const tools = [
      { type: "function" as const, function: { name: "weather", parameters: { type: "object", properties: {} } } },
    ];
    const answer = await client.chat.completions.create({ model: "m", messages, tools });
    expect(answer.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "weather" } });
    expect(server.received[0]?.payload.tools).toEqual(tools);
    const final = await client.chat.completions.stream({ model: "m", messages, tools }).finalChatCompletion();
    expect(final.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { arguments: '{"city":"Köln"}' } });
  });

  it("passes the tier as a header or in the body, and its own options win for the key", async () => {
    const client = sdk(make({ apiKey: "own-key" }), { defaultHeaders: { "X-Security-Tier": "high" } });
    await client.chat.completions.create({ model: "m", messages });
    expect(server.received[0]?.headers).toMatchObject({ "x-security-tier": "high", authorization: "Bearer own-key" });
    const body = { model: "m", messages, security_tier: "standard" as const };
    await sdk(make()).chat.completions.create(body);
    expect(server.received[1]?.headers["x-security-tier"]).toBe("standard");
    expect(server.received[1]?.payload).not.toHaveProperty("security_tier");
  });

  it.each(openaiErrors)("throws its own class for %d, with what the server said", async (status, Class) => {
    refuseWith(status);
    const error: unknown = await sdk(make())
      .chat.completions.create({ model: "m", messages })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Class);
    expect(error).toMatchObject({ status });
    expect((error as Error).message).toContain(`the server says ${status}`);
    expect(posts()).toBe(1);
  });

  it("is the only one that retries", async () => {
    refuseWith(503, { "retry-after": "0.01" });
    await expect(sdk(make(), { maxRetries: 2 }).chat.completions.create({ model: "m", messages })).rejects.toThrow(
      OpenAI.InternalServerError,
    );
    expect(posts()).toBe(3);
  });

  it("throws its own connection and time-out errors", async () => {
    server.onPost = (_body, incoming) => void incoming.socket.resetAndDestroy();
    await expect(sdk(make()).chat.completions.create({ model: "m", messages })).rejects.toThrow(
      OpenAI.APIConnectionError,
    );
    server.onPost = () => undefined;
    await expect(sdk(make({ timeout: 200 })).chat.completions.create({ model: "m", messages })).rejects.toThrow(
      OpenAI.APIConnectionTimeoutError,
    );
  });

  it("throws its own abort error", async () => {
    server.onPost = () => undefined;
    const controller = new AbortController();
    const pending = sdk(make()).chat.completions.create({ model: "m", messages }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    await expect(pending).rejects.toThrow(OpenAI.APIUserAbortError);
  });

  it.each([
    [
      "a tampered answer",
      (): void => void (server.onPost = (_b, _r, response) => void response.end("{}")),
      {},
      "PACKAGE_FORMAT",
    ],
    ["a wrong pin", (): void => undefined, { serverKey: { fingerprints: "0".repeat(64) } }, "SERVER_KEY_PIN"],
  ])("does not retry %s, and tells its code", async (_what, prepare, options, code) => {
    prepare();
    const error: unknown = await sdk(make(options), { maxRetries: 2 })
      .chat.completions.create({ model: "m", messages })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ status: 424, code, type: "security_error" });
    expect(posts()).toBeLessThanOrEqual(1);
  });

  it("is told that other calls are not sealed, and nothing is sent", async () => {
    const fetch = make();
    await expect(sdk(fetch).models.list()).rejects.toThrow(OpenAI.NotFoundError);
    await expect(sdk(fetch).embeddings.create({ model: "m", input: "x" })).rejects.toThrow(/Only POST/);
    const elsewhere = sdk(fetch, { baseURL: "https://api.openai.com/v1" });
    await expect(elsewhere.chat.completions.create({ model: "m", messages })).rejects.toThrow(OpenAI.NotFoundError);
    expect(server.log).toEqual([]);
  });

  it("gets a request that is wrong refused before anything is sent", async () => {
    const client = sdk(make());
    const wrong = client.chat.completions.create({ model: "m", messages, security_tier: "ultra" } as never);
    await expect(wrong).rejects.toThrow(OpenAI.BadRequestError);
    expect(server.log).toEqual([]);
  });

  it("survives a change of the server's key", async () => {
    const client = sdk(make());
    await client.chat.completions.create({ model: "m", messages });
    server.keys = otherKeys;
    const answer = await client.chat.completions.create({ model: "m", messages });
    expect(answer.choices[0]?.message.content).toBe("Grüße 👋");
  });
});

describe("the AI SDK's OpenAI-compatible provider", () => {
  const model = (fetch: SecureFetch) =>
    createOpenAICompatible({
      name: "nomyo",
      baseURL: `${server.url}/v1`,
      apiKey: "sdk-key",
      fetch: fetch,
      includeUsage: true,
    })("m");

  it("generates text", async () => {
    const result = await generateText({ model: model(make()), prompt: "Grüße 👋" });
    expect(result.text).toBe("Grüße 👋");
    expect(result.usage.totalTokens).toBe(12);
    expect(result.response.headers?.["x-payload-id"]).toBe(server.received[0]?.payloadId);
    expect(server.received[0]?.headers.authorization).toBe("Bearer sdk-key");
  });

  it("streams text", async () => {
    const result = streamText({ model: model(make()), prompt: "Grüße 👋" });
    let text = "";
    for await (const part of result.textStream) text += part;
    expect(text).toBe("Grüße 👋");
    expect((await result.usage).totalTokens).toBe(12);
    expect((await result.response).headers?.["x-payload-id"]).toBe(server.received[0]?.payloadId);
  });

  it("calls tools", async () => {
    server.answer = callTool;
    const tools = { weather: tool({ inputSchema: z.object({ city: z.string() }) }) } as ToolSet;
    const result = await generateText({ model: model(make()), prompt: "x", tools });
    expect(result.toolCalls[0]).toMatchObject({ toolName: "weather", input: { city: "Köln" } });
    const streamed = streamText({ model: model(make()), prompt: "x", tools });
    expect((await streamed.toolCalls)[0]).toMatchObject({ toolName: "weather", input: { city: "Köln" } });
  });

  it("throws its own error, and retries by itself only what may be retried", async () => {
    refuseWith(401);
    const refused: unknown = await generateText({ model: model(make()), prompt: "x" }).catch((e: unknown) => e);
    expect(APICallError.isInstance(refused)).toBe(true);
    expect(refused).toMatchObject({ statusCode: 401, isRetryable: false });
    expect(posts()).toBe(1);
    server.onPost = (_b, _r, response) => void response.end("{}");
    const tampered: unknown = await generateText({ model: model(make()), prompt: "x" }).catch((e: unknown) => e);
    expect(tampered).toMatchObject({ statusCode: 424, isRetryable: false });
    expect(posts()).toBe(2);
  });
});

describe("as a plain fetch", () => {
  const endpoint = () => `${server.url}/v1/chat/completions`;
  const init = { method: "POST", body: JSON.stringify({ model: "m", messages }) };

  it("takes a Request, a URL and bytes", async () => {
    const fetch = make();
    const url = `${server.url}/v1/chat/completions`;
    for (const answer of [
      await fetch(new Request(url, init)),
      await fetch(new URL(url), init),
      await fetch(url, { ...init, body: new TextEncoder().encode(init.body) }),
    ]) {
      expect(answer.status).toBe(200);
      expect(await answer.json()).toHaveProperty("choices.0.message.content", "Grüße 👋");
      expect(answer.headers.get("x-request-id")).toBe("req-1");
    }
  });

  it.each<[string, () => unknown]>([
    ["an ArrayBuffer", () => new TextEncoder().encode(init.body).buffer],
    ["a view of a part", () => new TextEncoder().encode(`x${init.body}`).subarray(1)],
    ["a Blob", () => new Blob([init.body])],
    ["a ReadableStream", () => new Blob([init.body]).stream()],
  ])("takes %s", async (_what, body) => {
    const response = await make()(endpoint(), { ...init, body: body(), duplex: "half" } as RequestInit);
    expect(await response.json()).toHaveProperty("choices.0.message.content", "Grüße 👋");
    expect(response.url).toBe(endpoint());
  });

  it.each<[string, unknown]>([
    ["FormData", new FormData()],
    ["URLSearchParams", new URLSearchParams("a=1")],
    ["missing", undefined],
  ])("refuses a body by its name: %s", async (name, body) => {
    const response = await make()(endpoint(), { method: "POST", body } as RequestInit);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(name);
    expect(server.log).toEqual([]);
  });

  it("refuses a Content-Encoding, which it would have to undo", async () => {
    const send = (encoding: string) => make()(endpoint(), { ...init, headers: { "Content-Encoding": encoding } });
    const response = await send("gzip");
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("Content-Encoding")]);
    expect(server.log).toEqual([]);
    expect((await send("identity")).status).toBe(200);
  });

  it("names the address that was asked for and what helps, without its query", async () => {
    const said = async (path: string, method: string): Promise<string> =>
      (await make()(`${server.url}${path}`, { method })).text();
    const elsewhere = await said("/chat/completions?key=secret", "POST");
    expect(elsewhere).toContain(`POST ${server.url}/chat/completions`);
    expect(elsewhere).toContain(`to ${server.url}/v1;`);
    expect(elsewhere).not.toContain("secret");
    expect(await said("/v1/chat/completions", "GET")).toContain("asked for with POST");
    expect(server.log).toEqual([]);
  });

  describe("its body", () => {
    /** Some pieces long. */
    const long = { method: "POST", body: JSON.stringify({ model: "m", messages, stream: true }) };
    const text = "0123456789abcdef".repeat(4096);
    const controller = () => new AbortController();
    const bytesInUse = () => getMemoryProtectionInfo().stats.bytesInUse;
    beforeEach(() => {
      server.answer = ({ payloadId }) => ({
        id: "c",
        object: "chat.completion",
        created: 1,
        model: "m",
        choices: [{ index: 0, finish_reason: "stop", logprobs: null, message: { role: "assistant", content: text } }],
        _metadata: { payload_id: payloadId },
      });
    });

    it("can be read once, by each of its methods, and as a stream", async () => {
      const fetch = make();
      const first = await fetch(endpoint(), init);
      expect(first.bodyUsed).toBe(false);
      const whole = await first.text();
      expect(JSON.parse(whole)).toHaveProperty("choices.0.message.content", text);
      expect(first.bodyUsed).toBe(true);
      await expect(first.text()).rejects.toThrow(TypeError);
      await expect(first.json()).rejects.toThrow(TypeError);
      expect(() => first.clone()).toThrow(TypeError);
      for (const read of [
        async (response: Response) => new TextDecoder().decode(await response.arrayBuffer()),
        async (response: Response) => (await response.blob()).text(),
        async (response: Response) => new Response(response.body).text(),
        async (response: Response) => JSON.stringify(await response.json()),
      ]) {
        const response = await fetch(endpoint(), init);
        expect(JSON.parse(await read(response))).toHaveProperty("choices.0.message.content", text);
        expect(response.bodyUsed).toBe(true);
        await expect(response.text()).rejects.toThrow(TypeError);
      }
    });

    it("gives pieces that stay what they are when the next one is asked for", async () => {
      const response = await make()(endpoint(), init);
      const pieces: Uint8Array[] = [];
      for await (const piece of response.body!) pieces.push(piece);
      expect(pieces.length).toBeGreaterThan(3);
      expect(JSON.parse(Buffer.concat(pieces).toString())).toHaveProperty("choices.0.message.content", text);
    });

    it("is cloned, and each is read for itself", async () => {
      const response = await make()(endpoint(), init);
      const clone = response.clone();
      const one = await response.text();
      expect(clone.bodyUsed).toBe(false);
      expect([await clone.text(), clone.url]).toEqual([one, endpoint()]);
      const reader = (await make()(endpoint(), init)).clone().body!.getReader();
      expect((await reader.read()).done).toBe(false);
    });

    it("ends with the signal's reason when that aborts, whether it was begun or not", async () => {
      const fetch = make();
      for (const begin of [true, false]) {
        const abort = controller();
        const response = await fetch(endpoint(), { ...long, signal: abort.signal });
        const reader = begin ? response.body!.getReader() : undefined;
        if (reader !== undefined) expect((await reader.read()).done).toBe(false);
        abort.abort();
        const rest = reader === undefined ? response.text() : reader.read();
        await expect(rest).rejects.toMatchObject({ name: "AbortError" });
      }
    });

    it("ends so too after its last piece, and with an end when nothing aborts", async () => {
      server.answer = echo;
      const fetch = make();
      for (const aborts of [true, false]) {
        const abort = controller();
        const body = JSON.stringify({ model: "m", messages });
        const reader = (await fetch(endpoint(), { ...init, body, signal: abort.signal })).body!.getReader();
        const { value } = await reader.read();
        // All of it is in the one piece.
        expect(JSON.parse(new TextDecoder().decode(value))).toHaveProperty("choices.0.message.content", "Grüße 👋");
        if (aborts) abort.abort();
        const rest = reader.read();
        if (aborts) await expect(rest).rejects.toMatchObject({ name: "AbortError" });
        else await expect(rest).resolves.toMatchObject({ done: true });
      }
    });

    it.each<[string, (response: Response, fetch: SecureFetch, abort: AbortController) => unknown]>([
      ["it is read", (response) => response.text()],
      ["it is cancelled", (response) => response.body!.cancel()],
      ["the signal aborts", (_response, _fetch, abort) => abort.abort()],
      ["the fetch is closed", (_response, fetch) => fetch.close()],
    ])("is wiped when %s", async (_when, end) => {
      const fetch = make();
      const abort = controller();
      const response = await fetch(endpoint(), { ...init, signal: abort.signal });
      const before = bytesInUse();
      await end(response, fetch, abort);
      expect(before - bytesInUse()).toBeGreaterThanOrEqual(text.length);
      await expect(response.text()).rejects.toThrow();
    });

    it("is read to its end when it was begun before the fetch was closed, but not when that aborts", async () => {
      for (const abort of [false, true]) {
        const fetch = make();
        const reader = (await fetch(endpoint(), init)).body!.getReader();
        await reader.read();
        await fetch.close({ abort });
        const rest = (async () => {
          while (!(await reader.read()).done);
        })();
        await (abort ? expect(rest).rejects.toThrow("terminated") : rest);
      }
    });
  });

  it.each([201, 204, 206, 226, 299, 301, 304, 307, 400, 418, 424, 451, 503, 599, 600, 999])(
    "passes a status on only where it is a refusal: %d",
    async (status) => {
      server.onPost = (_body, _request, response) => {
        // Not by writeHead, which knows fewer.
        const text = '{"choices":[]}';
        response.socket?.end(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
      };
      const response = await make()(`${server.url}/v1/chat/completions`, init);
      expect(response.status).toBe(status >= 400 && status <= 599 ? status : 424);
      expect(await response.json()).toHaveProperty("error.code");
      expect(posts()).toBe(1);
    },
  );

  it.each([
    ["PLAINTEXT", false, '"a text"'],
    ["PLAINTEXT", false, "[]"],
    ["ANSWER_SHAPE", true, "{}"],
    ["ANSWER_SHAPE", true, '{"choices":[{}]}'],
  ])("an answer that is no completion is 424 %s, asked for as a stream: %p, %s", async (code, stream, text) => {
    server.answer = () => JSON.parse(text);
    const response = await make()(`${server.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages, stream }),
    });
    expect(response.status).toBe(424);
    expect(await response.json()).toHaveProperty("error.code", code);
  });

  it("streams an answer whose tool_calls are null", async () => {
    server.answer = (received) => {
      const whole = callTool(received) as { choices: { message: Record<string, unknown> }[] };
      Object.assign(whole.choices[0]!.message, { content: "Hi", tool_calls: null });
      return whole;
    };
    const stream = await sdk(make()).chat.completions.create({ model: "m", messages, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("Hi");
  });

  it("ends the reading of a body that does not end with its signal", async () => {
    const controller = new AbortController();
    const body = new ReadableStream({ pull: () => new Promise(() => undefined) });
    const request = new Request(`${server.url}/v1/chat/completions`, {
      method: "POST",
      body,
      duplex: "half",
      signal: controller.signal,
    });
    const pending = make()(request);
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: "AbortError" });
    expect(server.log).toEqual([]);
  });

  it.each([
    ["GET", { method: "GET" }, 404],
    ["a body that is not JSON", { method: "POST", body: "{secret" }, 400],
    ["no body", { method: "POST" }, 400],
    ["a request without messages", { method: "POST", body: "{}" }, 400],
  ])("refuses %s with an error in OpenAI's form", async (_what, wrong, status) => {
    const response = await make()(`${server.url}/v1/chat/completions`, wrong);
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect(error).toMatchObject({
      message: expect.any(String),
      type: expect.any(String),
      code: expect.any(String),
      param: null,
    });
    expect(JSON.stringify(error)).not.toContain("secret");
    expect(server.log).toEqual([]);
  });

  it("refuses an address that is none", async () => {
    expect((await make()("nonsense", init)).status).toBe(404);
  });

  it("fails as a connection does after close()", async () => {
    const fetch = make({ apiKey: () => "k" });
    await fetch.ready();
    await fetch.close();
    await expect(fetch(endpoint(), init)).rejects.toThrow(TypeError);
    await expect(fetch(endpoint(), init)).rejects.toMatchObject({
      message: "fetch failed",
      cause: { code: "CONFIGURATION", message: expect.stringContaining("closed") },
    });
    expect(server.log.filter((line) => line.startsWith("POST"))).toEqual([]);
  });

  it("has no maxRetries", () => {
    expect(() => createSecureFetch({ maxRetries: 1 } as SecureFetchOptions)).toThrow(ConfigurationError);
  });

  it("rejects with the signal's own reason", async () => {
    const reason = new Error("mine");
    const pending = make()(`${server.url}/v1/chat/completions`, { ...init, signal: AbortSignal.abort(reason) });
    await expect(pending).rejects.toBe(reason);
  });
});

describe("an answer whose quote does not verify", () => {
  const answerOf = (error: unknown): string => JSON.stringify(error, Object.getOwnPropertyNames(error));

  it("reaches openai's users as an APIError 424 with the report, and nothing of the answer", async () => {
    const openai = sdk(make({ attestation: "require" }), { maxRetries: 2 });
    const error: unknown = await openai.chat.completions.create({ model: "m", messages }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({
      status: 424,
      code: "ATTESTATION_MISSING",
      type: "security_error",
      error: { attestation_report: { verified: false, code: "ATTESTATION_MISSING" } },
    });
    expect(answerOf(error)).not.toContain("chat.completion");
    expect(posts()).toBe(1);
  });

  it("reaches the AI SDK's users as an APICallError 424, without a retry", async () => {
    const provider = createOpenAICompatible({
      name: "nomyo",
      baseURL: `${server.url}/v1`,
      apiKey: "sdk-key",
      fetch: make({ attestation: "require" }),
    });
    const error: unknown = await generateText({ model: provider("m"), prompt: "x", maxRetries: 2 }).catch(
      (e: unknown) => e,
    );
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: 424 });
    expect(posts()).toBe(1);
  });
});
