/**
 * A TCP proxy that does one kind of harm at one step of the protocol, and none otherwise. It knows messages of HTTP/1.1
 * with a Content-Length, or without a body, and hands each on when it is there: so a test says where in a message the
 * harm is done.
 */
import net from "node:net";

/** The key's fetch, or the sealed request. */
export type Exchange = "key" | "completion";
export type Place = "request head" | "request body" | "answer head" | "answer body";
/** `drip`: byte by byte. `stall`: what follows never comes. */
export type Harm = "reset" | "truncate" | "stall" | "duplicate" | "corrupt" | "drip";

export interface Fault {
  readonly exchange: Exchange;
  readonly place: Place;
  readonly harm: Harm;
}

export class FaultProxy {
  /** What is done from now on. */
  fault: Fault | undefined;
  /** How often it was done. */
  done = 0;
  /** Connections that clients have made. */
  connections = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(upstreamPort: number) {
    this.#server = net.createServer((client) => {
      this.connections += 1;
      const upstream = net.connect(upstreamPort, "127.0.0.1");
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.setNoDelay(true);
        socket.on("error", () => undefined);
        socket.once("close", () => this.#sockets.delete(socket));
      }
      const exchanges: Exchange[] = [];
      this.#pass("request", client, upstream, exchanges);
      this.#pass("answer", upstream, client, exchanges);
    });
  }

  static async start(upstreamPort: number): Promise<FaultProxy> {
    const made = new FaultProxy(upstreamPort);
    await new Promise<void>((resolve) => made.#server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  /** Cuts all connections: what stands still is let go. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #pass(direction: "request" | "answer", from: net.Socket, to: net.Socket, exchanges: Exchange[]): void {
    let held = Buffer.alloc(0);
    let queue = Promise.resolve();
    from.on("data", (data) => {
      held = Buffer.concat([held, data]);
      for (let length = messageLength(held); length !== undefined; length = messageLength(held)) {
        const message = held.subarray(0, length);
        held = held.subarray(length);
        if (direction === "request")
          exchanges.push(message.toString("latin1").startsWith("GET ") ? "key" : "completion");
        const exchange = direction === "request" ? exchanges.at(-1)! : exchanges.shift();
        queue = queue.then(() => this.#deliver(message, exchange, direction, from, to));
      }
    });
    from.once("close", () => void queue.then(() => to.end()));
  }

  async #deliver(
    message: Buffer,
    exchange: Exchange | undefined,
    direction: "request" | "answer",
    from: net.Socket,
    to: net.Socket,
  ): Promise<void> {
    const { fault } = this;
    if (fault === undefined || fault.exchange !== exchange || !fault.place.startsWith(direction)) {
      to.write(message);
      return;
    }
    this.done += 1;
    const body = message.indexOf("\r\n\r\n") + 4;
    // The head's first bytes are its method or version; the body's middle is ciphertext, or the middle of a key.
    const at = fault.place.endsWith("head") ? 3 : body + Math.floor((message.length - body) / 2);
    switch (fault.harm) {
      case "reset":
        to.write(message.subarray(0, at), () => {
          to.resetAndDestroy();
          from.resetAndDestroy();
        });
        return;
      case "truncate":
        to.end(message.subarray(0, at));
        from.end();
        return;
      case "stall":
        to.write(message.subarray(0, at));
        return;
      case "duplicate":
        to.write(Buffer.concat([message, message]));
        return;
      case "corrupt": {
        const changed = Buffer.from(message);
        changed[at]! ^= 1;
        to.write(changed);
        return;
      }
      case "drip": {
        const end = fault.place.endsWith("head") ? body : message.length;
        for (const byte of message.subarray(0, end)) {
          if (to.destroyed) return;
          to.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        to.write(message.subarray(end));
      }
    }
  }
}

/** The length of the message at the beginning of `bytes`; undefined while it is not whole. */
function messageLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const length = Number(/^content-length: *(\d+)\r$/im.exec(bytes.subarray(0, end + 2).toString("latin1"))?.[1] ?? 0);
  return bytes.length >= end + 4 + length ? end + 4 + length : undefined;
}
