/**
 * A whole chain: the openai package, the proxy, the router with a software TPM under a require policy, and behind it an
 * OpenAI-compatible engine: a made-up one here, llama.cpp's server in `scripts/try-engine`, which names it in
 * NOMYO_TEST_ENGINE. What it says is nothing but noise, so what is looked at is its form.
 */
import { rmSync } from "node:fs";
import OpenAI from "openai";
import { startProxy } from "../../../lib/proxy/index.js";
import type { Proxy } from "../../../lib/proxy/index.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { bytesOf, startServer } from "../../support/model-server.js";
import type { TestServer } from "../../support/model-server.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { vectorKeyDir } from "../../support/test-clients.js";

type Asked = OpenAI.ChatCompletionCreateParams;

/** Answers as engines do, and only to what engines take. */
const madeUpEngine = (): Promise<TestServer> =>
  startServer(async (request) => {
    if (request.url !== "/v1/chat/completions") return { status: 404, body: "{}" };
    const { tools, response_format: format, stream } = JSON.parse((await bytesOf(request)).toString("utf8")) as Asked;
    if (stream === true) return { status: 400, body: "{}" };
    const object = '{"city":"Köln","sky":"clear"}';
    const call = { id: "call-1", type: "function", function: { name: "weather", arguments: object } };
    const message = {
      role: "assistant",
      ...(tools === undefined
        ? { content: format === undefined ? "noise" : object }
        : { content: null, tool_calls: [call] }),
    };
    const choice = { index: 0, finish_reason: tools === undefined ? "stop" : "tool_calls", logprobs: null, message };
    const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
    const body = { id: "made-up", object: "chat.completion", created: 1, model: "random", choices: [choice], usage };
    return { status: 200, body: JSON.stringify(body) };
  });

const keyFile = routerKeyFile();
const keyDir = vectorKeyDir();
let engine: TestServer | undefined;
let tpm: SoftwareTpm;
let router: Router;
let proxy: Proxy;
let sdk: OpenAI;
beforeAll(async () => {
  const given = process.env["NOMYO_TEST_ENGINE"];
  if (given === undefined) engine = await madeUpEngine();
  tpm = await SoftwareTpm.start();
  const upstream = { url: given ?? engine!.url };
  router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti }, upstream });
  proxy = await startProxy({
    models: ["random"],
    client: {
      ...{ baseUrl: router.url, allowHttp: true, apiKey: null, attestation: "require" },
      ...{ keyDir, keyRotationInterval: 0 },
    },
  });
  sdk = new OpenAI({ baseURL: proxy.baseUrl, apiKey: "local", maxRetries: 0 });
});
afterAll(async () => {
  await proxy.close();
  await router.close();
  await tpm.close();
  await engine?.stop();
  keyFile.remove();
  rmSync(keyDir, { recursive: true });
});

const messages = [{ role: "user" as const, content: "What is the weather in Köln? Grüße 👋" }];
const asked = { model: "random", messages, max_tokens: 40, temperature: 0, seed: 1, cache_prompt: false };
const schema = {
  type: "object",
  properties: { city: { type: "string", enum: ["Köln", "Bonn"] }, sky: { type: "string", enum: ["clear", "cloudy"] } },
  required: ["city", "sky"],
  additionalProperties: false,
};
const weather = { city: expect.stringMatching(/^(Köln|Bonn)$/), sky: expect.stringMatching(/^(clear|cloudy)$/) };
const verified = (answer: object): unknown =>
  (answer as { _metadata?: { attestation_report?: { verified: boolean } } })._metadata?.attestation_report?.verified;

it("answers plain, with a verified quote and token counts", async () => {
  const answer = await sdk.chat.completions.create(asked);
  expect(verified(answer)).toBe(true);
  expect(answer.choices[0]).toMatchObject({
    message: { role: "assistant", content: expect.stringMatching(/./) },
    finish_reason: expect.stringMatching(/^(stop|length)$/),
  });
  const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = answer.usage!;
  expect([prompt > 0, completion > 0, total]).toEqual([true, true, prompt + completion]);
});

it("streams what it answers plain", async () => {
  const plain = await sdk.chat.completions.create(asked);
  const stream = await sdk.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } });
  let text = "";
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe(plain.choices[0]!.message.content);
  expect(usage?.completion_tokens).toBe(plain.usage!.completion_tokens);
});

it("takes tools, and calls one with arguments of its schema, plain and streamed", async () => {
  const tools = [{ type: "function" as const, function: { name: "weather", description: "", parameters: schema } }];
  const calling = { tools, tool_choice: "required" as const, parallel_tool_calls: false };
  const request = { ...asked, max_tokens: 400, ...calling };
  for (const answer of [
    await sdk.chat.completions.create(request),
    await sdk.chat.completions.stream(request).finalChatCompletion(),
  ]) {
    const [choice] = answer.choices;
    expect(choice!.finish_reason).toBe("tool_calls");
    const call = choice!.message.tool_calls![0] as OpenAI.ChatCompletionMessageFunctionToolCall;
    expect(call.function.name).toBe("weather");
    expect(JSON.parse(call.function.arguments)).toEqual(weather);
  }
});

it("gives structured output of its schema, plain and streamed", async () => {
  const format = { type: "json_schema" as const, json_schema: { name: "weather", strict: true, schema } };
  const request = { ...asked, max_tokens: 400, response_format: format };
  for (const answer of [
    await sdk.chat.completions.create(request),
    await sdk.chat.completions.stream(request).finalChatCompletion(),
  ]) {
    expect(answer.choices[0]!.finish_reason).toBe("stop");
    expect(JSON.parse(answer.choices[0]!.message.content!)).toEqual(weather);
  }
});
