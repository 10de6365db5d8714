import { SecurityError } from "../errors.js";
import type { Sent } from "../errors.js";
import { ConnectionFailure, failureCode } from "./transport.js";
import type { Transport, TransportRequest, TransportResponse } from "./transport.js";

/** What this package calls on a `fetch`: the global one, undici's, or the caller's own. */
export type FetchLike = (url: string, init: FetchInit) => Promise<Response>;

/** What this package passes to a `fetch`. */
export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
  signal: AbortSignal;
  redirect: "manual";
  dispatcher?: unknown;
}

/** An undici `Dispatcher`: `Agent`, `ProxyAgent`, `EnvHttpProxyAgent`, `Pool` … of any version that fits the `fetch` in use. */
export interface DispatcherLike {
  dispatch(options: object, handler: object): boolean;
}

/** Codes of failures before any byte of the request can have left. */
const neverSent =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)$/;

/** The transport over a `fetch`: for a caller's own, and for an undici dispatcher (proxy, private CA, mutual TLS). */
export class FetchTransport implements Transport {
  readonly #fetch: FetchLike;
  readonly #dispatcher: DispatcherLike | undefined;

  constructor(fetch: FetchLike, dispatcher: DispatcherLike | undefined) {
    this.#fetch = fetch;
    this.#dispatcher = dispatcher === undefined ? undefined : withoutTimeouts(dispatcher);
  }

  async send({ method, url, headers, body, signal, onSending }: TransportRequest): Promise<TransportResponse> {
    // The variable switches verification off for everything that fetch does in this process, and no option of fetch overrules it.
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
      response = await this.#fetch(url.href, {
        method,
        headers: { ...headers },
        ...(body === undefined ? {} : { body }),
        signal,
        redirect: "manual",
        ...(this.#dispatcher === undefined ? {} : { dispatcher: this.#dispatcher }),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const code = failureCode(error);
      const sent: Sent = neverSent.test(code) ? "no" : "maybe";
      throw new ConnectionFailure(code, sent);
    }
    if (response.redirected) {
      throw new SecurityError(
        'The given `fetch` followed a redirect, with the credential in its headers. Use one that honours `redirect: "manual"`.',
        "REDIRECTED",
      );
    }
    return { status: response.status, headers: response.headers, body: chunks(response, signal) };
  }

  close(): void {
    // The connections belong to the caller's fetch or dispatcher.
  }
}

/**
 * The same dispatcher without undici's own time-outs for headers and body (300 s each): the deadline of the attempt is the only one, and
 * an answer that does not stream may well take longer to begin.
 */
function withoutTimeouts(dispatcher: DispatcherLike): DispatcherLike {
  return {
    dispatch: (options, handler) => dispatcher.dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, handler),
  };
}

async function* chunks(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  try {
    for await (const chunk of response.body) yield chunk;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const code = failureCode(error);
    throw new ConnectionFailure(code === "UND_ERR_SOCKET" || code === "ECONNRESET" ? "INCOMPLETE" : code, "yes");
  }
}
