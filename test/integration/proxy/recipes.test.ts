/**
 * Programs that know only OpenAI's API: the recipes of docs/proxy.md, run as they stand there, each in a process of its
 * own, through the proxy's command before the router with a software TPM, of which quotes are required.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, generateText } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage, root } from "../../support/built-package.js";
import { startCommand } from "../../support/command-line.js";
import type { CommandProcess } from "../../support/command-line.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { vectorKeyDir } from "../../support/test-clients.js";

/** What answers and their deltas have in common. */
interface Message {
  readonly content?: string | null;
  readonly tool_calls?: readonly { readonly function?: { readonly name?: string; readonly arguments?: string } }[];
}
interface Streamed {
  readonly choices: readonly { readonly delta: Message }[];
}

/** By heading, the first block of code below it. */
const recipes = new Map(
  readFileSync(join(root, "docs", "proxy.md"), "utf8")
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [, language, code] = /^```(\w+)\n([^]*?)^```$/m.exec(section) ?? [];
      return [section.slice(0, section.indexOf("\n")), { language, code }] as const;
    }),
);
const interpreters: Readonly<Record<string, [string, string]>> = {
  js: [process.execPath, "mjs"],
  python: ["python3", "py"],
  sh: ["bash", "sh"],
};
/** Told in docs, and not run: what they are for cannot be had here. */
const notRun = ["Kubernetes", "LibreChat", "Open WebUI"];

const keyFile = routerKeyFile();
const keyDir = vectorKeyDir();
const folder = mkdtempSync(join(tmpdir(), "nomyo-recipes-"));
let tpm: SoftwareTpm;
let router: Router;
let proxy: CommandProcess;
let base: string;
const ran: string[] = [];

beforeAll(async () => {
  buildPackage();
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  tpm = await SoftwareTpm.start();
  router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti } });
  const towards = ["--base-url", router.url, "--allow-http", "--attestation", "require", "--key-dir", keyDir];
  proxy = startCommand(["proxy", "--json", "--model", "Qwen/Qwen3-0.6B", ...towards], { NOMYO_API_KEY: "test-key" });
  base = (JSON.parse(await proxy.firstLine) as { base_url: string }).base_url;
}, 300_000);
afterAll(async () => {
  proxy.child.kill();
  expect(await proxy.ended).toBe(0);
  await router.close();
  await tpm.close();
  keyFile.remove();
  rmSync(keyDir, { recursive: true });
  rmSync(folder, { recursive: true });
});

/** What the recipe prints; its port is the proxy's, and nothing else in it is changed. */
async function run(name: string): Promise<string> {
  ran.push(name);
  const { language = "", code = "" } = recipes.get(name) ?? {};
  expect(code).toContain("8585");
  const [program, ending] = interpreters[language]!;
  const file = join(folder, `${name.replaceAll(/[^\w]/g, "-")}.${ending}`);
  writeFileSync(file, code.replaceAll("8585", new URL(base).port));
  return await new Promise((resolve, reject) => {
    const env = { PATH: process.env["PATH"], HOME: folder, NODE_NO_WARNINGS: "1" };
    execFile(program, [file], { cwd: folder, env, timeout: 240_000 }, (error, stdout, stderr) => {
      if (error === null && stderr === "") resolve(stdout);
      else reject(new Error(`${name} failed: ${stderr}${stdout}`));
    });
  });
}

it.each(["Python's standard library", "openai", "Vercel AI SDK", "LangChain.js", "LlamaIndex.TS"])(
  "%s: an answer, and the same as a stream",
  async (name) => {
    const [whole, streamed] = (await run(name)).trimEnd().split("\n");
    expect(whole).toContain("Hello");
    expect(streamed).toBe(whole);
  },
);

it("OpenAI Agents: an answer, and the same as a stream", async () => {
  const [whole, streamed] = (await run("OpenAI Agents")).trimEnd().split("\n");
  expect(whole).toContain("Hello");
  expect(streamed).toBe(whole);
});

it("curl: an answer, and the same as a stream", async () => {
  const [whole, ...events] = (await run("curl")).split(/(?<=\})\n?(?=data: )/);
  const { choices } = JSON.parse(whole!) as OpenAI.ChatCompletion;
  expect(choices[0]!.message.content).toContain("Hello");
  expect(events.join("\n")).toMatch(/\n\ndata: \[DONE\]\n\n$/);
  expect(events.join("\n")).toContain(JSON.stringify(choices[0]!.message.content));
});

describe("curl, with nothing but the address,", () => {
  const city = {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  };
  const post = async (more: object): Promise<string> => {
    const request = { model: "m", messages: [{ role: "user", content: "What is the weather in Köln?" }], ...more };
    const args = ["-sS", "--fail-with-body", "-H", "Content-Type: application/json", "-d", JSON.stringify(request)];
    return (await promisify(execFile)("curl", [...args, `${base}/chat/completions`])).stdout;
  };
  /** The answer's choice, and what the deltas of the streamed one come to: each of these members. */
  const both = async (more: object, member: (message: Message) => string | null | undefined): Promise<string[]> => {
    const whole = JSON.parse(await post(more)) as { choices: { message: Message }[] };
    const events = (await post({ ...more, stream: true })).split("\n\n").filter((event) => event.startsWith("data: {"));
    const deltas = events.map((event) => (JSON.parse(event.slice(6)) as Streamed).choices[0]!.delta);
    return [member(whole.choices[0]!.message) ?? "", deltas.map((delta) => member(delta) ?? "").join("")];
  };

  it("calls tools, plain and streamed", async () => {
    const tools = [{ type: "function", function: { name: "weather", parameters: city } }];
    const [whole, streamed] = await both({ tools, tool_choice: "required" }, (message) => {
      const call = message.tool_calls?.[0];
      return call?.function === undefined ? undefined : `${call.function.name ?? ""}${call.function.arguments ?? ""}`;
    });
    expect(whole).toMatch(/^weather\{/);
    expect(JSON.parse(whole!.slice("weather".length))).toEqual({ city: expect.any(String) });
    expect(streamed).toBe(whole);
  });

  it("gets structured output by a JSON schema, plain and streamed", async () => {
    const format = { type: "json_schema", json_schema: { name: "weather", strict: true, schema: city } };
    const [whole, streamed] = await both({ response_format: format }, ({ content }) => content);
    expect(JSON.parse(whole!)).toEqual({ city: expect.any(String) });
    expect(streamed).toBe(whole);
  });
});

it("every recipe was run, or is said not to be", () => {
  const inRecipes = [...recipes].filter(([, { code }]) => code?.includes("8585")).map(([name]) => name);
  expect(inRecipes.sort()).toEqual([...ran, ...notRun].sort());
});

describe("the openai package with nothing but baseURL", () => {
  const sdk = (): OpenAI => new OpenAI({ baseURL: base, apiKey: "anything", maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "What is the weather in Köln?" }];
  const tools = [
    {
      type: "function" as const,
      function: {
        name: "weather",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    },
  ];
  const Weather = z.object({ city: z.string(), degrees: z.number(), sky: z.enum(["clear", "cloudy"]) });

  it("calls tools, plain and streamed, and goes on with what they gave", async () => {
    const request = { model: "m", messages, tools, tool_choice: "required" as const };
    const { message, finish_reason: reason } = (await sdk().chat.completions.create(request)).choices[0]!;
    expect(reason).toBe("tool_calls");
    const [call] = message.tool_calls!;
    expect(call).toMatchObject({ type: "function", function: { name: "weather" } });
    const streamed = await sdk().chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]!.message.tool_calls![0]).toMatchObject({
      function: (call as typeof call & { function: object }).function,
    });
    const after = await sdk().chat.completions.create({
      model: "m",
      messages: [...messages, message, { role: "tool", tool_call_id: call!.id, content: "14 degrees" }],
      tools,
    });
    expect(after.choices[0]!.finish_reason).toBe("stop");
  });

  it("gets structured output, plain and streamed, by a JSON schema", async () => {
    const request = { model: "m", messages, response_format: zodResponseFormat(Weather, "weather") };
    const plain = (await sdk().chat.completions.parse(request)).choices[0]!.message.parsed;
    expect(Weather.parse(plain)).toEqual(plain);
    const streamed = await sdk().chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]!.message.parsed).toEqual(plain);
  });
});

it("the AI SDK's default, the Responses API, fails once with the setting that cures it", async () => {
  const openai = createOpenAI({ baseURL: base, apiKey: "local" });
  const error = await generateText({ model: openai("m"), prompt: "Hello" }).catch((failure: unknown) => failure);
  expect(APICallError.isInstance(error)).toBe(true);
  expect(error).toMatchObject({ statusCode: 404, message: expect.stringContaining("openai.chat(model)") });
});

it("every answer's quote was verified", async () => {
  const at = base.slice(0, -"/v1".length);
  const metrics = await (await fetch(`${at}/metrics`)).text();
  const number = (line: string): number => Number(new RegExp(`^${line} (\\d+)$`, "m").exec(metrics)?.[1] ?? 0);
  const answered = number('nomyo_proxy_requests_total\\{route="chat_completions",status="200"\\}');
  expect(answered).toBeGreaterThanOrEqual(2 * ran.length + 5);
  expect(number('nomyo_proxy_attestation_total\\{outcome="verified"\\}')).toBe(answered);
});
