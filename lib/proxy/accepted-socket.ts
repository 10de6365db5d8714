/**
 * An accepted connection that reads into memory of ours.
 *
 * Node lets a client name the memory that its socket reads into (`onread` of `net.connect`), but not a server: what a
 * server's socket reads lies in ordinary memory, and is garbage afterwards that nothing wipes. So the accepted socket,
 * which has not read anything yet (`pauseOnConnect`), gives its handle to one that is made with `onread`. The handle is
 * a property that Node does not document; it has the same name and meaning in all lines that this package supports, and
 * where it is missing the connection is refused instead of being read in ordinary memory.
 *
 * Over TLS there is no such memory: Node's OpenSSL decrypts in its own, which is neither locked nor wiped, and what
 * comes of it is a buffer that Node makes. That one is wiped at least.
 */
import net from "node:net";
import type { Socket } from "node:net";
import tls from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";

/** The same as `net.OnReadOpts`. */
export interface ReadInto {
  readonly buffer: Uint8Array;
  /** Returns whether to go on reading. The bytes are good until it returns. */
  readonly callback: (count: number, buffer: Uint8Array) => boolean;
}

/** `accepted` comes from a server with `pauseOnConnect`, and is of no more use. Undefined: it is gone already. */
export function readingInto(accepted: Socket, into: ReadInto): Socket | undefined {
  const owner = accepted as unknown as { _handle?: object | null };
  const handle = owner._handle;
  if (handle === undefined || handle === null || accepted.destroyed) {
    accepted.destroy();
    return undefined;
  }
  owner._handle = null;
  // Without its handle it closes nothing, and the server does not count it any more.
  accepted.on("error", () => undefined);
  accepted.destroy();
  return new net.Socket({ handle, onread: into } as unknown as net.SocketConstructorOpts);
}

/** Over TLS; the bytes that the callback gets are ordinary memory, and the caller wipes them. */
export function readingTls(accepted: Socket, context: SecureContext, callback: ReadInto["callback"]): TLSSocket {
  const socket = new tls.TLSSocket(accepted, { isServer: true, secureContext: context, ALPNProtocols: ["http/1.1"] });
  socket.on("data", (bytes: Buffer) => {
    if (!callback(bytes.length, bytes)) socket.pause();
  });
  return socket;
}
