/** HTTP by a `fetch` or a dispatcher that the caller gives. */
import { ConfigurationError, SecurityError } from "../errors.js";
import type { Sent } from "../errors.js";
import { ownMembers } from "../own-members.js";
import { ReceivedHeaders } from "./received-headers.js";
import { ConnectionFailure, failureCode, failureSyscall } from "./transport.js";
import type { Transport, TransportRequest, TransportResponse } from "./transport.js";

/** What this package calls on a `fetch`: the global one, undici's, or the caller's own. */
export type FetchLike = (url: string, init: FetchInit) => Promise<Response>;

/** What this package passes to a `fetch`. It inherits nothing, not even from `Object.prototype`. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
  signal: AbortSignal;
  redirect: "manual";
  dispatcher?: unknown;
}

/**
 * An undici `Dispatcher`: `Agent`, `ProxyAgent`, `EnvHttpProxyAgent`, `Pool` … of any version that fits the `fetch` in
 * use.
 */
export interface DispatcherLike {
  /** Never called here: `fetch` gets the dispatcher as it is. */
  dispatch(options: object, handler: object): boolean;
}

/** Codes of failures before any byte of the request can have left. */
const neverSent =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;
/**
 * Codes that say so only of an attempt to connect: an established connection ends with them too when its route is lost.
 */
const neverConnected = /^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/;

/** The transport over a `fetch`: for a caller's own, and for an undici dispatcher (proxy, private CA, mutual TLS). */
export class FetchTransport implements Transport {
  readonly #fetch: FetchLike;
  readonly #dispatcher: DispatcherLike | undefined;

  constructor(fetch: FetchLike, dispatcher: DispatcherLike | undefined) {
    this.#fetch = fetch;
    this.#dispatcher = dispatcher === undefined ? undefined : withoutTimeouts(dispatcher);
  }

  async send({ method, url, headers, body, signal, onSending }: TransportRequest): Promise<TransportResponse> {
    if (signal.aborted) throw signal.reason;
    // The variable switches verification off for everything that fetch does in this process, and no option of fetch
    // overrules it.
    if (url.protocol === "https:" && process.env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0") {
      throw new SecurityError(
        "NODE_TLS_REJECT_UNAUTHORIZED=0 turns certificate verification off in this process: remove it. " +
          "For a private certificate authority use NODE_EXTRA_CA_CERTS, or a dispatcher with `connect: { ca }`.",
        "TLS_NOT_VERIFIED",
      );
    }
    let response: Response;
    // A fetch does not say when it sends; some of its errors say that it cannot have done so.
    onSending?.();
    try {
      response = await this.#response(
        ownMembers<FetchInit>({
          method,
          headers: { ...headers },
          ...(body === undefined ? {} : { body }),
          signal,
          redirect: "manual",
          ...(this.#dispatcher === undefined ? {} : { dispatcher: this.#dispatcher }),
        }),
        url,
      );
    } catch (error) {
      // It may have been aborted meanwhile, which the compiler cannot see.
      if ((signal as { readonly aborted: boolean }).aborted) throw signal.reason;
      const code = failureCode(error);
      const unconnected = neverSent.test(code) || (neverConnected.test(code) && failureSyscall(error) === "connect");
      const sent: Sent = unconnected ? "no" : "maybe";
      throw new ConnectionFailure(code, sent, url);
    }
    if (response.redirected) {
      discard(response);
      const error = new SecurityError(
        "The given `fetch` followed a redirect, with the credential in its headers. Use one that honours `redirect: " +
          '"manual"`.',
        "REDIRECTED",
      );
      // A redirect is an answer, and what it led to is another.
      error.sent = "yes";
      throw error;
    }
    return {
      status: response.status,
      headers: ReceivedHeaders.from(response.headers),
      body: chunks(response, signal, url),
    };
  }

  close(): void {
    // The connections belong to the caller's fetch or dispatcher.
  }

  /**
   * A fetch of the caller's may not look at its signal: the signal ends the waiting all the same, and a late answer is
   * let go.
   */
  async #response(init: FetchInit, url: URL): Promise<Response> {
    const { signal } = init;
    const call = this.#fetch;
    const fetching = Promise.resolve(call(url.href, init));
    const response = await orAborted(fetching, signal, () => void fetching.then(discard, () => undefined));
    // A caller's fetch may give anything.
    const given = response as { headers?: { forEach?: unknown } } | null | undefined;
    if (typeof given?.headers?.forEach !== "function") {
      throw new TypeError("not a Response");
    }
    return response;
  }
}

/** Settles as `promise` does, or with the signal's reason as soon as it is aborted; then `left` is called. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal, left: () => void): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      left();
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Lets a body go that nobody reads, so that its connection is free again. */
function discard(response: Response): void {
  try {
    response.body?.cancel().catch(() => undefined);
  } catch {
    // Not a web stream: then its owner has to do without.
  }
}

/**
 * The same dispatcher without undici's own time-outs for headers and body (300 s each): the deadline of the attempt is
 * the only one, and an answer that does not stream may well take longer to begin.
 */
function withoutTimeouts(dispatcher: DispatcherLike): DispatcherLike {
  return {
    dispatch: (options, handler) => dispatcher.dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, handler),
  };
}

/** Where a body's chunks come from: a web stream's reader, or the iterator of another kind of stream. */
interface Source {
  next(): Promise<{ done?: boolean | undefined; value?: unknown }>;
  /** Ends it, also while a `next` is waiting. */
  stop(): unknown;
}

function sourceOf(body: ReadableStream<Uint8Array>): Source {
  if (typeof body.getReader === "function") {
    const reader = body.getReader();
    return { next: () => reader.read(), stop: () => reader.cancel() };
  }
  const stream = body as AsyncIterable<unknown> & { destroy?: () => void };
  const iterator = stream[Symbol.asyncIterator]();
  return {
    next: () => iterator.next(),
    stop: () => (typeof stream.destroy === "function" ? stream.destroy() : iterator.return?.()),
  };
}

async function* chunks(response: Response, signal: AbortSignal, url: URL): AsyncGenerator<Uint8Array> {
  if (response.body === null || (response.body as unknown) === undefined) return;
  let source: Source | undefined;
  let ended = false;
  try {
    source = sourceOf(response.body);
    for (;;) {
      const reading = source.next();
      const { done, value } = await orAborted(reading, signal, () => void reading.catch(() => undefined));
      if (done === true) {
        ended = true;
        return;
      }
      if (!ArrayBuffer.isView(value)) {
        throw new ConfigurationError("fetch", "The body of a `fetch`'s answer must come as bytes (Uint8Array).");
      }
      yield new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof ConfigurationError) {
      error.sent = "yes";
      throw error;
    }
    const code = failureCode(error);
    throw new ConnectionFailure(code === "UND_ERR_SOCKET" || code === "ECONNRESET" ? "INCOMPLETE" : code, "yes", url);
  } finally {
    if (!ended) stop(source);
  }
}

/** Not waited for: a stream whose end does not come must hold nobody up. */
function stop(source: Source | undefined): void {
  try {
    Promise.resolve(source?.stop()).catch(() => undefined);
  } catch {
    // It has ended by itself.
  }
}
