/** Our `fetch` for others' SDKs. */
import { bearerCredential } from "../printable.js";
import { AttestationError } from "../attestation/attestation-error.js";
import { APIConnectionError, APIError, APIUserAbortError, ConfigurationError, NomyoError } from "../errors.js";
import { Deadline } from "../http/deadline.js";
import { afterAnswer, toCompletion } from "../client/secure-chat-completion.js";
import { ownMembers } from "../own-members.js";
import type { ResponseHeaders } from "../response-headers.js";
import { resolveClientOptions, resolveRequestOptions } from "../client/options.js";
import type { ClientOptions } from "../client/options.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { takeApart } from "../chat/request-parts.js";
import { SecureChannel } from "../client/secure-channel.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { OpenBodies, pooledResponse } from "./pooled-response.js";
import type { ChatCompletion, StreamOptions } from "../chat/chat-types.js";
import { toChunks } from "../chat/chunks.js";

/** The options of a client, without `maxRetries`: the SDK above is the one that retries. */
export type SecureFetchOptions = Omit<ClientOptions, "maxRetries">;

/** Why each that is left out is refused where nothing checks types; one without a reason does not compile. */
const leftOut: Readonly<Record<Exclude<keyof ClientOptions, keyof SecureFetchOptions>, string>> = {
  maxRetries: "`maxRetries` belongs to the SDK above: set it there.",
};

/** A `fetch` that seals, and that holds keys until it is closed. */
export interface SecureFetch extends AsyncDisposable {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Resolves when the client's key is there. */
  ready(): Promise<void>;
  /** Finishes requests in flight (or aborts them), wipes the keys, closes the connections. */
  close(options?: { readonly abort?: boolean }): Promise<void>;
}

/**
 * A `fetch` for OpenAI-compatible SDKs: `new OpenAI({ baseURL: "https://api.nomyo.ai/v1", fetch: createSecureFetch({ …
 * }) })`.
 *
 * It answers `POST {baseUrl}/v1/chat/completions` through the encrypted protocol, as one JSON body, or as server-sent
 * events when the SDK asked for a stream. Everything else, and every other origin, is refused without anything being
 * sent.
 *
 * - The API key is `apiKey` of the options, else the one of the SDK's `Authorization` header.
 * - The tier is `security_tier` in the body, or the header `X-Security-Tier`.
 * - It makes no retries: the SDK's own apply. (One exception: when the server has changed its key, the request is
 *   sealed anew, once.)
 * - Refusals of the server come back as responses with OpenAI's error form, so that the SDK throws its own classes; a
 *   failed connection rejects as `fetch` does, with a `TypeError` whose `cause` is ours. Errors that must not be
 *   retried (a broken tag, a wrong pin, a quote that did not verify, an answer that is no chat completion) come back
 *   with the status 424, which no SDK retries, and `error.code`. So do statuses that are neither a sealed 200 nor 400
 *   to 599: a success that was not sealed is none.
 * - Beside the body, which has `_metadata`, the answer's headers tell `X-Payload-ID` and `X-Nomyo-Attestation`: the
 *   report as JSON in base64url, when there is one.
 *
 * - After `close()` it fails as a connection does: a `TypeError` whose `cause` says why.
 *
 * The SDK holds prompts and answers as JavaScript strings, and prints them when `OPENAI_LOG=debug` is set: both happen
 * above this function, which cannot prevent them. The body of the `Response` lies in locked memory until it is read,
 * and is wiped then; also when it is cancelled, its signal aborts, the fetch is closed before any of it was read, or
 * nobody has the `Response` any more. `json()` and `text()` make strings of the JavaScript heap of it, and no other
 * copy. `arrayBuffer()`, `bytes()`, `blob()` and the pieces that are read from `body` (of streams: 16 KiB at most)
 * belong to whoever reads them: ordinary memory, which is not wiped, because he may keep it. `createSecure` has no such
 * copy.
 */
// eslint-disable-next-line max-lines-per-function -- fetch, `ready` and `close` share what they end
export function createSecureFetch(options: SecureFetchOptions = {}): SecureFetch {
  for (const [name, why] of Object.entries(leftOut)) {
    if (typeof options === "object" && (options as unknown) !== null && Object.hasOwn(options, name)) {
      throw new ConfigurationError(name, why);
    }
  }
  needWebClasses();
  // What is no object goes on as it is, to be refused.
  const given = typeof options === "object" && (options as unknown) !== null ? { ...options, maxRetries: 0 } : options;
  const channel = new SecureChannel(resolveClientOptions(given));
  const hasOwnKey = Object.hasOwn(given, "apiKey") && given.apiKey !== undefined;
  channel.keys.start();
  const sdkBase = `${channel.options.baseUrl}/v1`;
  const endpoint = endpointOf(sdkBase);
  const open = new OpenBodies();
  let closed = false;

  const secureFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    // A plain object's own members only; a Request in this place has its members on its prototype.
    const own = init instanceof Request ? init : ownMembers(init);
    const request = input instanceof Request || own instanceof Request ? new Request(input, own) : undefined;
    const url = checkedUrl(request?.url ?? (input instanceof URL ? input.href : (input as string)));
    const method = (request?.method ?? own.method ?? "GET").toUpperCase();
    if (url !== endpoint || method !== "POST") {
      return notSealed(method, url, sdkBase);
    }
    const headers = request?.headers ?? new Headers(own.headers);
    const signal = request?.signal ?? own.signal ?? undefined;
    try {
      if (closed) throw closedError();
      checkNotEncoded(headers);
      const text = await inTime(request === undefined ? bodyText(own.body) : request.text(), signal);
      const { payload, model, tier, stream, streamOptions } = takeApart(parse(text));
      const resolved = resolveRequestOptions(
        channel.options,
        {
          signal,
          // An empty object of options must not override the client's key.
          ...(hasOwnKey ? {} : sdkKey(headers)),
          security_tier: (headers.get("x-security-tier") ?? undefined) as SecurityTier | undefined,
        },
        tier,
      );
      const answer = await channel.request(payload, model, resolved);
      return afterAnswer(answer, () => {
        const { headers: sent, text: sentText } = success(
          toCompletion(answer),
          answer.response.headers,
          stream,
          streamOptions,
        );
        const { locking } = channel.options.secureMemory;
        return pooledResponse(
          SecureBuffer.from(sentText, locking),
          { headers: sent, url: endpoint, locking, signal },
          open,
        );
      });
    } catch (error) {
      // What was called after the end, or before it and is told of it now, never came to a connection.
      if (closed && error instanceof ConfigurationError && error.option === "close") {
        throw new TypeError("fetch failed", { cause: error });
      }
      return failure(error, signal);
    }
  };
  /** A body may be a stream that does not end. */
  const inTime = async <T>(reading: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
    const deadline = new Deadline(channel.options.timeout, [signal]);
    try {
      deadline.startClock();
      return await deadline.race(reading);
    } finally {
      deadline.dispose();
    }
  };
  const close = async (abort: boolean): Promise<void> => {
    closed = true;
    // First what nobody reads; then the answers that requests in flight still get are their callers'.
    open.close(abort);
    await channel.close(abort);
  };
  return Object.assign(secureFetch, {
    ready: async () => {
      await channel.receiptsReady();
      (await channel.keys.lease((promise) => promise)).release();
    },
    close: (how: { readonly abort?: boolean } = {}) => close(Object.hasOwn(how, "abort") && how.abort === true),
    [Symbol.asyncDispose]: () => close(false),
  });
}

const endpointOf = (sdkBase: string): string => `${sdkBase}/chat/completions`;

/** The answer to a request that is not for the one address that is sealed. */
function notSealed(method: string, url: string, sdkBase: string): Response {
  const endpoint = endpointOf(sdkBase);
  const asked = `${method} ${shownUrl(url)}`;
  return refusal(
    404,
    "NOT_SEALED",
    `Only POST ${endpoint} goes through the encrypted protocol, and this was ${asked}. Nothing was sent. ` +
      (url === endpoint
        ? "Chat completions are asked for with POST."
        : `For chat completions set the SDK's base URL (\`baseURL\`) to ${sdkBase}; send other calls with a client ` +
          "that has another fetch."),
  );
}

/** What this function is made of. Node loads them when they are first touched, and cannot without WebAssembly. */
function needWebClasses(): void {
  try {
    if ([Request, Response, Headers].every((made) => typeof made === "function")) return;
  } catch {
    // Not there, or not to be loaded.
  }
  throw new ConfigurationError(
    "createSecureFetch",
    "createSecureFetch needs the global Request, Response and Headers, which this process does not have " +
      "(--no-experimental-fetch, " +
      "--jitless, or too little address space). SecureChatCompletion works without them.",
  );
}

/** Without query and fragment, which no SDK adds here: with one it does not equal the endpoint and is refused. */
function checkedUrl(text: string): string {
  try {
    return new URL(text).href;
  } catch {
    return text;
  }
}

function sdkKey(headers: Headers): { apiKey?: string } {
  const apiKey = bearerCredential(headers.get("authorization"));
  return apiKey === undefined ? {} : { apiKey };
}

/** The body's text. What fetch would make something else than JSON of is refused by its name. */
async function bodyText(body: RequestInit["body"]): Promise<string> {
  if (typeof body === "string") return body;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return new TextDecoder().decode(body);
  if (body instanceof Blob) return await body.text();
  if (body instanceof ReadableStream) return await new Response(body).text();
  const what =
    body === undefined || body === null
      ? "missing"
      : `of the kind ${Object.prototype.toString.call(body).slice(8, -1)}`;
  throw new ConfigurationError(
    "body",
    `The request's body is ${what}. It must be JSON: a string, an ArrayBuffer, a view of one (Uint8Array), a Blob or ` +
      "a ReadableStream.",
  );
}

/** What would have to be undone first, and is not. */
function checkNotEncoded(headers: Headers): void {
  const encoding = headers.get("content-encoding");
  if (encoding === null || encoding.trim().toLowerCase() === "identity") return;
  throw new ConfigurationError(
    "body",
    "The request has a Content-Encoding, and its body is read here, to be sealed. Send it without one (not " +
      "compressed).",
  );
}

function closedError(): ConfigurationError {
  return new ConfigurationError("close", "This fetch has been closed: make a new one with createSecureFetch().");
}

/** Without what may be a secret in it. */
function shownUrl(text: string): string {
  try {
    const { origin, pathname } = new URL(text);
    return `${origin}${pathname}`;
  } catch {
    return "an address that is none";
  }
}

function parse(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch {
    // Not the parser's own error: it quotes the text.
    throw new ConfigurationError("body", "The request's body is not JSON.");
  }
}

function success(
  completion: ChatCompletion,
  from: ResponseHeaders,
  stream: boolean,
  streamOptions: StreamOptions | null | undefined,
): { readonly headers: Headers; readonly text: string } {
  const headers = new Headers({ "X-Payload-ID": completion._metadata.payload_id });
  const report = completion._metadata.attestation_report;
  if (report !== undefined) {
    headers.set("X-Nomyo-Attestation", Buffer.from(JSON.stringify(report)).toString("base64url"));
  }
  const requestId = from.get("x-request-id");
  if (requestId !== null && isHeaderText(requestId)) headers.set("X-Request-ID", requestId);
  if (!stream) {
    headers.set("Content-Type", "application/json");
    return { headers, text: JSON.stringify(completion) };
  }
  headers.set("Content-Type", "text/event-stream; charset=utf-8");
  const events = toChunks(completion, streamOptions).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  return { headers, text: [...events, "data: [DONE]\n\n"].join("") };
}

/** The response, or the rejection, that makes an SDK throw its own fitting class. */
function failure(error: unknown, signal: AbortSignal | undefined | null): Response {
  if (error instanceof APIUserAbortError) throw signal?.aborted === true ? signal.reason : error;
  if (error instanceof APIConnectionError) throw new TypeError("fetch failed", { cause: error });
  if (error instanceof APIError && error.statusCode !== undefined) {
    const headers: Record<string, string> = {};
    for (const name of ["retry-after", "x-request-id"]) {
      const value = error.headers?.get(name);
      if (value !== undefined && value !== null && isHeaderText(value)) headers[name] = value;
    }
    // A success that was not sealed is none, and a status that is none of HTTP's would be an exception of `Response`.
    const isRefusal = error.statusCode >= 400 && error.statusCode <= 599;
    return refusal(isRefusal ? error.statusCode : 424, error.code, detailOf(error) ?? error.message, headers);
  }
  if (error instanceof ConfigurationError || error instanceof APIError) return refusal(400, error.code, error.message);
  if (error instanceof AttestationError)
    return refusal(424, error.code, error.message, {}, { attestation_report: error.report });
  if (error instanceof NomyoError) return refusal(424, error.code, error.message);
  throw error;
}

/** `Headers` throws for some bytes that Node's parser lets through. */
function isHeaderText(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

/** What the server itself said: SDK users look for it in the message. */
function detailOf(error: APIError): string | undefined {
  const details = error.errorDetails as { detail?: unknown } | null | undefined;
  return typeof details === "object" && typeof details?.detail === "string" ? details.detail : undefined;
}

function refusal(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  more: object = {},
): Response {
  const type = status === 424 ? "security_error" : "nomyo_error";
  return Response.json({ error: { message, type, code, param: null, ...more } }, { status, headers });
}
