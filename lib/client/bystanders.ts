/**
 * What else in this process sees prompts and answers, as far as that can be seen: SDKs above this package hold both as
 * strings, and some send or print them. Told once; nothing here can prevent it.
 */
import type { Logger } from "./logger.js";

/** Where it is looked: the environment, and the global object, where some SDKs register. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly globals: object;
}

export interface Bystander {
  /** Which, for programs: a name that does not change. */
  readonly name: string;
  /** What it does, and the switch. */
  readonly sentence: string;
}

const PAGE = "docs/what-else-sees-your-prompt.md";

interface Known extends Bystander {
  /** It may come while a client is there: it registers in the global object when it is loaded. */
  readonly mayCome?: true;
  readonly isOn: (surroundings: Surroundings) => boolean;
}

/** LangChain and LangSmith want exactly "true" in one of them. */
const langSmithSwitches = ["LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING"];
/** As Node names its own modules there; what others print of a request is its address. */
const nodeDebugSections = ["http", "https", "net", "tls", "stream"];

const known: readonly Known[] = [
  {
    name: "openai-log",
    sentence: "OPENAI_LOG=debug: the OpenAI SDK prints prompts and answers. Unset it, or set it to warn.",
    isOn: ({ env }) => env["OPENAI_LOG"] === "debug",
  },
  {
    name: "openai-agents-tracing",
    sentence:
      "@openai/agents is loaded, and sends traces with prompts and answers to OpenAI unless it is told not to. Set " +
      "OPENAI_AGENTS_DISABLE_TRACING=1 " +
      "before it is loaded (that you called setTracingDisabled(true) cannot be seen from here).",
    mayCome: true,
    isOn: ({ env, globals }) =>
      Boolean(memberOf(globals, Symbol.for("openai.agents.core.traceProvider"))) &&
      env["NODE_ENV"] !== "test" &&
      !isYes(env["OPENAI_AGENTS_DISABLE_TRACING"]),
  },
  {
    name: "openai-agents-debug",
    sentence:
      "DEBUG names openai-agents, which prints prompts and answers. Unset it, or set " +
      "OPENAI_AGENTS_DONT_LOG_MODEL_DATA=1 and " +
      "OPENAI_AGENTS_DONT_LOG_TOOL_DATA=1.",
    isOn: ({ env }) =>
      wordsOf(env["DEBUG"]).some((word) => word === "*" || word.startsWith("openai-agents")) &&
      !(isYes(env["OPENAI_AGENTS_DONT_LOG_MODEL_DATA"]) && isYes(env["OPENAI_AGENTS_DONT_LOG_TOOL_DATA"])),
  },
  {
    name: "langsmith-tracing",
    sentence:
      "LangChain and LangSmith, where this process uses them, send prompts and answers to LangSmith: one of " +
      `${langSmithSwitches.join(", ")} ` +
      "is true. Unset them, or hide contents with LANGSMITH_HIDE_INPUTS=true and LANGSMITH_HIDE_OUTPUTS=true.",
    isOn: ({ env }) =>
      langSmithSwitches.some((name) => env[name] === "true") &&
      !(env["LANGSMITH_HIDE_INPUTS"] === "true" && env["LANGSMITH_HIDE_OUTPUTS"] === "true"),
  },
  {
    name: "ai-sdk-telemetry",
    sentence:
      "The AI SDK has a telemetry integration registered, which gets prompts and answers of every call that does not " +
      "say " +
      "recordInputs: false and recordOutputs: false.",
    mayCome: true,
    isOn: ({ globals }) => {
      const integrations = memberOf(globals, "AI_SDK_TELEMETRY_INTEGRATIONS");
      return Array.isArray(integrations) && integrations.length > 0;
    },
  },
  {
    name: "otel-genai-content",
    sentence:
      "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: OpenTelemetry's instrumentation of SDKs records prompts " +
      "and answers. Unset it.",
    isOn: ({ env }) => {
      const value = (env["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] ?? "").toLowerCase();
      return value !== "" && value !== "false" && value !== "no_content";
    },
  },
  {
    name: "datadog-llmobs",
    sentence:
      "DD_LLMOBS_ENABLED: Datadog's tracer, where this process uses it, captures prompts and answers. Unset it.",
    isOn: ({ env }) => isYes(env["DD_LLMOBS_ENABLED"]?.toLowerCase()),
  },
  {
    name: "node-debug",
    sentence:
      "NODE_DEBUG names http, https, net, tls or stream: Node prints what it sends on stderr, headers with the API " +
      "key too. Unset it.",
    isOn: ({ env }) =>
      wordsOf(env["NODE_DEBUG"]).some((word) => word.includes("*") || nodeDebugSections.includes(word.toLowerCase())),
  },
];

/** Those that are on now. */
export function bystanders(surroundings: Surroundings, among = known): readonly Bystander[] {
  return among.filter(({ isOn }) => isOn(surroundings)).map(({ name, sentence }) => ({ name, sentence }));
}

const latecomers = known.filter(({ mayCome }) => mayCome);

/** Tells a client's logger of each, once: also of one that was loaded after the client was made. */
export class BystanderCheck {
  readonly #logger: Logger;
  readonly #surroundings: Surroundings;
  readonly #told = new Set<string>();
  #among = known;

  constructor(logger: Logger, surroundings: Surroundings = { env: process.env, globals: globalThis }) {
    this.#logger = logger;
    this.#surroundings = surroundings;
  }

  /**
   * To be called when a client is made, and whenever a request begins: an SDK may have come since. Variables are looked
   * at the first time only: reading them is not free.
   */
  report(): void {
    const found = bystanders(this.#surroundings, this.#among);
    this.#among = latecomers;
    for (const { name, sentence } of found) {
      if (this.#told.has(name)) continue;
      this.#told.add(name);
      this.#logger.warn(`Prompts may be seen beside this client. ${sentence} More: ${PAGE}.`, { bystander: name });
    }
  }
}

/** As `@openai/agents` reads its variables. */
function isYes(value: string | undefined): boolean {
  return value === "1" || value === "true";
}

function wordsOf(list: string | undefined): readonly string[] {
  return (list ?? "").split(",").flatMap((part) => part.trim().split(" "));
}

/** A member of the global object's own; somebody's getter there may throw. */
function memberOf(globals: object, name: string | symbol): unknown {
  try {
    return Object.hasOwn(globals, name) ? (globals as Readonly<Record<string | symbol, unknown>>)[name] : undefined;
  } catch {
    return undefined;
  }
}
