/** Connections that write what they are told, byte for byte. */
import net from "node:net";

export interface RawConnection {
  readonly socket: net.Socket;
  /** All that came, when the other side has ended the connection. */
  readonly received: Promise<string>;
  /** All that came so far. */
  text(): string;
}

/** Connects to a port of 127.0.0.1, or to a Unix socket, and writes. */
export async function connectRaw(place: number | string, text: string | Buffer = ""): Promise<RawConnection> {
  const socket = typeof place === "number" ? net.connect(place, "127.0.0.1") : net.connect(place);
  let all = "";
  const received = new Promise<string>((resolve) => socket.once("close", () => resolve(all)));
  socket.on("error", () => undefined);
  socket.on("data", (data) => (all += data.toString("latin1")));
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  if (text.length > 0) socket.write(text);
  return { socket, received, text: () => all };
}
