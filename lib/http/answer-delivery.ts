/** Sending an answer to a client that may not read it: within a time, whatever the other side does. */
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

export interface DeliveryLimits {
  /** Milliseconds in which the client must take at least one byte. */
  readonly idleMs: number;
  /** Milliseconds for the whole answer. */
  readonly totalMs: number;
}

/**
 * What is to be told of a connection's end. An answer that waits behind another on its connection is told nothing by
 * Node when that goes: it has no socket yet.
 */
const whenClosed = new WeakMap<Duplex, Set<() => void>>();

/**
 * Resolves when all of the answer was given to the system, or its connection is gone. The connection is destroyed when
 * the client takes no byte for `idleMs` (seen at the latest after twice that), and when it has not taken all of them in
 * `totalMs`. To be called before the answer is written: what waits to be sent is held in memory until then.
 */
export async function delivered(response: ServerResponse, { idleMs, totalMs }: DeliveryLimits): Promise<void> {
  const { socket } = response.req;
  if (socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const cut = setTimeout(() => socket.destroy(), totalMs);
    // Node's own clock of a socket, which looks whether its queue of bytes has become shorter. It counts once the
    // answer has its turn on a connection with several.
    response.setTimeout(idleMs, () => socket.destroy());
    const closed = listenersOf(socket);
    const over = (): void => {
      clearTimeout(cut);
      closed.delete(over);
      resolve();
    };
    closed.add(over);
    // Before Node's own: it takes the socket away from the answer, and gives it its clock for idle connections. The
    // connection's next answer may take longer to be made than a client may take to read.
    response.prependOnceListener("finish", () => {
      response.setTimeout(0);
      over();
    });
  });
}

function listenersOf(socket: Duplex): Set<() => void> {
  let listeners = whenClosed.get(socket);
  if (listeners === undefined) {
    const made = new Set<() => void>();
    listeners = made;
    whenClosed.set(socket, made);
    socket.once("close", () => {
      for (const tell of made) tell();
    });
  }
  return listeners;
}
