/**
 * One request to the upstream and its response, over a connection of their own.
 *
 * The socket writes from the pool and reads into the pool. Where the upstream speaks plain HTTP, plaintext is in no
 * other memory of this process: Node hands the addresses to the kernel, and what the kernel has no room for waits as an
 * address, not as a copy. TLS is another matter: Node's OpenSSL encrypts and decrypts in memory of its own, which is
 * neither locked nor wiped.
 *
 * A connection for each request: one that the upstream closes at the wrong moment would cost an answer that may be
 * billed.
 *
 * All ends are one: whatever happens first (the response is complete, it is refused, an error, the deadline, the client
 * goes away) is the outcome and destroys the socket, and the exchange settles when the socket has closed. Node closes a
 * destroyed socket without asking the other side. Not before, because until then the kernel may be given these
 * addresses; and no event has to come for it.
 */
import net from "node:net";
import tls from "node:tls";
import { getBuildInfo } from "../build-info.js";
import { withHeldView } from "../memory/pool-bytes.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { MAX_HEAD_BYTES, ResponseReader } from "../http/http-response.js";
import type { ResponseSink } from "../http/http-response.js";
import { Disconnected, Refusal } from "../http/refusal.js";
import { withoutBrackets } from "../printable.js";

export interface ExchangeSettings {
  /** `https:` or `http:`. */
  readonly url: URL;
  readonly apiKey: string | undefined;
  /** Milliseconds from the start to the response's last byte. */
  readonly timeoutMs: number;
  /** Milliseconds for connecting, TLS included. */
  readonly connectTimeoutMs: number;
  readonly locking: Locking;
}

/** As much as Node reads at a time. */
const READ_BYTES = 64 * 1024;

/**
 * Sends `body`, pool memory that must stay until this settles, and gives the response to `sink`. Rejects with a
 * `Refusal`, with `Disconnected` when `signal` aborts, with a `ResponseFormatError`, with the addon's error when memory
 * is wanting, or with what `sink` throws.
 */
export async function exchange(
  settings: ExchangeSettings,
  body: Uint8Array,
  signal: AbortSignal,
  sink: ResponseSink,
): Promise<void> {
  if (signal.aborted) throw new Disconnected();
  using memory = SecureBuffer.alloc(READ_BYTES + MAX_HEAD_BYTES, settings.locking);
  await withHeldView(memory.handle, (view) =>
    overSocket(settings, body, signal, new ResponseReader(view.subarray(READ_BYTES), sink), view),
  );
}

async function overSocket(
  settings: ExchangeSettings,
  body: Uint8Array,
  signal: AbortSignal,
  reader: ResponseReader,
  view: Uint8Array,
): Promise<void> {
  const { url, timeoutMs, connectTimeoutMs } = settings;
  let failure: Error | undefined;
  let settled = false;
  let socket: net.Socket | undefined;
  const settle = (error?: unknown) => {
    if (settled) return;
    settled = true;
    failure = error as Error | undefined;
    socket?.destroy();
  };
  const take = (count: number, buffer: Uint8Array): boolean => {
    try {
      if (!settled) reader.push(buffer.subarray(0, count));
      if (reader.complete) settle();
    } catch (error) {
      settle(error);
    }
    return true;
  };
  const deadline = setTimeout(() => settle(new Refusal(504, "The model's server did not answer in time.")), timeoutMs);
  const connecting = setTimeout(
    () => settle(new Refusal(504, "The model's server did not accept a connection in time.")),
    connectTimeoutMs,
  );
  const onAbort = () => settle(new Disconnected());
  signal.addEventListener("abort", onAbort);
  try {
    socket = connect(url, { buffer: view.subarray(0, READ_BYTES), callback: take });
    const open = socket;
    const closed = new Promise<void>((resolve) => open.once("close", () => resolve()));
    open.once(url.protocol === "https:" ? "secureConnect" : "connect", () => {
      clearTimeout(connecting);
      if (settled) return;
      open.cork();
      open.write(requestHead(settings, body.length));
      open.write(body);
      open.uncork();
    });
    open.on("error", () => settle(brokenOff()));
    open.on("end", () => settle(brokenOff()));
    await closed;
    settle(brokenOff());
  } finally {
    clearTimeout(deadline);
    clearTimeout(connecting);
    signal.removeEventListener("abort", onAbort);
  }
  if (failure !== undefined) throw failure;
}

function connect(url: URL, onread: net.OnReadOpts): net.Socket {
  const host = withoutBrackets(url.hostname);
  if (url.protocol !== "https:") return net.connect({ host, port: Number(url.port || 80), onread });
  return tls.connect({
    host,
    port: Number(url.port || 443),
    onread,
    // Stated, because NODE_TLS_REJECT_UNAUTHORIZED only changes the default.
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
  } as tls.ConnectionOptions);
}

function requestHead({ url, apiKey }: ExchangeSettings, bodyBytes: number): Buffer {
  const lines = [
    `POST ${url.pathname} HTTP/1.1`,
    `Host: ${url.host}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${bodyBytes}`,
    "Accept: application/json",
    "Accept-Encoding: identity",
    `User-Agent: nomyo-native-router/${getBuildInfo().version}`,
    ...(apiKey === undefined ? [] : [`Authorization: Bearer ${apiKey}`]),
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function brokenOff(): Refusal {
  return new Refusal(502, "The connection to the model's server failed.");
}
