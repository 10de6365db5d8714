/**
 * One chat completion: JSON in the pool is checked and sealed from there, the answer is opened into the pool and given
 * out from there.
 */
import type { AnswerMetadata } from "../chat/chat-types.js";
import type { SecurityTier } from "../chat/security-tier.js";
import type { ResolvedRequestOptions } from "../client/options.js";
import type { SecureChannel } from "../client/secure-channel.js";
import { answerShape, chatEvents } from "../envelope/chat-events.js";
import { PoolRequest } from "../envelope/seal.js";
import { Refusal } from "../http/refusal.js";
import { JsonObjectError, scanObject } from "../memory/json-members.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking, ScannedObject } from "../native.js";
import type { Answer } from "./answer.js";

/** Deepest nesting of a request's or an answer's JSON. */
const MAX_DEPTH = 1024;
/** The longest name of a model, as JSON. */
const MAX_MODEL_BYTES = 1024;
/** The events of an answer, for each byte that an answer may have: head and metadata are in several chunks. */
const EVENTS_FOR_EACH = 4;

export interface CompletionSettings {
  readonly channel: SecureChannel;
  /** What every request goes by, without its signal. */
  readonly request: ResolvedRequestOptions;
  /** Told of each answer that was opened and believed. */
  readonly opened: (metadata: AnswerMetadata) => void;
}

interface Wishes {
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/**
 * Takes `body` over. Rejects with a `Refusal` for a request that is not right, with the channel's errors, or as
 * `signal` says.
 */
export async function complete(
  body: SecureBuffer,
  { channel, request, opened: told }: CompletionSettings,
  signal: AbortSignal,
): Promise<Answer> {
  const { locking } = channel.options.secureMemory;
  const payload = new PoolRequest(body);
  let answer: SecureBuffer | undefined;
  try {
    const wishes = await readWishes(body, request.securityTier, locking, signal);
    const { opened, metadata, response } = await channel.request(payload, wishes.model, { ...request, signal });
    answer = opened.take();
    told(metadata);
    const headers = { "x-payload-id": response.payloadId };
    if (!wishes.stream) {
      const whole = await wholeAnswer(answer, metadata, locking, signal);
      answer = undefined;
      return { status: 200, headers: { "content-type": "application/json", ...headers }, body: whole };
    }
    const events = await chatEvents(answer, {
      metadata,
      includeUsage: wishes.includeUsage,
      maxDepth: MAX_DEPTH,
      maxBytes: EVENTS_FOR_EACH * channel.options.maxResponseBytes,
      locking,
      signal,
    });
    return {
      status: 200,
      headers: { "content-type": "text/event-stream; charset=utf-8", ...headers },
      body: { memory: events, length: events.length, tail: new Uint8Array() },
    };
  } finally {
    payload.dispose();
    answer?.dispose();
  }
}

/**
 * What the request says to the proxy, which is taken out of it: the service never streams, and the tier goes into a
 * header.
 */
async function readWishes(
  body: SecureBuffer,
  tier: SecurityTier | undefined,
  locking: Locking,
  signal: AbortSignal,
): Promise<Wishes> {
  const find = ["model", "messages", "stream", "stream_options", "security_tier", "api_key"];
  const options = { find, blank: [], refuseFolded: true, maxDepth: MAX_DEPTH };
  const { found } = await scan(body, { ...options }, locking, signal);
  const [model, messages, stream, streamOptions, ownTier, apiKey] = found.map((place) => place ?? undefined);
  if (apiKey !== undefined) {
    throw new Refusal(
      400,
      "`api_key` does not belong into the request: the proxy has NOMYO's key, and sends it itself.",
    );
  }
  const name = textOf(body, model);
  if (name === undefined || name === "") {
    throw new Refusal(400, `The request needs \`model\`: a string of at most ${MAX_MODEL_BYTES} bytes.`);
  }
  if (firstByte(body, messages) !== 0x5b) throw new Refusal(400, "The request needs `messages`, an array.");
  if (ownTier !== undefined && textOf(body, ownTier) !== tier && !isWord(body, ownTier, "null")) {
    throw new Refusal(
      400,
      "`security_tier` is set where the proxy is started (--tier), for all requests: leave it out of the request.",
    );
  }
  const streams = stream !== undefined && isWord(body, stream, "true");
  if (stream !== undefined && !streams && !isWord(body, stream, "false") && !isWord(body, stream, "null")) {
    throw new Refusal(400, "`stream` must be true or false.");
  }
  const wishes = { model: name, stream: streams, includeUsage: false };
  if (streamOptions !== undefined && !isWord(body, streamOptions, "null")) {
    wishes.includeUsage = await wantsUsage(body, streamOptions, locking, signal);
  }
  if (stream !== undefined || streamOptions !== undefined || ownTier !== undefined) {
    const blank = ["stream", "stream_options", "security_tier"];
    await scan(body, { ...options, find: [], blank }, locking, signal);
  }
  return wishes;
}

type Place = NonNullable<ScannedObject["found"][number]>;

async function scan(
  json: SecureBuffer,
  options: Parameters<typeof scanObject>[2],
  locking: Locking,
  signal: AbortSignal,
): Promise<ScannedObject> {
  try {
    return await scanObject(json.handle, json.length, options, locking, signal);
  } catch (error) {
    if (error instanceof JsonObjectError) throw new Refusal(400, `The request is not usable JSON: ${error.message}.`);
    throw error;
  }
}

/** `include_usage` of `stream_options`. */
async function wantsUsage(body: SecureBuffer, place: Place, locking: Locking, signal: AbortSignal): Promise<boolean> {
  if (firstByte(body, place) !== 0x7b) throw new Refusal(400, "`stream_options` must be an object.");
  using options = body.use((bytes) => SecureBuffer.from(bytes.subarray(place.begin, place.end), locking));
  const how = { find: ["include_usage"], blank: [], refuseFolded: false, maxDepth: MAX_DEPTH };
  const { found } = await scan(options, how, locking, signal);
  const [usage] = found;
  return usage !== undefined && usage !== null && isWord(options, usage, "true");
}

/** The answer as the server made it, with the client's `_metadata` in the place of the server's. Takes it over. */
async function wholeAnswer(
  answer: SecureBuffer,
  metadata: AnswerMetadata,
  locking: Locking,
  signal: AbortSignal,
): Promise<Answer["body"]> {
  const how = { find: [], blank: ["_metadata"], refuseFolded: false, maxDepth: MAX_DEPTH };
  try {
    const { left, close } = await scanObject(answer.handle, answer.length, how, locking, signal);
    const tail = `${left === 0 ? "" : ","}"_metadata":${JSON.stringify(metadata)}}`;
    // Without the blanks that stand where the server's own was.
    const length = answer.use((bytes) => {
      let end = close;
      while (bytes[end - 1] === 0x20) end -= 1;
      return end;
    });
    return { memory: answer, length, tail: new TextEncoder().encode(tail) };
  } catch (error) {
    if (error instanceof JsonObjectError) throw answerShape(error.message);
    throw error;
  }
}

function firstByte(json: SecureBuffer, place: Place | undefined): number | undefined {
  return place === undefined ? undefined : json.use((bytes) => bytes[place.begin]);
}

function isWord(json: SecureBuffer, place: Place, word: string): boolean {
  return json.use((bytes) => {
    if (place.end - place.begin !== word.length) return false;
    for (let i = 0; i < word.length; i += 1) if (bytes[place.begin + i] !== word.charCodeAt(i)) return false;
    return true;
  });
}

/** A short string of the request that is no content: a name. */
function textOf(json: SecureBuffer, place: Place | undefined): string | undefined {
  if (place === undefined || place.end - place.begin > MAX_MODEL_BYTES || firstByte(json, place) !== 0x22)
    return undefined;
  const text = json.use((bytes) => new TextDecoder().decode(bytes.subarray(place.begin, place.end)));
  return JSON.parse(text) as string;
}
