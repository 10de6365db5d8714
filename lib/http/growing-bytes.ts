/**
 * Bytes that come in pieces, collected into one buffer that grows.
 *
 * A list of the pieces would cost some 180 bytes of heap for each, however small: whoever sends one byte at a time
 * would have a limit in bytes pass hundreds of times as much memory. What is collected here is ciphertext; for secrets
 * there is memory/pool-bytes.ts.
 */

const FIRST_CAPACITY = 16 * 1024;

export class GrowingBytes {
  readonly #limit: number;
  readonly #grow: (bytes: number) => void;
  #bytes = new Uint8Array(0);
  #length = 0;

  /**
   * `limit`: the most that will be collected, so that no more is taken. `grow` is told, before it is taken, by how many
   * bytes the capacity grows, and may throw.
   */
  constructor(limit: number, grow: (bytes: number) => void = () => undefined) {
    this.#limit = limit;
    this.#grow = grow;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory that are held: less than twice the length, or the least that is taken. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Copies `piece` in. Throws what `grow` throws, and a `RangeError` over the limit; nothing has changed then. */
  append(piece: Uint8Array): void {
    const needed = this.#length + piece.length;
    if (needed > this.#limit) throw new RangeError("more bytes than the limit");
    if (needed > this.#bytes.length) {
      const capacity = Math.min(this.#limit, Math.max(needed, 2 * this.#bytes.length, FIRST_CAPACITY));
      this.#grow(capacity - this.#bytes.length);
      const larger = new Uint8Array(capacity);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = needed;
  }

  /** A view of what was collected. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }
}
