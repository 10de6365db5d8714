/**
 * Forwards opened requests to an OpenAI-compatible server: Ollama, vLLM, llama.cpp, or a hosted one.
 *
 * The request's bytes go from the pool to the socket, and the answer's from the socket into the pool: see
 * upstream-exchange.ts.
 */
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { ResponseFormatError } from "../http/http-response.js";
import type { ResponseHead } from "../http/http-response.js";
import { JsonObjectError } from "../memory/json-members.js";
import { METADATA_ROOM } from "./metadata.js";
import type { Model } from "./model.js";
import { PoolBytes, withHeldView } from "../memory/pool-bytes.js";
import { Refusal } from "../http/refusal.js";
import { exchange } from "./upstream-exchange.js";

/** Pool memory for an answer whose length is not told before it comes. */
const FIRST_BYTES = 64 * 1024;

export interface UpstreamSettings {
  /** Where to POST; `https:`, or `http:`. */
  readonly url: URL;
  readonly apiKey: string | undefined;
  /** Milliseconds from the start to the answer's last byte. */
  readonly timeoutMs: number;
  /** Milliseconds for connecting, TLS included. */
  readonly connectTimeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly maxDepth: number;
  readonly locking: Locking;
}

export class UpstreamModel implements Model {
  readonly kind = "upstream";
  readonly #settings: UpstreamSettings;

  constructor(settings: UpstreamSettings) {
    this.#settings = settings;
  }

  async complete(request: SecureBuffer, signal: AbortSignal): Promise<PoolBytes> {
    return await withHeldView(request.handle, (view) => this.#exchange(view, signal));
  }

  async #exchange(body: Uint8Array, signal: AbortSignal): Promise<PoolBytes> {
    const { maxAnswerBytes, maxDepth, locking } = this.#settings;
    let answer: PoolBytes | undefined;
    try {
      await exchange(this.#settings, body, signal, {
        head(head) {
          checkHead(head);
          const { contentLength } = head;
          if ((contentLength ?? 0) > maxAnswerBytes) throw tooLarge();
          answer = new PoolBytes(locking, (contentLength ?? FIRST_BYTES) + METADATA_ROOM);
        },
        body(bytes) {
          if (answer === undefined) throw new Error("a body before its head");
          if (answer.length + bytes.length > maxAnswerBytes) throw tooLarge();
          answer.append(bytes);
        },
      });
      if (answer === undefined) throw new Error("an answer without a head");
      await answer.scan({ find: [], blank: [], refuseFolded: false, maxDepth }, signal);
      return answer;
    } catch (error) {
      answer?.dispose();
      if (error instanceof JsonObjectError) {
        throw new Refusal(502, `The model's server did not answer with a JSON object: ${error.message}.`);
      }
      if (error instanceof ResponseFormatError) {
        throw new Refusal(502, `The model's server did not answer in a form that is read here: ${error.message}.`);
      }
      throw error;
    }
  }
}

/** The upstream's own text is never passed on: it would leave unencrypted, and may quote the prompt. */
function checkHead({ status, encoded, retryAfter }: ResponseHead): void {
  if (status === 200) {
    if (!encoded) return;
    throw new Refusal(502, "The model's server answered with a content encoding that was not asked for.");
  }
  const wait = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
  if (status === 429) throw new Refusal(429, "The model's server is limiting its rate.", wait);
  if (status === 503) throw new Refusal(503, "The model's server is not available.", wait);
  if (status === 504 || status === 408) throw new Refusal(504, "The model's server ran out of time.");
  if ([400, 404, 413, 422].includes(status)) {
    throw new Refusal(
      400,
      `The model's server refused the request with status ${status}: look at the model's name and the parameters.`,
    );
  }
  throw new Refusal(502, `The model's server failed with status ${status}.`);
}

function tooLarge(): Refusal {
  return new Refusal(502, "The model's server answered with too many bytes.");
}

/** Where to POST for a base such as `http://127.0.0.1:11434`, `https://host/v1` or the endpoint itself. */
export function completionsUrl(base: string): URL {
  const url = new URL(base);
  let path = url.pathname;
  while (path.endsWith("/")) path = path.slice(0, -1);
  if (path.endsWith("/chat/completions")) url.pathname = path;
  else if (endsWithVersion(path)) url.pathname = `${path}/chat/completions`;
  else url.pathname = `${path}/v1/chat/completions`;
  return url;
}

/** Whether the path ends with `/v` and digits. */
function endsWithVersion(path: string): boolean {
  let at = path.length;
  while (at > 0 && path.charAt(at - 1) >= "0" && path.charAt(at - 1) <= "9") at--;
  return at < path.length && path.slice(0, at).endsWith("/v");
}
