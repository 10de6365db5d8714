/**
 * Connections for which nothing is being made: silent ones, those whose headers have not come, those that were refused,
 * and those between two requests. There are at most so many; one more, and the oldest goes. So whoever opens
 * connections and says nothing, or says it a byte at a time, takes no descriptor from anybody for long.
 *
 * A connection is known by its client's address and port: with TLS a request comes on another object than was accepted.
 */
import type { Socket } from "node:net";

export class WaitingConnections {
  readonly #most: number;
  readonly #waiting = new Map<string, Socket>();
  readonly #served = new Map<string, Socket>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** One was accepted. */
  opened(socket: Socket): void {
    const name = nameOf(socket);
    this.#waiting.set(name, socket);
    socket.once("close", () => {
      for (const sockets of [this.#waiting, this.#served]) if (sockets.get(name) === socket) sockets.delete(name);
    });
    this.#makeRoom();
  }

  /** A request of it was admitted: it stays, until what is returned is called. */
  serve(socket: Socket): () => void {
    const name = nameOf(socket);
    const accepted = this.#waiting.get(name);
    if (accepted === undefined) return () => undefined;
    this.#waiting.delete(name);
    this.#served.set(name, accepted);
    return () => {
      if (this.#served.get(name) !== accepted) return;
      this.#served.delete(name);
      this.#waiting.set(name, accepted);
      this.#makeRoom();
    };
  }

  #makeRoom(): void {
    for (const [name, oldest] of this.#waiting) {
      if (this.#waiting.size <= this.#most) return;
      this.#waiting.delete(name);
      oldest.destroy();
    }
  }
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
