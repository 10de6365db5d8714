/**
 * The echo model: deterministic answers, so that clients can be tried and tested without a language model. It says what
 * it is in each answer.
 *
 * - It repeats the last message's text.
 * - Offered tools, it calls one when `tool_choice` is `"required"` or names it, or when the last message is a user's
 *   and starts with `call NAME`. Text after the name that is a JSON object becomes the arguments; otherwise each
 *   required property of the tool's schema gets a plain value of its type, strings the message's text.
 * - `max_tokens` and `max_completion_tokens` cut the answer; words stand for tokens in `usage`.
 *
 * It works on ordinary JavaScript values: prompts that it sees are not in locked memory.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { LockPolicy } from "../native.js";
import { Disconnected, Refusal } from "../http/refusal.js";
import type { Model } from "./model.js";
import { PoolBytes, withView } from "../memory/pool-bytes.js";

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

interface Tool {
  readonly name: string;
  readonly parameters: unknown;
}

interface ChatRequest {
  readonly model?: unknown;
  readonly messages?: unknown;
  readonly tools?: unknown;
  readonly tool_choice?: unknown;
  readonly max_tokens?: unknown;
  readonly max_completion_tokens?: unknown;
}

export class EchoModel implements Model {
  readonly kind = "echo";
  readonly #locking: LockPolicy;
  readonly #delayMs: number;

  /** `delayMs`: how long each answer takes, for tests of time-outs and cancellation. */
  constructor(locking: LockPolicy, delayMs: number) {
    this.#locking = locking;
    this.#delayMs = delayMs;
  }

  async complete(request: SecureBuffer, signal: AbortSignal): Promise<PoolBytes> {
    const value = withView(request.handle, (view) => JSON.parse(new TextDecoder().decode(view)) as ChatRequest);
    const answer = new TextEncoder().encode(JSON.stringify(echo(value, Math.floor(Date.now() / 1000))));
    if (this.#delayMs > 0) {
      await sleep(this.#delayMs, undefined, { signal }).catch(() => {
        throw new Disconnected();
      });
    }
    const bytes = new PoolBytes(this.#locking, answer.length);
    bytes.appendAndWipe(answer);
    return bytes;
  }
}

/** The whole behaviour, without clock or memory. `created`: unix seconds. */
export function echo(request: ChatRequest, created: number): Record<string, unknown> {
  const messages: unknown = request.messages;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isRecord)) {
    throw new Refusal(400, "The request needs messages: a list with at least one message.");
  }
  const last = messages[messages.length - 1] as Message;
  const said = textOf(last.content);
  const promptWords = (messages as Message[]).reduce((sum, message) => sum + countWords(textOf(message.content)), 0);
  const call = toolCall(request, last, said);

  let message: Record<string, unknown>;
  let finish: string;
  let answerWords: number;
  if (call === undefined) {
    const who = last.role === "tool" ? "The tool answered" : "You wrote";
    const full = `This is nomyo-native's echo model, not a language model. ${who}: ${said}`;
    const { text, cut } = cutToWords(full, limitOf(request));
    message = { role: "assistant", content: text, refusal: null };
    finish = cut ? "length" : "stop";
    answerWords = countWords(text);
  } else {
    const id = `call_${fingerprint(`${call.name}\n${call.arguments}`)}`;
    message = {
      role: "assistant",
      content: null,
      refusal: null,
      tool_calls: [{ id, type: "function", function: call }],
    };
    finish = "tool_calls";
    answerWords = countWords(call.arguments);
  }
  return {
    id: `chatcmpl-echo-${fingerprint(JSON.stringify(message))}`,
    object: "chat.completion",
    created,
    model: request.model,
    system_fingerprint: "nomyo-native-echo",
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    usage: {
      prompt_tokens: promptWords,
      completion_tokens: answerWords,
      total_tokens: promptWords + answerWords,
    },
  };
}

function toolCall(request: ChatRequest, last: Message, said: string): { name: string; arguments: string } | undefined {
  const tools = toolsOf(request.tools);
  if (tools.length === 0 || request.tool_choice === "none" || last.role === "tool") return undefined;
  const asked = askedCall(said);
  const named = namedChoice(request.tool_choice) ?? asked?.name;
  const forced = request.tool_choice === "required" || namedChoice(request.tool_choice) !== undefined;
  const tool = tools.find(({ name }) => name === named) ?? (forced ? tools[0] : undefined);
  if (tool === undefined) return undefined;
  const given = asked?.name === tool.name ? objectText(asked.rest) : undefined;
  return { name: tool.name, arguments: given ?? JSON.stringify(plainArguments(tool.parameters, said)) };
}

function toolsOf(tools: unknown): Tool[] {
  if (!Array.isArray(tools)) return [];
  return tools.flatMap((tool: unknown) => {
    const definition = isRecord(tool) ? tool["function"] : undefined;
    if (!isRecord(definition) || typeof definition["name"] !== "string") return [];
    return [{ name: definition["name"], parameters: definition["parameters"] }];
  });
}

function namedChoice(choice: unknown): string | undefined {
  const definition = isRecord(choice) ? choice["function"] : undefined;
  return isRecord(definition) && typeof definition["name"] === "string" ? definition["name"] : undefined;
}

/** `text` itself when it is the JSON of an object. */
function objectText(text: string): string | undefined {
  try {
    return isRecord(JSON.parse(text)) ? text.trim() : undefined;
  } catch {
    return undefined;
  }
}

function plainArguments(schema: unknown, said: string): Record<string, unknown> {
  const properties = isRecord(schema) && isRecord(schema["properties"]) ? schema["properties"] : {};
  const required = isRecord(schema) && Array.isArray(schema["required"]) ? (schema["required"] as unknown[]) : [];
  return Object.fromEntries(
    required
      .filter((name): name is string => typeof name === "string")
      .map((name) => [name, plainValue(Object.hasOwn(properties, name) ? properties[name] : undefined, said)]),
  );
}

function plainValue(schema: unknown, said: string): unknown {
  if (!isRecord(schema)) return said;
  if (Array.isArray(schema["enum"])) return (schema["enum"] as unknown[])[0];
  switch (schema["type"]) {
    case "number":
    case "integer":
      return 0;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
      return {};
    case "null":
      return null;
    default:
      return said;
  }
}

/** A message's content: a string, or the text parts of a list. */
function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) => (isRecord(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .filter((text) => text !== "")
    .join("\n");
}

function limitOf(request: ChatRequest): number {
  const limit = request.max_completion_tokens ?? request.max_tokens;
  return typeof limit === "number" && Number.isInteger(limit) && limit > 0 ? limit : Infinity;
}

function cutToWords(text: string, limit: number): { text: string; cut: boolean } {
  let count = 0;
  for (const { start } of words(text)) {
    count += 1;
    if (count > limit) return { text: text.slice(0, start).trimEnd(), cut: true };
  }
  return { text, cut: false };
}

function countWords(text: string): number {
  let count = 0;
  for (const _ of words(text)) count += 1;
  return count;
}

/** `call NAME`, and what comes after it. */
function askedCall(text: string): { name: string; rest: string } | undefined {
  if (!text.startsWith("call") || !isSpace(text, 4)) return undefined;
  const [name] = words(text.slice(4));
  if (name === undefined) return undefined;
  const [start, end] = [4 + name.start, 4 + name.end];
  return { name: text.slice(start, end), rest: text.slice(end).trimStart() };
}

/** Where the words of a text are. By hand: a regular expression would leave the text, a prompt, in `RegExp.$_`. */
function* words(text: string): Generator<{ readonly start: number; readonly end: number }> {
  for (let start = 0; start < text.length; start++) {
    if (isSpace(text, start)) continue;
    let end = start + 1;
    while (end < text.length && !isSpace(text, end)) end++;
    yield { start, end };
    start = end;
  }
}

/** White space and line ends of ECMAScript, as `trim` takes them away. */
function isSpace(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code > 0x20 && code < 0x7f ? false : text.charAt(at).trim() === "" && at < text.length;
}

function fingerprint(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex").slice(0, 24);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
