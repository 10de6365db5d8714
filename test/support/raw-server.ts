/** A TCP server that answers with whatever bytes a test wants, and keeps what it was sent. */
import net from "node:net";

export class RawServer {
  readonly server: net.Server;
  received = "";
  readonly #sockets = new Set<net.Socket>();

  private constructor(onData: (socket: net.Socket, received: string) => void) {
    this.server = net.createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        this.received += chunk.toString("latin1");
        onData(socket, this.received);
      });
    });
  }

  static async start(onData: (socket: net.Socket, received: string) => void): Promise<RawServer> {
    const made = new RawServer(onData);
    await new Promise<void>((resolve) => made.server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** A port of 127.0.0.1 on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await RawServer.start(() => undefined);
  const { port } = server;
  await server.stop();
  return port;
}
