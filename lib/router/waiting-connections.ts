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
  /** Those with a request, and how many of theirs are admitted: they may stand behind one another. */
  readonly #served = new Map<string, { readonly socket: Socket; requests: number }>();

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** One was accepted. */
  opened(socket: Socket): void {
    // Reset before it was accepted: it has no address any more, and nothing to say.
    if (socket.remotePort === undefined) {
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    this.#waiting.set(name, socket);
    socket.once("close", () => {
      if (this.#waiting.get(name) === socket) this.#waiting.delete(name);
      if (this.#served.get(name)?.socket === socket) this.#served.delete(name);
    });
    this.#makeRoom();
  }

  /** A request of it was admitted: it stays, until what is returned is called for each that was. */
  serve(socket: Socket): () => void {
    const name = nameOf(socket);
    const accepted = this.#waiting.get(name);
    const served = accepted === undefined ? this.#served.get(name) : { socket: accepted, requests: 0 };
    if (served === undefined) return () => undefined;
    served.requests += 1;
    this.#waiting.delete(name);
    this.#served.set(name, served);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      served.requests -= 1;
      if (served.requests > 0 || this.#served.get(name) !== served) return;
      this.#served.delete(name);
      this.#waiting.set(name, served.socket);
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
