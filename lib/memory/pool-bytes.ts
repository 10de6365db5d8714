/**
 * Bytes that grow, in the addon's locked pool: answers of an upstream are gathered here instead of in the JavaScript
 * heap.
 */
import { native } from "../native.js";
import type { BufferHandle, Locking, ScannedObject, ScanOptions } from "../native.js";
import { withNativeErrors } from "../native-error.js";
import { scanObject } from "./json-members.js";
import { SecureBuffer } from "./secure-buffer.js";

export class PoolBytes {
  readonly #locking: Locking;
  #buffer: BufferHandle;
  #capacity: number;
  #length = 0;

  /**
   * Takes `capacity` bytes of pool memory now; throws the addon's `MEMORY_LOCK` or `OUT_OF_MEMORY`, as `append` does.
   */
  constructor(locking: Locking, capacity?: number);
  /** Takes `buffer` over. */
  constructor(locking: Locking, buffer: BufferHandle);
  constructor(locking: Locking, start: number | BufferHandle = 4096) {
    this.#locking = locking;
    if (typeof start === "number") {
      this.#capacity = Math.max(start, 1);
      this.#buffer = native.bufferAlloc(this.#capacity, locking);
    } else {
      this.#capacity = native.bufferLength(start);
      this.#buffer = start;
    }
  }

  /** Takes over a buffer whose first `length` bytes are there; what follows them is room to grow into. */
  static of(buffer: BufferHandle, length: number, locking: Locking): PoolBytes {
    const bytes = new PoolBytes(locking, buffer);
    bytes.#length = length;
    return bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies `bytes` in. Where they were is the caller's to wipe. */
  append(bytes: Uint8Array): void {
    this.#reserve(this.#length + bytes.length);
    withView(this.#buffer, (view) => view.set(bytes, this.#length));
    this.#length += bytes.length;
  }

  /** Copies `bytes` in and wipes them where they were. */
  appendAndWipe(bytes: Uint8Array): void {
    this.append(bytes);
    bytes.fill(0);
  }

  /** Calls `use` with a view of the bytes, which is detached afterwards. */
  use<T>(use: (bytes: Uint8Array) => T): T {
    return withView(this.#buffer, (view) => use(view.subarray(0, this.#length)));
  }

  /** Scans the bytes, which must be the JSON of one object, and blanks members: `scanObject` of json-members.ts. */
  async scan(options: ScanOptions, signal?: AbortSignal): Promise<ScannedObject> {
    return await scanObject(this.#buffer, this.#length, options, this.#locking, signal);
  }

  /** Replaces what lies from `start` to the end by `bytes`. */
  replaceTail(start: number, bytes: Uint8Array): void {
    this.#length = start;
    this.#reserve(start + bytes.length);
    withView(this.#buffer, (view) => view.set(bytes, start));
    this.#length = start + bytes.length;
  }

  /**
   * Reads (read(2)) what is there into the bytes' end, and never waits: -1 when nothing is, 0 at the end of the input,
   * else how many bytes came. Of `most` bytes in all at most; the caller sees by the length that there are so many.
   */
  readFrom(fd: number, most: number): number {
    if (this.#length === this.#capacity) this.#grow(Math.min(2 * this.#capacity, most));
    const got = withNativeErrors("opening", () => native.readDescriptor(fd, this.#buffer, this.#length));
    if (got > 0) this.#length += got;
    return got;
  }

  /** Gives the bytes away, cut to their length: these here are disposed of by whoever has them now. */
  release(): SecureBuffer {
    native.bufferTruncate(this.#buffer, this.#length);
    return SecureBuffer.fromHandle(this.#buffer);
  }

  /** Wipes and frees. */
  dispose(): void {
    native.bufferDispose(this.#buffer);
    this.#length = 0;
    this.#capacity = 0;
  }

  #reserve(needed: number): void {
    if (needed > this.#capacity) this.#grow(Math.max(needed, this.#capacity * 2));
  }

  #grow(capacity: number): void {
    const larger = native.bufferAlloc(capacity, this.#locking);
    native.bufferCopy(this.#buffer, larger);
    native.bufferDispose(this.#buffer);
    this.#buffer = larger;
    this.#capacity = capacity;
  }
}

/** Calls `use` with a view of `buffer`, which is detached afterwards. */
export function withView<T>(buffer: BufferHandle, use: (view: Uint8Array) => T): T {
  const view = native.bufferView(buffer);
  try {
    return use(view);
  } finally {
    native.bufferReleaseView(buffer, view);
  }
}

/** The same for work that takes its time; the buffer must not be disposed of meanwhile. */
export async function withHeldView<T>(buffer: BufferHandle, use: (view: Uint8Array) => Promise<T>): Promise<T> {
  const view = native.bufferView(buffer);
  try {
    return await use(view);
  } finally {
    native.bufferReleaseView(buffer, view);
  }
}

/**
 * A view of pool memory that stays until it is released, for memory that the kernel is given the address of meanwhile.
 */
export class HeldView {
  readonly #memory: SecureBuffer;
  readonly bytes: Uint8Array;

  /** Takes memory now; throws a `MemoryProtectionError` when there is none. */
  constructor(size: number, locking: Locking) {
    this.#memory = SecureBuffer.alloc(size, locking);
    this.bytes = native.bufferView(this.#memory.handle);
  }

  /** Detaches the view, wipes and frees. Harmless twice. */
  release(): void {
    if (this.#memory.disposed) return;
    native.bufferReleaseView(this.#memory.handle, this.bytes);
    this.#memory.dispose();
  }
}
