import { bearerCredential } from "../printable.js";
import {
  AttestationError,
  APIConnectionError,
  APIError,
  APIUserAbortError,
  ConfigurationError,
  NomyoError,
} from "../errors.js";
import { toCompletion } from "../client/secure-chat-completion.js";
import { resolveClientOptions, resolveRequestOptions } from "../client/options.js";
import type { ClientOptions, SecurityTier } from "../client/options.js";
import { takeApart } from "../client/request-body.js";
import { SecureChannel } from "../client/secure-channel.js";
import type { ChatCompletion, StreamOptions } from "./chat-types.js";
import { toChunks } from "./chunks.js";

/** The options of a client, without `maxRetries`: the SDK above is the one that retries. */
export type SecureFetchOptions = Omit<ClientOptions, "maxRetries">;

/** A `fetch` that seals, and that holds keys until it is closed. */
export interface SecureFetch extends AsyncDisposable {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Resolves when the client's key is there. */
  ready(): Promise<void>;
  /** Finishes requests in flight (or aborts them), wipes the keys, closes the connections. */
  close(options?: { readonly abort?: boolean }): Promise<void>;
}

/**
 * A `fetch` for OpenAI-compatible SDKs: `new OpenAI({ baseURL: "https://api.nomyo.ai/v1", fetch: createSecureFetch({ … }) })`.
 *
 * It answers `POST {baseUrl}/v1/chat/completions` through the encrypted protocol, as one JSON body, or as server-sent events when the
 * SDK asked for a stream. Everything else, and every other origin, is refused without anything being sent.
 *
 * - The API key is `apiKey` of the options, else the one of the SDK's `Authorization` header.
 * - The tier is `security_tier` in the body, or the header `X-Security-Tier`.
 * - It makes no retries: the SDK's own apply. (One exception: when the server has changed its key, the request is sealed anew, once.)
 * - Refusals of the server come back as responses with OpenAI's error form, so that the SDK throws its own classes; a failed
 *   connection rejects as `fetch` does, with a `TypeError` whose `cause` is ours. Errors that must not be retried (a broken tag, a wrong
 *   pin, a quote that did not verify) come back with the status 424, which no SDK retries, and `error.code`.
 * - Beside the body, which has `_metadata`, the answer's headers tell `X-Payload-ID` and `X-Nomyo-Attestation`: the report as JSON in
 *   base64url, when there is one.
 *
 * The SDK holds prompts and answers as JavaScript strings, and prints them when `OPENAI_LOG=debug` is set: both happen above this
 * function, which cannot prevent them.
 */
export function createSecureFetch(options: SecureFetchOptions = {}): SecureFetch {
  if ("maxRetries" in options) {
    throw new ConfigurationError("maxRetries", "`maxRetries` belongs to the SDK above: set it there.");
  }
  const channel = new SecureChannel(resolveClientOptions({ ...options, maxRetries: 0 }));
  channel.keys.start();
  const endpoint = `${channel.options.baseUrl}/v1/chat/completions`;

  const secureFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const request = input instanceof Request ? new Request(input, init) : undefined;
    const url = checkedUrl(request?.url ?? (input instanceof URL ? input.href : (input as string)));
    const method = (request?.method ?? init.method ?? "GET").toUpperCase();
    if (url !== endpoint || method !== "POST") {
      return refusal(404, "NOT_SEALED", `Only POST ${endpoint} goes through the encrypted protocol. Nothing was sent.`);
    }
    const headers = request?.headers ?? new Headers(init.headers);
    const signal = request?.signal ?? init.signal ?? undefined;
    try {
      const text = request === undefined ? bodyText(init.body) : await request.text();
      const { payload, model, tier, stream, streamOptions } = takeApart(parse(text));
      const resolved = resolveRequestOptions(
        channel.options,
        {
          signal,
          // An empty object of options must not override the client's key.
          ...(options.apiKey === undefined ? sdkKey(headers) : {}),
          security_tier: (headers.get("x-security-tier") ?? undefined) as SecurityTier | undefined,
        },
        tier,
      );
      const answer = await channel.request(payload, model, resolved);
      return success(toCompletion(answer), answer.response.headers, stream, streamOptions);
    } catch (error) {
      return failure(error, signal);
    }
  };
  return Object.assign(secureFetch, {
    ready: async () => {
      (await channel.keys.lease((promise) => promise)).release();
    },
    close: ({ abort = false }: { readonly abort?: boolean } = {}) => channel.close(abort),
    [Symbol.asyncDispose]: () => channel.close(false),
  });
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

function bodyText(body: RequestInit["body"]): string {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  throw new ConfigurationError("body", "The request's body must be a string or bytes of JSON.");
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
  from: Headers,
  stream: boolean,
  streamOptions: StreamOptions | null | undefined,
): Response {
  const headers = new Headers({ "X-Payload-ID": completion._metadata.payload_id });
  const report = completion._metadata.attestation_report;
  if (report !== undefined) {
    headers.set("X-Nomyo-Attestation", Buffer.from(JSON.stringify(report)).toString("base64url"));
  }
  const requestId = from.get("x-request-id");
  if (requestId !== null) headers.set("X-Request-ID", requestId);
  if (!stream) {
    headers.set("Content-Type", "application/json");
    return new Response(JSON.stringify(completion), { status: 200, headers });
  }
  headers.set("Content-Type", "text/event-stream; charset=utf-8");
  const events = toChunks(completion, streamOptions).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  return new Response([...events, "data: [DONE]\n\n"].join(""), { status: 200, headers });
}

/** The response, or the rejection, that makes an SDK throw its own fitting class. */
function failure(error: unknown, signal: AbortSignal | undefined | null): Response {
  if (error instanceof APIUserAbortError) throw signal?.aborted === true ? signal.reason : error;
  if (error instanceof APIConnectionError) throw new TypeError("fetch failed", { cause: error });
  if (error instanceof APIError && error.statusCode !== undefined) {
    const headers: Record<string, string> = {};
    for (const name of ["retry-after", "x-request-id"]) {
      const value = error.headers?.get(name);
      if (value !== undefined && value !== null) headers[name] = value;
    }
    return refusal(error.statusCode, error.code, detailOf(error) ?? error.message, headers);
  }
  if (error instanceof ConfigurationError || error instanceof APIError) return refusal(400, error.code, error.message);
  if (error instanceof AttestationError)
    return refusal(424, error.code, error.message, {}, { attestation_report: error.report });
  if (error instanceof NomyoError) return refusal(424, error.code, error.message);
  throw error;
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
