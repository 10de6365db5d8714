/** What else sees prompts: told by its switch, once, and silent where it is off. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { BystanderCheck, bystanders } from "../../../lib/client/bystanders.js";
import type { Logger } from "../../../lib/client/logger.js";
import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { createSecureFetch } from "../../../lib/openai/secure-fetch.js";
import { startProxy } from "../../../lib/proxy/index.js";
import { vectorKeyDir } from "../../support/test-clients.js";

const keyDir = vectorKeyDir();
afterAll(() => rmSync(keyDir, { recursive: true }));

type Env = Readonly<Record<string, string>>;
const agents = Symbol.for("openai.agents.core.traceProvider");
const names = (env: Env, globals: object = {}): readonly string[] =>
  bystanders({ env, globals }).map(({ name }) => name);

test("nothing is on: nothing is told", () => {
  expect(names({})).toEqual([]);
  expect(names({ PATH: "/bin", NODE_ENV: "production" })).toEqual([]);
});

test.each<[string, Env, object]>([
  ["openai-log", { OPENAI_LOG: "debug" }, {}],
  ["openai-agents-tracing", {}, { [agents]: {} }],
  ["openai-agents-tracing", { OPENAI_AGENTS_DISABLE_TRACING: "0" }, { [agents]: {} }],
  ["openai-agents-debug", { DEBUG: "express,openai-agents:core" }, {}],
  ["openai-agents-debug", { DEBUG: "*", OPENAI_AGENTS_DONT_LOG_MODEL_DATA: "1" }, {}],
  ["langsmith-tracing", { LANGSMITH_TRACING: "true" }, {}],
  ["langsmith-tracing", { LANGCHAIN_TRACING_V2: "true" }, {}],
  ["langsmith-tracing", { LANGSMITH_TRACING_V2: "true", LANGSMITH_HIDE_INPUTS: "true" }, {}],
  ["langsmith-tracing", { LANGCHAIN_TRACING: "true" }, {}],
  ["ai-sdk-telemetry", {}, { AI_SDK_TELEMETRY_INTEGRATIONS: [{}] }],
  ["otel-genai-content", { OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true" }, {}],
  ["otel-genai-content", { OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "SPAN_ONLY" }, {}],
  ["datadog-llmobs", { DD_LLMOBS_ENABLED: "1" }, {}],
  ["node-debug", { NODE_DEBUG: "fs,HTTP" }, {}],
  ["node-debug", { NODE_DEBUG: "tls" }, {}],
  ["node-debug", { NODE_DEBUG: "*" }, {}],
])("%s is on with %j", (name, env, globals) => {
  expect(names(env, globals)).toEqual([name]);
});

test.each<[Env, object]>([
  [{ OPENAI_LOG: "info" }, {}],
  [{ OPENAI_AGENTS_DISABLE_TRACING: "1" }, { [agents]: {} }],
  [{ OPENAI_AGENTS_DISABLE_TRACING: "true" }, { [agents]: {} }],
  // It switches itself off there.
  [{ NODE_ENV: "test" }, { [agents]: {} }],
  [{}, { [agents]: undefined }],
  [{ DEBUG: "express" }, {}],
  [{ DEBUG: "*", OPENAI_AGENTS_DONT_LOG_MODEL_DATA: "1", OPENAI_AGENTS_DONT_LOG_TOOL_DATA: "true" }, {}],
  [{ LANGSMITH_TRACING: "false", LANGCHAIN_TRACING_V2: "1" }, {}],
  [{ LANGSMITH_TRACING: "true", LANGSMITH_HIDE_INPUTS: "true", LANGSMITH_HIDE_OUTPUTS: "true" }, {}],
  [{}, { AI_SDK_TELEMETRY_INTEGRATIONS: [] }],
  [{ OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "false" }, {}],
  [{ NODE_DEBUG: "undici,fs" }, {}],
])("nothing is on with %j %j", (env, globals) => {
  expect(names(env, globals)).toEqual([]);
});

test("somebody's getter on the global object cannot end a request", () => {
  const trap = {
    get AI_SDK_TELEMETRY_INTEGRATIONS(): never {
      throw new Error("a trap");
    },
  };
  expect(names({}, trap)).toEqual([]);
});

test("the real SDKs register where it is looked", () => {
  const script = `
    require("@openai/agents-core").getGlobalTraceProvider();
    require("ai").registerTelemetryIntegration({});
    process.stdout.write(JSON.stringify([
      Object.hasOwn(globalThis, Symbol.for("openai.agents.core.traceProvider")),
      globalThis.AI_SDK_TELEMETRY_INTEGRATIONS.length,
    ]));
    process.exit();`;
  expect(execFileSync(process.execPath, ["-e", script], { cwd: __dirname, encoding: "utf8" })).toBe("[true,1]");
});

test("each is told once, with its switch and where to read on; also one that came later", () => {
  const warn = jest.fn();
  const globals: Record<symbol, unknown> = {};
  const logger = { debug: jest.fn(), info: jest.fn(), warn, error: jest.fn() };
  const check = new BystanderCheck(logger, { env: { OPENAI_LOG: "debug" }, globals });
  check.report();
  check.report();
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn).toHaveBeenCalledWith(
    expect.stringMatching(/OPENAI_LOG=debug.*Unset it.*docs\/what-else-sees-your-prompt\.md/),
    { bystander: "openai-log" },
  );
  globals[agents] = {};
  check.report();
  check.report();
  expect(warn).toHaveBeenCalledTimes(2);
  expect(warn.mock.calls[1]).toEqual([expect.stringContaining("OPENAI_AGENTS_DISABLE_TRACING=1"), expect.anything()]);
});

describe("a client, our fetch and the proxy", () => {
  const former = process.env["OPENAI_LOG"];
  afterEach(() => {
    if (former === undefined) delete process.env["OPENAI_LOG"];
    else process.env["OPENAI_LOG"] = former;
  });

  test.each<[string, (logger: Logger) => Promise<AsyncDisposable>]>([
    ["SecureChatCompletion", (logger) => Promise.resolve(new SecureChatCompletion({ logger, keyDir }))],
    ["createSecureFetch", (logger) => Promise.resolve(createSecureFetch({ logger, keyDir }))],
    ["startProxy", (logger) => startProxy({ client: { logger, keyDir, apiKey: "k" } })],
  ])("%s tells its logger", async (_name, make) => {
    process.env["OPENAI_LOG"] = "debug";
    const warn = jest.fn();
    await using _made = await make({ debug: jest.fn(), info: jest.fn(), warn, error: jest.fn() });
    expect(warn).toHaveBeenCalledWith(expect.stringContaining("OPENAI_LOG=debug"), { bystander: "openai-log" });
  });
});
