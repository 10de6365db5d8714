/**
 * What requests and responses of HTTP/1.1 (RFC 9112) have in common: lines, and a body that has a length or comes in
 * chunks. Read out of bytes that lie in the pool, as they come.
 *
 * Node's own reader copies what it parses into ordinary memory, where a prompt or an answer would stay. This one keeps
 * nothing but numbers and the line that it is in the middle of, and makes no strings of a body. It is strict: whatever
 * two readers could understand differently is an error.
 */
import {
  CARRIAGE_RETURN,
  equals,
  hexDigit,
  isTokenByte,
  LINE_FEED,
  SPACE,
  TAB,
  trimmed,
  wholeNumber,
} from "./message-bytes.js";

/** Bytes of all heads, interim ones included, and of the trailers. Node's limit for requests. */
export const MAX_HEAD_BYTES = 16 * 1024;
/** A chunk's size with its extensions, which nobody sends. */
const MAX_SIZE_LINE_BYTES = 256;

type State = "start" | "header" | "length" | "size" | "chunk" | "chunk end" | "trailer" | "complete";

export abstract class MessageReader {
  readonly #line: Uint8Array;
  #state: State = "start";
  #lineLength = 0;
  #headBytes = 0;
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  /** HTTP/1.0 or HTTP/1.1. */
  #minor = 1;
  #contentLength: number | undefined;
  #chunked = false;

  /**
   * `line`: memory of {@link MAX_HEAD_BYTES} for lines that come in pieces; the caller's, to be wiped with the rest.
   */
  protected constructor(line: Uint8Array) {
    this.#line = line;
  }

  /** Whether the whole message was read. What follows it is not looked at. */
  get complete(): boolean {
    return this.#state === "complete";
  }

  /**
   * Takes the next bytes, and returns how many of them belong to the message: less than all only when it is complete.
   * What it throws leaves the reader of no more use.
   */
  push(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "complete") {
      if (this.#state === "length" || this.#state === "chunk") {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.body(bytes.subarray(at, end));
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
    return at;
  }

  /** The first line, without its end. Says which minor version of HTTP/1 it is. */
  protected abstract startLine(line: Uint8Array): 0 | 1 | "empty";
  /** A header that is not about the body's length. */
  protected abstract header(name: Uint8Array, value: Uint8Array): void;
  /**
   * The head is complete; `contentLength` is `undefined` when the body comes in chunks, or when nothing is said of one.
   * Whether it was an interim one, after which another follows.
   */
  protected abstract headEnds(contentLength: number | undefined, chunked: boolean): "interim" | "final";
  /** A piece of the body, a view that is good until this returns. */
  protected abstract body(bytes: Uint8Array): void;
  /** The error for what is not well-formed. */
  protected abstract broken(): Error;
  /** The error for a head over {@link MAX_HEAD_BYTES}. */
  protected abstract headTooLarge(): Error;

  protected get minor(): number {
    return this.#minor;
  }

  #gather(part: Uint8Array): void {
    const inHead = this.#state !== "size" && this.#state !== "chunk end";
    if (inHead) this.#headBytes += part.length;
    if (this.#headBytes > MAX_HEAD_BYTES) throw this.headTooLarge();
    if (!inHead && this.#lineLength + part.length > MAX_SIZE_LINE_BYTES) throw this.broken();
    this.#line.set(part, this.#lineLength);
    this.#lineLength += part.length;
  }

  #endOfLine(): void {
    const length = this.#lineLength - 2;
    this.#lineLength = 0;
    if (length < 0 || this.#line[length] !== CARRIAGE_RETURN) throw this.broken();
    const line = this.#line.subarray(0, length);
    // RFC 9112 2.2: a bare CR is no end of a line, and must not be taken for one.
    if (line.includes(CARRIAGE_RETURN) || line.includes(0)) throw this.broken();
    switch (this.#state) {
      case "start": {
        const minor = this.startLine(line);
        if (minor === "empty") return;
        this.#minor = minor;
        this.#contentLength = undefined;
        this.#chunked = false;
        this.#state = "header";
        return;
      }
      case "header":
        if (length === 0) this.#endOfHead();
        else this.#headerLine(line);
        return;
      case "size":
        this.#sizeLine(line);
        return;
      case "chunk end":
        if (length !== 0) throw this.broken();
        this.#state = "size";
        return;
      default:
        // A trailer says nothing that is wanted.
        if (length === 0) this.#state = "complete";
    }
  }

  #headerLine(line: Uint8Array): void {
    const colon = line.indexOf(0x3a);
    // A line that begins with white space continues the one before it: obsolete (RFC 9112 5.2), and no token.
    if (colon < 1 || !line.subarray(0, colon).every(isTokenByte)) throw this.broken();
    const name = line.subarray(0, colon);
    const value = trimmed(line.subarray(colon + 1));
    if (equals(name, "content-length")) {
      const length = wholeNumber(value, 15);
      if (length === undefined || this.#contentLength !== undefined) throw this.broken();
      this.#contentLength = length;
    } else if (equals(name, "transfer-encoding")) {
      if (this.#chunked || !equals(value, "chunked")) throw this.broken();
      this.#chunked = true;
    } else {
      this.header(name, value);
    }
  }

  #endOfHead(): void {
    // Both at once, or chunks in a version that has none, is how one message is passed off as two (RFC 9112 6.1, 6.3).
    if (this.#chunked && (this.#contentLength !== undefined || this.#minor === 0)) throw this.broken();
    if (this.headEnds(this.#contentLength, this.#chunked) === "interim") {
      this.#state = "start";
    } else if (this.#chunked) {
      this.#state = "size";
    } else {
      this.#left = this.#contentLength ?? 0;
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
      if (at >= 8) throw this.broken();
      size = size * 16 + digit;
    }
    const next = line[at];
    if (at === 0 || (next !== undefined && next !== 0x3b && next !== SPACE && next !== TAB)) throw this.broken();
    this.#left = size;
    this.#state = size === 0 ? "trailer" : "chunk";
  }
}
