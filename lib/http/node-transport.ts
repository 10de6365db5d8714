/** HTTP by connections of this package's own. */
import type { Agent, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { nodeHttp, nodeHttps } from "../builtins.js";
import type { Sent } from "../errors.js";
import { ReceivedHeaders } from "./received-headers.js";
import { ConnectionFailure, failureCode } from "./transport.js";
import type { Transport, TransportRequest, TransportResponse } from "./transport.js";

/**
 * How long a connection is kept without a request, in milliseconds: less than the 5 s after which many servers close
 * theirs.
 */
const LONGEST_IDLE_MS = 4_000;
/** A connection this near to its end is not used again: the server's clock started earlier than ours. */
const IDLE_MARGIN_MS = 500;

/**
 * The default transport: `node:https` with connections of its own, kept alive.
 *
 * Why not the global `fetch`: it gives up after 300 s without headers, while answers, which do not stream, may take
 * longer; `NODE_TLS_REJECT_UNAUTHORIZED=0`, `NODE_USE_ENV_PROXY` and `setGlobalDispatcher` change it from outside;
 * frameworks replace it with one that caches; it needs WebAssembly; and it cannot tell whether a request had left when
 * the connection broke, which `sent` has to say.
 *
 * A connection that the server has closed meanwhile must not cost a request, for then nobody could say whether that was
 * processed. So before one is used again, what the system knows of it is asked for; see {@link NodeTransport.send}.
 */
export class NodeTransport implements Transport {
  /** When a connection was last put aside, on the monotonic clock. */
  readonly #idleSince = new WeakMap<Duplex, number>();
  // Own agents: the global ones follow proxy variables where Node was told to, and are anybody's to change.
  // Node shortens `timeout` to what the server's own `Keep-Alive: timeout=` says.
  readonly #http = this.#noting(
    new (nodeHttp().Agent)({ keepAlive: true, scheduling: "lifo", timeout: LONGEST_IDLE_MS }),
  );
  readonly #https = this.#noting(
    new (nodeHttps().Agent)({
      keepAlive: true,
      scheduling: "lifo",
      timeout: LONGEST_IDLE_MS,
      // Stated, because the environment variable NODE_TLS_REJECT_UNAUTHORIZED only changes the default.
      rejectUnauthorized: true,
      minVersion: "TLSv1.2",
    }),
  );

  /**
   * Sends a request, on a kept connection where there is a sound one.
   *
   * One that has been idle too long is closed first; then the event loop turns twice, so that a close which has arrived
   * while the process was busy is seen; then those that have ended are closed too. If the chosen one turns out to be
   * dead before a byte was written to it, nothing can have arrived, and the request is sent on a fresh one. A reset
   * *after* that proves nothing: the server may have read the request, so it is reported (`sent: "maybe"`) and not
   * repeated here.
   */
  async send(request: TransportRequest): Promise<TransportResponse> {
    if (this.#closeStale() > 0) {
      await twoTurns();
      this.#closeStale();
    }
    try {
      return await this.#exchange(request);
    } catch (error) {
      if (!(error instanceof DeadOnReuse)) throw error;
      for (const { socket } of this.#idle()) socket.destroy();
      return await this.#exchange(request);
    }
  }

  #exchange(request: TransportRequest): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      const { url, method, headers, body, signal, onSending } = request;
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const secure = url.protocol === "https:";
      let sent: Sent = "no";
      let reused: { readonly socket: Socket; readonly written: number } | undefined;
      const outgoing = (secure ? nodeHttps() : nodeHttp()).request(url, {
        method,
        agent: secure ? this.#https : this.#http,
        headers: body === undefined ? headers : { ...headers, "Content-Length": String(body.byteLength) },
      });
      const noteSending = (): void => {
        if (sent !== "no") return;
        sent = "maybe";
        onSending?.();
      };
      const noteWritten = (): void => {
        if (reused !== undefined && reused.socket.bytesWritten > reused.written) noteSending();
      };
      const done = (): void => signal.removeEventListener("abort", onAbort);
      const fail = (reason: string): void => {
        done();
        noteWritten();
        if (signal.aborted) reject(signal.reason as Error);
        else if (reused !== undefined && sent === "no") reject(new DeadOnReuse(reason, sent, url));
        else reject(new ConnectionFailure(reason, sent, url));
      };
      // What is thrown inside an event handler would end the process instead of rejecting the promise.
      const guarded =
        <A extends unknown[]>(handle: (...args: A) => void) =>
        (...args: A): void => {
          try {
            handle(...args);
          } catch (error) {
            outgoing.destroy();
            fail(failureCode(error));
          }
        };
      const answer = (incoming: IncomingMessage, content: AsyncIterable<Uint8Array>): void => {
        sent = "yes";
        resolve({
          status: incoming.statusCode ?? 0,
          headers: new ReceivedHeaders(incoming.rawHeaders),
          body: content,
        });
      };
      const onAbort = (): void => {
        noteWritten();
        outgoing.destroy(signal.reason as Error);
        // Not left to the events that follow.
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", onAbort, { once: true });

      outgoing.once(
        "socket",
        guarded((socket: Socket) => {
          // A request leaves as soon as its socket is ready: before that event nothing of it can have arrived anywhere.
          if (!outgoing.reusedSocket) {
            socket.once(secure ? "secureConnect" : "connect", guarded(noteSending));
            return;
          }
          reused = { socket, written: socket.bytesWritten };
          // Node writes after this event; a socket that is dead by then takes nothing.
          setImmediate(guarded(noteWritten));
        }),
      );
      // Nobody asked for another protocol. It is an answer all the same, and the last one of this connection.
      const onSwitch = (incoming: IncomingMessage): void => {
        answer(incoming, nothing());
        done();
        outgoing.destroy();
      };
      outgoing.once(
        "upgrade",
        guarded((incoming, socket) => {
          socket.destroy();
          onSwitch(incoming);
        }),
      );
      outgoing.once(
        "response",
        guarded((incoming) => {
          // Without the headers of a switch Node takes it for an ordinary answer, and would keep the connection.
          if (incoming.statusCode === 101) {
            onSwitch(incoming);
            return;
          }
          incoming.once("close", guarded(done));
          answer(incoming, chunks(incoming, signal, url));
        }),
      );
      // After the response has come these two change nothing: the body's reader gets its own error.
      outgoing.on(
        "error",
        guarded((error) => fail(failureCode(error))),
      );
      outgoing.once(
        "close",
        guarded(() => {
          if (sent !== "yes") fail("ECONNRESET");
        }),
      );
      outgoing.end(body);
    });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #noting<T extends Agent>(agent: T): T {
    // Public since Node 8.1, and not in the types.
    const keeper = agent as unknown as { keepSocketAlive(socket: Duplex): boolean };
    const keep = keeper.keepSocketAlive.bind(agent);
    keeper.keepSocketAlive = (socket) => {
      this.#idleSince.set(socket, performance.now());
      return keep(socket);
    };
    return agent;
  }

  *#idle(): Generator<{ readonly socket: Socket; readonly since: number }> {
    for (const agent of [this.#http, this.#https]) {
      for (const sockets of Object.values(agent.freeSockets)) {
        for (const socket of sockets ?? []) yield { socket, since: this.#idleSince.get(socket) ?? -Infinity };
      }
    }
  }

  /**
   * Closes the idle connections that have ended, or soon will, and returns how many are left. The agents take no closed
   * one.
   */
  #closeStale(): number {
    const now = performance.now();
    let left = 0;
    for (const { socket, since } of this.#idle()) {
      if (socket.destroyed) continue;
      const limit = (socket.timeout ?? LONGEST_IDLE_MS) - IDLE_MARGIN_MS;
      if (!socket.readable || !socket.writable || socket.readableLength > 0 || now - since >= limit) socket.destroy();
      else left++;
    }
    return left;
  }
}

/** A kept connection was dead before anything was written to it. */
class DeadOnReuse extends ConnectionFailure {}

/**
 * Two turns of the event loop. A callback may be running whose own turn has asked the system long ago; the second
 * turn's poll comes after now in any case.
 */
async function twoTurns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A body that has none.
}

/**
 * The body's chunks. Not by the stream's own iterator: its preparations cost more than the reading of a usual answer,
 * which is one chunk. Listens from now on: the connection may break before somebody reads.
 */
function chunks(incoming: IncomingMessage, signal: AbortSignal, url: URL): AsyncGenerator<Uint8Array> {
  const state: BodyState = { ended: false, closed: false, failure: undefined, wake: () => undefined };
  const onAbort = (): void => state.wake();
  signal.addEventListener("abort", onAbort, { once: true });
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
    signal.removeEventListener("abort", onAbort);
    state.closed = true;
    state.wake();
  });
  return read(incoming, signal, state, url);
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
  url: URL,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = incoming.read() as Uint8Array | null;
      if (chunk !== null) {
        yield chunk;
        continue;
      }
      if (state.ended) return;
      if (signal.aborted) throw signal.reason;
      if (state.failure !== undefined || state.closed) {
        const code = state.failure === undefined ? "INCOMPLETE" : failureCode(state.failure);
        throw new ConnectionFailure(code === "ECONNRESET" ? "INCOMPLETE" : code, "yes", url);
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
