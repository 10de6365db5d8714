/** An answer that stays in locked memory. */
import { inspect } from "node:util";
import { ConfigurationError } from "../errors.js";
import type { OpenedPackage } from "../envelope/open.js";
import type { Locking } from "../native.js";
import type { AnswerMetadata, ChatCompletion } from "../chat/chat-types.js";
import { asCompletion } from "../chat/completion.js";
import type { Receipt } from "../receipts/receipt.js";
import { SecureBuffer } from "../memory/secure-buffer.js";

const REDACTED = "[SecureResponse: redacted]";

/**
 * An answer that stays in locked memory. Only what is asked for is copied out of it.
 *
 * ```ts
 * using answer = await client.createSecure({ model, messages });
 * using text = answer.content();
 * ```
 *
 * `dispose()` wipes it, and everything but `_metadata` and `receipt` throws a `NomyoError` with the code `DISPOSED`
 * afterwards. One that is forgotten is wiped when it is collected, and the client's logger is told so at `debug`.
 */
export class SecureResponse {
  readonly #opened: OpenedPackage;
  readonly #locking: Locking;

  /** About the answer: ids, and what the server says of itself. No part of the answer. */
  readonly _metadata: AnswerMetadata;

  /** Which server, in which boot state, under which keys, answered (docs/receipts.md). No part of the answer. */
  readonly receipt: Receipt;

  /**
   * Takes `opened` over.
   * @internal
   */
  constructor(opened: OpenedPackage, metadata: AnswerMetadata, receipt: Receipt, locking: Locking = "required") {
    this.#opened = opened;
    this.receipt = receipt;
    this.#locking = locking;
    this._metadata = metadata;
  }

  /** The plaintext's length in bytes. */
  get byteLength(): number {
    return this.#opened.byteLength;
  }

  /**
   * The whole answer as the server sent it, JSON text: a copy in the JavaScript heap. These are the server's own words,
   * its `_metadata` too: an `attestation_report` in it is the server's verdict about itself. Believe only {@link
   * SecureResponse._metadata}.
   */
  text(): string {
    return this.#opened.text();
  }

  /**
   * The whole answer as an object, as `create()` would give it, with the same `_metadata`: a copy in the JavaScript
   * heap.
   */
  json(): ChatCompletion {
    return asCompletion(this.#opened.value(), this._metadata);
  }

  /**
   * The value at a JSON pointer (RFC 6901), e.g. `/usage/total_tokens`; code `NOT_FOUND` when there is none. A copy, in
   * the server's own words: also of `/_metadata`, for which see {@link SecureResponse.text}.
   */
  get(pointer: string): unknown {
    return this.#opened.get(pointer);
  }

  /**
   * A string of the answer as UTF-8 in locked memory, never a JavaScript string. The caller disposes of it.
   *
   * @param pointer - the message's text by default; code `NOT_FOUND` when there is no string there.
   */
  content(pointer = "/choices/0/message/content"): SecureBuffer {
    return SecureBuffer.fromHandle(this.#opened.buffer(pointer, this.#locking));
  }

  /** Wipes the answer. Harmless twice. Buffers that `content()` gave live on. */
  dispose(): void {
    this.#opened.dispose();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Throws a {@link ConfigurationError}: in a request, a text would be sent in the answer's place. `json()` and
   * `content()` give it.
   */
  toJSON(): never {
    throw new ConfigurationError(
      "SecureResponse",
      "A SecureResponse does not turn into JSON. Put what content() gives into a request, or json() if it may be an " +
        "ordinary object.",
    );
  }

  /** What `console.log` and the like show: that it is redacted. */
  [inspect.custom](): string {
    return REDACTED;
  }
}
