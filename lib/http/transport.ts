/** What a way to speak HTTP is to the rest, and how its failures are told. */
import type { Sent } from "../errors.js";
import { isLoopback } from "./loopback.js";
import type { ResponseHeaders } from "../response-headers.js";

/** One HTTP request. The body is sent as it stands: it is the sealed package, never a string copy of it. */
export interface TransportRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  readonly signal: AbortSignal;
  /** Called as soon as the server may receive something of the request. */
  readonly onSending?: (() => void) | undefined;
}

/** Status and headers have come; the body has not been read. */
export interface TransportResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** The body's chunks as they arrive. Leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /**
   * Says that this answer cannot have been meant: perhaps it is another request's, and all that comes behind it on its
   * connection is one too late. Nothing more is asked on that connection. Undefined where connections are another's.
   */
  readonly distrust?: (() => void) | undefined;
}

/** A way to speak HTTP. Redirects are never followed: the headers carry a credential. */
export interface Transport {
  /**
   * Rejects with a {@link ConnectionFailure}, or with the signal's reason once that is aborted: then at once, whatever
   * the other side does. The same holds for reading the body.
   */
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Closes idle connections. */
  close(): void;
}

/**
 * Why there was no answer. Made of a code and our own words only: what Node's and undici's errors carry (certificates,
 * sockets, header values, pieces of an answer) could hold secrets and stays behind.
 */
export class ConnectionFailure extends Error {
  /** Whether the server may have received the request. */
  readonly sent: Sent;
  /** Node's, OpenSSL's or undici's code, e.g. `ECONNREFUSED`, `CERT_HAS_EXPIRED`; `UNKNOWN` when there was none. */
  readonly reason: string;

  /** @param server - Host and port, for the message: errors are read where several servers are spoken to. */
  constructor(reason: string, sent: Sent, server: URL) {
    const advice = adviceFor(reason, sent, server);
    super(`${hostAndPort(server)}: ${explain(reason)} (${reason})${advice === undefined ? "" : `. ${advice}`}`);
    this.name = "ConnectionFailure";
    this.reason = reason;
    this.sent = sent;
  }
}

const PLAIN_HTTP = "The TLS handshake failed: perhaps the server speaks plain HTTP at this port";

const explanations: Readonly<Record<string, string>> = {
  ECONNREFUSED: "The server refused the connection",
  ECONNRESET: "The connection was closed by the other side",
  EPIPE: "The connection was closed by the other side",
  UND_ERR_SOCKET: "The connection was closed by the other side",
  INCOMPLETE: "The connection was closed before the whole answer had come",
  ENOTFOUND: "The host name is not known",
  EAI_AGAIN: "The host name could not be looked up",
  EHOSTUNREACH: "The host cannot be reached",
  ENETUNREACH: "The network cannot be reached",
  ETIMEDOUT: "The connection could not be made in time",
  UND_ERR_CONNECT_TIMEOUT: "The connection could not be made in time",
  CERT_HAS_EXPIRED: "The server's certificate has expired",
  CERT_NOT_YET_VALID: "The server's certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "The server's certificate is for another host name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "The server's certificate is self-signed and not trusted",
  SELF_SIGNED_CERT_IN_CHAIN: "The server's certificate comes from a certificate authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "The server's certificate comes from a certificate authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "The server's certificate comes from a certificate authority that is not trusted",
  EPROTO: PLAIN_HTTP,
  ERR_SSL_WRONG_VERSION_NUMBER: PLAIN_HTTP,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: PLAIN_HTTP,
};

const WRONG_PLACE = "Check that a server runs there, and that `baseUrl` names its host and port";
const WRONG_NAME = "Check the host in `baseUrl`, and this machine's name server";
const NOT_TRUSTED = "For a certificate authority of your own set NODE_EXTRA_CA_CERTS=FILE in the environment";

const advices: Readonly<Record<string, string>> = {
  ECONNREFUSED: WRONG_PLACE,
  ENOTFOUND: WRONG_NAME,
  EAI_AGAIN: WRONG_NAME,
  EHOSTUNREACH: WRONG_PLACE,
  ENETUNREACH: WRONG_PLACE,
  ETIMEDOUT: WRONG_PLACE,
  UND_ERR_CONNECT_TIMEOUT: WRONG_PLACE,
  ERR_TLS_CERT_ALTNAME_INVALID: "Check the host in `baseUrl`",
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
};

/** What to do about it, where that can be said. */
function adviceFor(reason: string, sent: Sent, { protocol, hostname }: URL): string | undefined {
  if (explanations[reason] === PLAIN_HTTP) {
    // Nobody on the way must be able to talk people out of TLS by breaking it.
    return isLoopback(hostname)
      ? "If so: http:// in `baseUrl`, and `allowHttp: true`, since it is on this machine"
      : "Check the port in `baseUrl`";
  }
  // How servers that want TLS answer to what is none: they hang up, or send an alert, which is no HTTP.
  const hungUp = explanations[reason] === explanations["ECONNRESET"] || reason.startsWith("HPE_");
  if (protocol === "http:" && sent !== "yes" && hungUp) {
    return "Perhaps it speaks HTTPS at this port: then https:// in `baseUrl`";
  }
  return advices[reason];
}

function hostAndPort({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

function explain(reason: string): string {
  if (explanations[reason] !== undefined) return explanations[reason];
  if (reason.startsWith("HPE_")) return "The server's answer is not HTTP";
  if (reason.startsWith("ERR_SSL_") || reason.startsWith("ERR_TLS_")) return "The TLS handshake failed";
  return "The connection failed";
}

/** The code of an error of Node, OpenSSL or undici, looked for in its causes too; `UNKNOWN` when there is none. */
export function failureCode(error: unknown): string {
  // The form is checked because a code is printed: no code of these has other characters.
  for (const { code } of causes(error))
    if (typeof code === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)) return code;
  return "UNKNOWN";
}

/** The system call that failed (`connect`, `read`, …), looked for where {@link failureCode} finds the code. */
export function failureSyscall(error: unknown): string | undefined {
  for (const { syscall } of causes(error)) if (typeof syscall === "string") return syscall;
  return undefined;
}

interface Cause {
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

function* causes(error: unknown): Generator<Cause> {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && typeof at === "object" && at !== null; depth++) {
    yield at;
    const { cause, errors } = at as Cause;
    at = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
}
