/**
 * Reads one HTTP/1.1 request (RFC 9112) out of bytes that lie in the pool, as they come. Of its head the few headers
 * that are asked for become strings; nothing of its body does.
 */
import { isTokenByte, SPACE, startsWith, TAB } from "./message-bytes.js";
import { MAX_HEAD_BYTES, MessageReader } from "./message-reader.js";

export interface RequestHead {
  /** As it was sent: methods have a case. */
  readonly method: string;
  /** The target without what follows its `?`, which may hold anything and means nothing here. */
  readonly path: string;
  /** Of those that the reader was asked for, by lower-case name; visible ASCII, spaces and tabs. */
  readonly headers: ReadonlyMap<string, string>;
  /** `undefined`: in chunks, or none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** The minor version of HTTP/1. */
  readonly minor: 0 | 1;
}

export interface RequestSink {
  /** The head is complete. What it throws comes out of `push`. */
  head(head: RequestHead): void;
  /** A piece of the body, a view that is good until `body` returns. */
  body(bytes: Uint8Array): void;
}

/** The bytes are no request of the kind that is read here. The message is a sentence, and holds none of them. */
export class RequestFormatError extends Error {
  constructor(
    message: string,
    /** The HTTP status that says so. */
    readonly status: 400 | 414 | 431 | 505,
  ) {
    super(message);
  }
}

/** A method that is longer is none. */
const MAX_METHOD_BYTES = 32;
/** Longer than every path that there is. */
const MAX_TARGET_BYTES = 2 * 1024;

/** `push` throws a {@link RequestFormatError}, or what the sink throws. */
export class RequestReader extends MessageReader {
  readonly #wanted: readonly string[];
  readonly #sink: RequestSink;
  readonly #headers = new Map<string, string>();
  #method = "";
  #path = "";
  #emptyLine = false;

  /** `wanted`: the headers that become strings, in lower case. A request that has one of them twice is refused. */
  constructor(line: Uint8Array, wanted: readonly string[], sink: RequestSink) {
    super(line);
    this.#wanted = wanted;
    this.#sink = sink;
  }

  /** `POST /v1/chat/completions HTTP/1.1`. */
  protected startLine(line: Uint8Array): 0 | 1 | "empty" {
    // RFC 9112 2.2: one that some clients send after a body.
    if (line.length === 0 && !this.#emptyLine) {
      this.#emptyLine = true;
      return "empty";
    }
    const first = line.indexOf(SPACE);
    const last = line.lastIndexOf(SPACE);
    if (first < 1 || first > MAX_METHOD_BYTES || last === first || !line.subarray(0, first).every(isTokenByte)) {
      throw this.broken();
    }
    const version = line.subarray(last + 1);
    if (version.length !== 8 || !startsWith(version, "http/") || version[0] !== 0x48) throw this.broken();
    const minor = startsWith(version, "http/1.1") ? 1 : startsWith(version, "http/1.0") ? 0 : undefined;
    if (minor === undefined) {
      throw new RequestFormatError("Only HTTP/1.1 and HTTP/1.0 are spoken here.", 505);
    }
    const target = line.subarray(first + 1, last);
    if (target.length > MAX_TARGET_BYTES) throw new RequestFormatError("The request's address is too long.", 414);
    if (target.length === 0 || !target.every((byte) => byte > SPACE && byte < 0x7f)) throw this.broken();
    const query = target.indexOf(0x3f);
    this.#method = ascii(line.subarray(0, first));
    this.#path = ascii(query < 0 ? target : target.subarray(0, query));
    return minor;
  }

  protected header(name: Uint8Array, value: Uint8Array): void {
    if (!value.every((byte) => byte === TAB || (byte >= SPACE && byte !== 0x7f))) throw this.broken();
    const wanted = this.#wanted.find((one) => one.length === name.length && startsWith(name, one));
    if (wanted === undefined) return;
    if (this.#headers.has(wanted) || !value.every((byte) => byte < 0x7f)) throw this.broken();
    this.#headers.set(wanted, ascii(value));
  }

  protected headEnds(contentLength: number | undefined, chunked: boolean): "final" {
    this.#sink.head({
      method: this.#method,
      path: this.#path,
      headers: this.#headers,
      contentLength,
      chunked,
      minor: this.minor === 0 ? 0 : 1,
    });
    return "final";
  }

  protected body(bytes: Uint8Array): void {
    this.#sink.body(bytes);
  }

  protected broken(): RequestFormatError {
    return new RequestFormatError("This is not a well-formed HTTP/1.1 request.", 400);
  }

  protected headTooLarge(): RequestFormatError {
    return new RequestFormatError(`The headers are larger than ${MAX_HEAD_BYTES} bytes.`, 431);
  }
}

/** Without a TextDecoder, which could keep what it decodes. */
function ascii(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** Whether a header that is a list of words has this one, which is in lower case. */
export function hasWord(header: string | undefined, word: string): boolean {
  return (header ?? "").split(",").some((one) => one.trim().toLowerCase() === word);
}
