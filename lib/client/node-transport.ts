import type { IncomingMessage } from "node:http";

import { nodeHttp, nodeHttps } from "../builtins.js";
import type { Sent } from "../errors.js";
import { ConnectionFailure, failureCode } from "./transport.js";
import type { Transport, TransportRequest, TransportResponse } from "./transport.js";

/**
 * The default transport: `node:https` with connections of its own, kept alive.
 *
 * Why not the global `fetch`: it gives up after 300 s without headers, while answers, which do not stream, may take longer;
 * `NODE_TLS_REJECT_UNAUTHORIZED=0`, `NODE_USE_ENV_PROXY` and `setGlobalDispatcher` change it from outside; frameworks replace it with
 * one that caches; and it cannot tell whether a request had left when the connection broke, which `sent` has to say.
 */
export class NodeTransport implements Transport {
  // Own agents: the global ones follow proxy variables where Node was told to, and are anybody's to change.
  readonly #http = new (nodeHttp().Agent)({ keepAlive: true, scheduling: "lifo" });
  readonly #https = new (nodeHttps().Agent)({
    keepAlive: true,
    scheduling: "lifo",
    // Stated, because the environment variable NODE_TLS_REJECT_UNAUTHORIZED only changes the default.
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
  });

  send(request: TransportRequest): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      const { url, method, headers, body, signal, onSending } = request;
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const secure = url.protocol === "https:";
      let sent: Sent = "no";
      const outgoing = (secure ? nodeHttps() : nodeHttp()).request(url, {
        method,
        agent: secure ? this.#https : this.#http,
        headers: body === undefined ? headers : { ...headers, "Content-Length": String(body.byteLength) },
      });
      const onAbort = (): void => void outgoing.destroy(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      const done = (): void => signal.removeEventListener("abort", onAbort);

      outgoing.on("socket", (socket) => {
        // A request leaves as soon as its socket is ready: before that event nothing of it can have arrived anywhere.
        const onReady = (): void => {
          sent = "maybe";
          onSending?.();
        };
        if (outgoing.reusedSocket) onReady();
        else socket.once(secure ? "secureConnect" : "connect", onReady);
      });
      outgoing.once("response", (incoming) => {
        sent = "yes";
        incoming.once("close", done);
        resolve({ status: incoming.statusCode ?? 0, headers: toHeaders(incoming), body: chunks(incoming, signal) });
      });
      outgoing.on("error", (error) => {
        done();
        // After the response has come this changes nothing: the body's reader gets its own error.
        reject(signal.aborted ? (signal.reason as Error) : new ConnectionFailure(failureCode(error), sent));
      });
      outgoing.end(body);
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

function toHeaders(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  const raw = incoming.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    try {
      headers.append(raw[i] ?? "", raw[i + 1] ?? "");
    } catch {
      // Node's parser lets bytes through that Headers does not; such a header is not one that is looked at here.
    }
  }
  return headers;
}

/**
 * The body's chunks. Not by the stream's own iterator: its preparations cost more than the reading of a usual answer, which is one chunk.
 * Listens from now on: the connection may break before somebody reads.
 */
function chunks(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const state: BodyState = { ended: false, closed: false, failure: undefined, wake: () => undefined };
  incoming.on("readable", () => state.wake());
  incoming.on("error", (error) => {
    state.failure = error;
    state.wake();
  });
  incoming.once("end", () => {
    state.ended = true;
    state.wake();
  });
  incoming.once("close", () => {
    state.closed = true;
    state.wake();
  });
  return read(incoming, signal, state);
}

interface BodyState {
  ended: boolean;
  closed: boolean;
  failure: Error | undefined;
  /** Called when one of these has changed, or there is more to read. */
  wake: () => void;
}

async function* read(
  incoming: IncomingMessage,
  signal: AbortSignal,
  state: Readonly<BodyState> & { wake: () => void },
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = incoming.read() as Uint8Array | null;
      if (chunk !== null) {
        yield chunk;
        continue;
      }
      if (state.ended) return;
      if (state.failure !== undefined || state.closed) {
        if (signal.aborted) throw signal.reason;
        const code = state.failure === undefined ? "INCOMPLETE" : failureCode(state.failure);
        throw new ConnectionFailure(code === "ECONNRESET" ? "INCOMPLETE" : code, "yes");
      }
      await new Promise<void>((resolve) => {
        state.wake = resolve;
      });
    }
  } finally {
    // Left early: what is still to come is not wanted, and the connection cannot be used again.
    if (!state.ended) incoming.destroy();
  }
}
