/**
 * Forwards opened requests to an OpenAI-compatible server: Ollama, vLLM, llama.cpp, or a hosted one.
 *
 * The request's bytes go from the pool to the socket, and the answer's bytes from the socket into the pool; each chunk is wiped where it
 * arrived. Nothing becomes a JavaScript string. What stays ordinary memory: the kernel's socket buffers, Node's TLS records when the
 * upstream speaks TLS, and the upstream itself.
 */
import http from "node:http";
import https from "node:https";
import { native, type BufferHandle, type LockPolicy } from "../native.js";
import { JsonObjectError } from "./json-members.js";
import type { Model } from "./model.js";
import { PoolBytes } from "./pool-bytes.js";
import { Disconnected, Refusal } from "./refusal.js";

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
  readonly policy: LockPolicy;
}

export class UpstreamModel implements Model {
  readonly kind = "upstream";
  readonly #settings: UpstreamSettings;

  constructor(settings: UpstreamSettings) {
    this.#settings = settings;
  }

  async complete(request: BufferHandle, signal: AbortSignal): Promise<PoolBytes> {
    const view = native.bufferView(request);
    try {
      return await this.#exchange(view, signal);
    } finally {
      native.bufferReleaseView(request, view);
    }
  }

  /** Settles only when the socket reads no more from `body`, since that is pool memory which goes away afterwards. */
  async #exchange(body: Uint8Array, signal: AbortSignal): Promise<PoolBytes> {
    const { url, apiKey, timeoutMs, connectTimeoutMs } = this.#settings;
    signal.throwIfAborted();
    const send = url.protocol === "https:" ? https.request : http.request;
    const request = send(url, {
      method: "POST",
      // A connection for each request: one that the upstream closes at the wrong moment would cost an answer that may be billed.
      agent: false,
      // Stated, because NODE_TLS_REJECT_UNAUTHORIZED only changes the default.
      ...(url.protocol === "https:" ? { rejectUnauthorized: true, minVersion: "TLSv1.2" } : {}),
      headers: {
        "content-type": "application/json",
        "content-length": body.length,
        accept: "application/json",
        "accept-encoding": "identity",
        "user-agent": `nomyo-native-router/${native.getBuildInfo().version}`,
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
    });
    const closed = new Promise<void>((resolve) => request.once("close", resolve));
    const stop = (error: Error) => () => request.destroy(error);
    const onAbort = stop(new Disconnected());
    signal.addEventListener("abort", onAbort);
    const deadline = setTimeout(stop(new Refusal(504, "The model's server did not answer in time.")), timeoutMs);
    const connecting = setTimeout(
      stop(new Refusal(504, "The model's server did not accept a connection in time.")),
      connectTimeoutMs,
    );
    request.once("socket", (socket) => {
      socket.once(url.protocol === "https:" ? "secureConnect" : "connect", () => clearTimeout(connecting));
    });
    try {
      const response = new Promise<http.IncomingMessage>((resolve, reject) => {
        request.once("response", resolve);
        // More than one error may come (a reset after a refusal); each needs a listener.
        request.on("error", reject);
      });
      request.end(body);
      return await this.#read(await response);
    } catch (error) {
      if (error instanceof Refusal || error instanceof Disconnected || isMemoryError(error)) throw error;
      throw new Refusal(502, "The connection to the model's server failed.");
    } finally {
      clearTimeout(deadline);
      clearTimeout(connecting);
      signal.removeEventListener("abort", onAbort);
      request.destroy();
      await closed;
    }
  }

  async #read(response: http.IncomingMessage): Promise<PoolBytes> {
    const { maxAnswerBytes, maxDepth, policy } = this.#settings;
    checkStatus(response);
    const declared = Number(response.headers["content-length"] ?? 0);
    if (declared > maxAnswerBytes) throw tooLarge();
    const answer = new PoolBytes(policy, declared > 0 ? declared : undefined);
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        if (answer.length + chunk.length > maxAnswerBytes) throw tooLarge();
        answer.appendAndWipe(chunk);
      }
      await answer.scan({ find: [], blank: [], refuseFolded: false, maxDepth });
      return answer;
    } catch (error) {
      answer.dispose();
      if (error instanceof JsonObjectError) {
        throw new Refusal(502, `The model's server did not answer with a JSON object: ${error.message}.`);
      }
      throw error;
    }
  }
}

/** The upstream's own text is never passed on: it would leave unencrypted, and may quote the prompt. */
function checkStatus({ statusCode = 0, headers }: http.IncomingMessage): void {
  if (statusCode === 200) {
    if ((headers["content-encoding"] ?? "identity") === "identity") return;
    throw new Refusal(502, "The model's server answered with a content encoding that was not asked for.");
  }
  const retryAfter = headers["retry-after"];
  const wait = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? { "retry-after": retryAfter } : {};
  if (statusCode === 429) throw new Refusal(429, "The model's server is limiting its rate.", wait);
  if (statusCode === 503) throw new Refusal(503, "The model's server is not available.", wait);
  if (statusCode === 504 || statusCode === 408) throw new Refusal(504, "The model's server ran out of time.");
  if ([400, 404, 413, 422].includes(statusCode)) {
    throw new Refusal(
      400,
      `The model's server refused the request with status ${statusCode}: look at the model's name and the parameters.`,
    );
  }
  throw new Refusal(502, `The model's server failed with status ${statusCode}.`);
}

function tooLarge(): Refusal {
  return new Refusal(502, "The model's server answered with too many bytes.");
}

function isMemoryError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "MEMORY_LOCK" || code === "OUT_OF_MEMORY";
}

/** Where to POST for a base such as `http://127.0.0.1:11434`, `https://host/v1` or the endpoint itself. */
export function completionsUrl(base: string): URL {
  const url = new URL(base);
  const path = url.pathname.replace(/\/+$/, "");
  if (path.endsWith("/chat/completions")) url.pathname = path;
  else if (/\/v\d+$/.test(path)) url.pathname = `${path}/chat/completions`;
  else url.pathname = `${path}/v1/chat/completions`;
  return url;
}
