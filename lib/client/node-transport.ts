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

async function* chunks(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming) yield chunk as Uint8Array;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const code = failureCode(error);
    throw new ConnectionFailure(code === "ECONNRESET" ? "INCOMPLETE" : code, "yes");
  }
}
