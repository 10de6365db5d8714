/**
 * Reads one HTTP/1.1 response (RFC 9112) out of bytes that lie in the pool, as they come.
 *
 * Not even an error's text, which may quote the prompt, becomes a string. A body's length comes from Content-Length or
 * from chunks: one that ends where the connection ends cannot be told from one that was cut off.
 */
import { digitAt, equals, SPACE, startsWith, wholeNumber } from "./message-bytes.js";
import { MessageReader } from "./message-reader.js";

export { MAX_HEAD_BYTES } from "./message-reader.js";

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
  /** The body's bytes of one `push`, a view that is good until `body` returns. */
  body(bytes: Uint8Array): void;
}

/** The bytes are no response of the kind that is read here. The message holds none of them. */
export class ResponseFormatError extends Error {}

/** `push` throws a {@link ResponseFormatError}, or what the sink throws. */
export class ResponseReader extends MessageReader {
  readonly #sink: ResponseSink;
  #status = 0;
  #encoded = false;
  #retryAfter: number | undefined;
  /** What of the body is in the bytes that are being read. */
  #gathered: Uint8Array | undefined;

  /** `line`: see {@link MessageReader}. */
  constructor(line: Uint8Array, sink: ResponseSink) {
    super(line);
    this.#sink = sink;
  }

  /**
   * As {@link MessageReader.push}. What chunks hold is moved together within `bytes`, over what was read of them: the
   * sink gets it at once, however small the chunks are, and it is in no other memory.
   */
  override push(bytes: Uint8Array): number {
    this.#gathered = undefined;
    const count = super.push(bytes);
    this.#giveGathered();
    return count;
  }

  #giveGathered(): void {
    if (this.#gathered !== undefined) this.#sink.body(this.#gathered);
  }

  /** `HTTP/1.1 200 OK`; the reason may be anything, or absent. */
  protected startLine(line: Uint8Array): 0 | 1 {
    const minor = digitAt(line, 7);
    const digits = [9, 10, 11].map((at) => digitAt(line, at));
    if (!startsWith(line, "http/1.") || line[8] !== SPACE || (line.length > 12 && line[12] !== SPACE))
      throw this.broken();
    if ((minor !== 0 && minor !== 1) || digits.some((digit) => digit < 0)) throw this.broken();
    this.#status = digits.reduce((status, digit) => status * 10 + digit, 0);
    if (this.#status < 100) throw this.broken();
    this.#encoded = false;
    this.#retryAfter = undefined;
    return minor;
  }

  protected header(name: Uint8Array, value: Uint8Array): void {
    if (equals(name, "content-encoding")) this.#encoded ||= !equals(value, "identity");
    else if (equals(name, "retry-after")) this.#retryAfter = wholeNumber(value, 6);
  }

  protected headEnds(contentLength: number | undefined, chunked: boolean): "interim" | "final" {
    const status = this.#status;
    if (status < 200 && status !== 101) return "interim";
    this.#sink.head({ status, contentLength, encoded: this.#encoded, retryAfter: this.#retryAfter });
    if (!chunked && contentLength === undefined) {
      throw new ResponseFormatError("it has neither a Content-Length nor chunks");
    }
    return "final";
  }

  protected body(bytes: Uint8Array): void {
    const before = this.#gathered;
    if (before === undefined) {
      this.#gathered = bytes;
      return;
    }
    const both = new Uint8Array(before.buffer, before.byteOffset, before.length + bytes.length);
    both.set(bytes, before.length);
    this.#gathered = both;
  }

  protected broken(): ResponseFormatError {
    return new ResponseFormatError("it is not a well-formed HTTP/1.1 response");
  }

  protected headTooLarge(): ResponseFormatError {
    return new ResponseFormatError("its headers are too large");
  }
}
