/** One request on a connection of this package's own, until its answer has begun, and then the answer's body. */
import type { Agent, ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";

import { nodeHttp, nodeHttps } from "../builtins.js";
import type { Sent } from "../errors.js";
import { ReceivedHeaders } from "./received-headers.js";
import { ConnectionFailure, failureCode } from "./transport.js";
import type { TransportRequest, TransportResponse } from "./transport.js";

/** A kept connection was dead before anything was written to it. */
export class DeadOnReuse extends ConnectionFailure {}

/**
 * Sends `request` on one of `agent`'s connections, once. Rejects with {@link DeadOnReuse} where it may be sent again,
 * with `signal`'s reason, or with a {@link ConnectionFailure} that says how far it came.
 *
 * @param distrust - Gets the answer's connection when the answer is distrusted.
 */
export function exchange(
  request: TransportRequest,
  agent: Agent,
  distrust: (socket: Socket) => void,
): Promise<TransportResponse> {
  return new Promise((resolve, reject) => {
    if (request.signal.aborted) reject(request.signal.reason as Error);
    else new Exchange(request, { agent, distrust, resolve, reject }).begin();
  });
}

/** Where a request goes, and who is told what. */
interface Parties {
  readonly agent: Agent;
  readonly distrust: (socket: Socket) => void;
  readonly resolve: (response: TransportResponse) => void;
  readonly reject: (error: Error) => void;
}

class Exchange {
  readonly #request: TransportRequest;
  readonly #secure: boolean;
  readonly #outgoing: ClientRequest;
  readonly #resolve: (response: TransportResponse) => void;
  readonly #reject: (error: Error) => void;
  readonly #distrust: (socket: Socket) => void;
  #sent: Sent = "no";
  /** The kept connection that was taken, and what had been written to it before this request. */
  #reused: { readonly socket: Socket; readonly written: number } | undefined;

  constructor(request: TransportRequest, { agent, distrust, resolve, reject }: Parties) {
    const { url, method, headers, body } = request;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#distrust = distrust;
    this.#secure = url.protocol === "https:";
    this.#outgoing = (this.#secure ? nodeHttps() : nodeHttp()).request(url, {
      method,
      agent,
      headers: body === undefined ? headers : { ...headers, "Content-Length": String(body.byteLength) },
    });
  }

  begin(): void {
    const outgoing = this.#outgoing;
    this.#request.signal.addEventListener("abort", this.#onAbort, { once: true });
    outgoing.once("socket", this.#guarded(this.#onSocket));
    outgoing.once("upgrade", this.#guarded(this.#onUpgrade));
    outgoing.once("response", this.#guarded(this.#onResponse));
    // After the response has come these two change nothing: the body's reader gets its own error.
    outgoing.on("error", this.#guarded(this.#onError));
    outgoing.once("close", this.#guarded(this.#onClose));
    outgoing.end(this.#request.body);
  }

  readonly #onSocket = (socket: Socket): void => {
    // A request leaves as soon as its socket is ready: before that event nothing of it can have arrived anywhere.
    if (!this.#outgoing.reusedSocket) {
      socket.once(this.#secure ? "secureConnect" : "connect", this.#guarded(this.#noteSending));
      return;
    }
    this.#reused = { socket, written: socket.bytesWritten };
    // Node writes after this event; a socket that is dead by then takes nothing.
    setImmediate(this.#guarded(this.#noteWritten));
  };

  readonly #noteSending = (): void => {
    if (this.#sent !== "no") return;
    this.#sent = "maybe";
    this.#request.onSending?.();
  };

  readonly #noteWritten = (): void => {
    if (this.#reused !== undefined && this.#reused.socket.bytesWritten > this.#reused.written) this.#noteSending();
  };

  readonly #onResponse = (incoming: IncomingMessage): void => {
    // Without the headers of a switch Node takes it for an ordinary answer, and would keep the connection.
    if (incoming.statusCode === 101) {
      this.#onSwitch(incoming);
      return;
    }
    incoming.once("close", this.#guarded(this.#done));
    this.#answer(incoming, chunks(incoming, this.#request.signal, this.#request.url));
  };

  readonly #onUpgrade = (incoming: IncomingMessage, socket: Socket): void => {
    socket.destroy();
    this.#onSwitch(incoming);
  };

  /** Nobody asked for another protocol. It is an answer all the same, and the last one of this connection. */
  #onSwitch(incoming: IncomingMessage): void {
    this.#answer(incoming, nothing());
    this.#done();
    this.#outgoing.destroy();
  }

  #answer(incoming: IncomingMessage, body: AsyncIterable<Uint8Array>): void {
    this.#sent = "yes";
    // Kept by itself: once it has ended, an answer no longer knows its connection.
    const { socket } = incoming;
    this.#resolve({
      status: incoming.statusCode ?? 0,
      headers: new ReceivedHeaders(incoming.rawHeaders),
      body,
      distrust: () => this.#distrust(socket),
    });
  }

  readonly #onAbort = (): void => {
    const reason = this.#request.signal.reason as Error;
    this.#noteWritten();
    this.#outgoing.destroy(reason);
    // Not left to the events that follow.
    this.#reject(reason);
  };

  readonly #onError = (error: Error): void => this.#fail(failureCode(error));

  readonly #onClose = (): void => {
    if (this.#sent !== "yes") this.#fail("ECONNRESET");
  };

  #fail(reason: string): void {
    const { signal, url } = this.#request;
    this.#done();
    this.#noteWritten();
    if (signal.aborted) this.#reject(signal.reason as Error);
    else if (this.#reused !== undefined && this.#sent === "no") this.#reject(new DeadOnReuse(reason, this.#sent, url));
    else this.#reject(new ConnectionFailure(reason, this.#sent, url));
  }

  readonly #done = (): void => this.#request.signal.removeEventListener("abort", this.#onAbort);

  /** What is thrown inside an event handler would end the process instead of rejecting the promise. */
  #guarded<A extends unknown[]>(handle: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      try {
        handle(...args);
      } catch (error) {
        this.#outgoing.destroy();
        this.#fail(failureCode(error));
      }
    };
  }
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
