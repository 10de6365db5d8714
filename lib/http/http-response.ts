/**
 * Reads one HTTP/1.1 response (RFC 9112) out of bytes that lie in the pool, as they come.
 *
 * Node's own reader copies what it parses into ordinary memory, where an answer would stay. This one keeps nothing but
 * numbers and the line that it is in the middle of, and makes no strings: not even an error's text, which may quote the
 * prompt, becomes one. It is strict. A body's length comes from Content-Length or from chunks: one that ends where the
 * connection ends cannot be told from one that was cut off.
 */

/** What is looked at of a response's head. */
export interface ResponseHead {
  readonly status: number;
  /** `undefined` when the body comes in chunks. */
  readonly contentLength: number | undefined;
  /** Whether there is a content encoding other than `identity`. */
  readonly encoded: boolean;
  /** Seconds; `undefined` when there is no `Retry-After`, or one that is a date. */
  readonly retryAfter: number | undefined;
}

export interface ResponseSink {
  /** The head is complete, and no interim one. What it throws comes out of `push`. */
  head(head: ResponseHead): void;
  /** A piece of the body, a view that is good until `body` returns. */
  body(bytes: Uint8Array): void;
}

/** The bytes are no response of the kind that is read here. The message holds none of them. */
export class ResponseFormatError extends Error {}

/** Bytes of all heads, interim ones included, and of the trailers. Node's limit for requests. */
export const MAX_HEAD_BYTES = 16 * 1024;
/** A chunk's size with its extensions, which nobody sends. */
const MAX_SIZE_LINE_BYTES = 256;

type State = "status" | "header" | "length" | "size" | "chunk" | "chunk end" | "trailer" | "complete";

export class ResponseReader {
  readonly #line: Uint8Array;
  readonly #sink: ResponseSink;
  #state: State = "status";
  #lineLength = 0;
  #headBytes = 0;
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #status = 0;
  #minor = 1;
  #contentLength: number | undefined;
  #chunked = false;
  #encoded = false;
  #retryAfter: number | undefined;

  /**
   * `line`: memory of {@link MAX_HEAD_BYTES} for lines that come in pieces; the caller's, to be wiped with the rest.
   */
  constructor(line: Uint8Array, sink: ResponseSink) {
    this.#line = line;
    this.#sink = sink;
  }

  /** Whether the whole response was read. What follows it is not looked at. */
  get complete(): boolean {
    return this.#state === "complete";
  }

  /**
   * Takes the next bytes. Throws a {@link ResponseFormatError}, or what the sink throws; then the reader is of no more
   * use.
   */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && this.#state !== "complete") {
      if (this.#state === "length" || this.#state === "chunk") {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#sink.body(bytes.subarray(at, end));
        at = end;
        if (this.#left === 0) this.#state = this.#state === "length" ? "complete" : "chunk end";
        continue;
      }
      const newline = bytes.indexOf(LINE_FEED, at);
      const end = newline < 0 ? bytes.length : newline + 1;
      this.#gather(bytes.subarray(at, end));
      at = end;
      if (newline >= 0) this.#endOfLine();
    }
  }

  #gather(part: Uint8Array): void {
    const inHead = this.#state !== "size" && this.#state !== "chunk end";
    if (inHead) this.#headBytes += part.length;
    if (this.#headBytes > MAX_HEAD_BYTES) throw new ResponseFormatError("its headers are too large");
    if (!inHead && this.#lineLength + part.length > MAX_SIZE_LINE_BYTES) throw broken();
    this.#line.set(part, this.#lineLength);
    this.#lineLength += part.length;
  }

  #endOfLine(): void {
    const length = this.#lineLength - 2;
    this.#lineLength = 0;
    if (length < 0 || this.#line[length] !== CARRIAGE_RETURN) throw broken();
    const line = this.#line.subarray(0, length);
    // RFC 9112 2.2: a bare CR is no end of a line, and must not be taken for one.
    if (line.includes(CARRIAGE_RETURN) || line.includes(0)) throw broken();
    switch (this.#state) {
      case "status":
        this.#statusLine(line);
        return;
      case "header":
        if (length === 0) this.#endOfHead();
        else this.#header(line);
        return;
      case "size":
        this.#sizeLine(line);
        return;
      case "chunk end":
        if (length !== 0) throw broken();
        this.#state = "size";
        return;
      default:
        // A trailer says nothing that is wanted.
        if (length === 0) this.#state = "complete";
    }
  }

  /** `HTTP/1.1 200 OK`; the reason may be anything, or absent. */
  #statusLine(line: Uint8Array): void {
    const minor = digitAt(line, 7);
    const digits = [9, 10, 11].map((at) => digitAt(line, at));
    if (!startsWith(line, "http/1.") || line[8] !== SPACE || (line.length > 12 && line[12] !== SPACE)) throw broken();
    if (minor > 1 || digits.some((digit) => digit < 0) || minor < 0) throw broken();
    this.#minor = minor;
    this.#status = digits.reduce((status, digit) => status * 10 + digit, 0);
    if (this.#status < 100) throw broken();
    this.#contentLength = undefined;
    this.#chunked = this.#encoded = false;
    this.#retryAfter = undefined;
    this.#state = "header";
  }

  #header(line: Uint8Array): void {
    const colon = line.indexOf(0x3a);
    // A line that begins with white space continues the one before it: obsolete (RFC 9112 5.2), and no token.
    if (colon < 1 || !line.subarray(0, colon).every(isTokenByte)) throw broken();
    const name = line.subarray(0, colon);
    const value = trimmed(line.subarray(colon + 1));
    if (equals(name, "content-length")) {
      const length = wholeNumber(value, 15);
      if (length === undefined || this.#contentLength !== undefined) throw broken();
      this.#contentLength = length;
    } else if (equals(name, "transfer-encoding")) {
      if (this.#chunked || !equals(value, "chunked")) throw broken();
      this.#chunked = true;
    } else if (equals(name, "content-encoding")) {
      this.#encoded ||= !equals(value, "identity");
    } else if (equals(name, "retry-after")) {
      this.#retryAfter = wholeNumber(value, 6);
    }
  }

  #endOfHead(): void {
    const status = this.#status;
    if (status < 200 && status !== 101) {
      this.#state = "status";
      return;
    }
    // Both at once, or chunks in a version that has none, is how one response is passed off as two (RFC 9112 6.1, 6.3).
    if (this.#chunked && (this.#contentLength !== undefined || this.#minor === 0)) throw broken();
    this.#sink.head({
      status,
      contentLength: this.#chunked ? undefined : this.#contentLength,
      encoded: this.#encoded,
      retryAfter: this.#retryAfter,
    });
    if (this.#chunked) {
      this.#state = "size";
    } else if (this.#contentLength === undefined) {
      throw new ResponseFormatError("it has neither a Content-Length nor chunks");
    } else {
      this.#left = this.#contentLength;
      this.#state = this.#left === 0 ? "complete" : "length";
    }
  }

  /** `1a2b` or `1a2b;extension`. */
  #sizeLine(line: Uint8Array): void {
    let size = 0;
    let at = 0;
    for (; at < line.length; at += 1) {
      const digit = hexDigit(line[at]);
      if (digit < 0) break;
      // Eight digits and more: over every limit there is.
      if (at >= 8) throw broken();
      size = size * 16 + digit;
    }
    const next = line[at];
    if (at === 0 || (next !== undefined && next !== 0x3b && next !== SPACE && next !== TAB)) throw broken();
    this.#left = size;
    this.#state = size === 0 ? "trailer" : "chunk";
  }
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

function broken(): ResponseFormatError {
  return new ResponseFormatError("it is not a well-formed HTTP/1.1 response");
}

/** `text` is in lower case. */
function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (lowerCase(bytes[i] ?? 0) !== text.charCodeAt(i)) return false;
  }
  return true;
}

function equals(bytes: Uint8Array, text: string): boolean {
  return bytes.length === text.length && startsWith(bytes, text);
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

function trimmed(value: Uint8Array): Uint8Array {
  let start = 0;
  let end = value.length;
  while (start < end && (value[start] === SPACE || value[start] === TAB)) start += 1;
  while (end > start && (value[end - 1] === SPACE || value[end - 1] === TAB)) end -= 1;
  return value.subarray(start, end);
}

/** Decimal digits and nothing else, `mostDigits` of them at most. */
function wholeNumber(value: Uint8Array, mostDigits: number): number | undefined {
  if (value.length === 0 || value.length > mostDigits) return undefined;
  let number = 0;
  for (let i = 0; i < value.length; i += 1) {
    const digit = digitAt(value, i);
    if (digit < 0) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/** -1: no digit. */
function digitAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] ?? 0;
  return byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : -1;
}

/** -1: no digit. */
function hexDigit(byte: number | undefined): number {
  const lower = lowerCase(byte ?? 0);
  if (lower >= 0x30 && lower <= 0x39) return lower - 0x30;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** RFC 9110 5.6.2. */
function isTokenByte(byte: number): boolean {
  const lower = lowerCase(byte);
  if ((lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39)) return true;
  return "!#$%&'*+-.^_`|~".includes(String.fromCharCode(byte));
}
