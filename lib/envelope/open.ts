/** Opening a package: the bytes of an answer become authenticated JSON in locked memory. */
import { cancellable } from "../memory/cancellable.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { DigestKey } from "./digest.js";
import { native } from "../native.js";
import type { BufferHandle, Locking, OpenedHandle, PrivateKeyHandle } from "../native.js";
import { fromNative, nativeCode, withNativeErrors } from "../native-error.js";

export interface OpenOptions {
  readonly locking: Locking;
  /** Cancels the work, whether it waits or runs. The promise rejects with the signal's reason in any case. */
  readonly signal?: AbortSignal | undefined;
  /** Largest plaintext in bytes; 64 MiB by default. */
  readonly maxPlaintextBytes?: number | undefined;
  /** Deepest nesting of arrays and objects; 1 024 by default. */
  readonly maxDepth?: number | undefined;
  /** The plaintext is digested too, where it lies: see {@link OpenedPackage.plaintextHmac}. */
  readonly digestKey?: DigestKey | undefined;
  /** Told at `debug` when an opened package was left to the collector instead of being disposed of. */
  readonly logger?: { debug(message: string): void } | undefined;
}

const DEFAULT_MAX_PLAINTEXT_BYTES = 64 * 1024 * 1024;
const DEFAULT_MAX_DEPTH = 1024;

const forgotten = new FinalizationRegistry<NonNullable<OpenOptions["logger"]>>((logger) => {
  logger.debug("An opened answer was not disposed of; its memory was wiped when it was collected.");
});

/**
 * An opened package: authenticated JSON in locked memory. Only what is asked for is copied out of it. Dispose of it to
 * wipe it at once; otherwise that happens when it is collected. Using it afterwards throws a `NomyoError` with code
 * `DISPOSED`.
 */
export class OpenedPackage {
  readonly #handle: OpenedHandle;

  /** Takes `handle` over. */
  constructor(handle: OpenedHandle, logger?: OpenOptions["logger"]) {
    this.#handle = handle;
    if (logger !== undefined) forgotten.register(this, logger, this);
  }

  /** Unix seconds at which the sender says it made the package; undefined when it does not. Not authenticated. */
  get processedAt(): number | undefined {
    return withNativeErrors("opening", () => native.openedProcessedAt(this.#handle));
  }

  /** The plaintext's length in bytes. */
  get byteLength(): number {
    return withNativeErrors("opening", () => native.openedByteLength(this.#handle));
  }

  /** HMAC-SHA-256 of the plaintext in lower-case hex, where a key was given; still there when the plaintext is not. */
  get plaintextHmac(): string | undefined {
    return native.openedHmac(this.#handle);
  }

  /** The whole, exactly as `JSON.parse` would give it. */
  value(): unknown {
    return withNativeErrors("opening", () => native.openedValue(this.#handle));
  }

  /** The value at a JSON pointer (RFC 6901); throws with code `NOT_FOUND` when there is none. */
  get(pointer: string): unknown {
    return withNativeErrors("opening", () => native.openedGet(this.#handle, pointer));
  }

  /**
   * The value at a JSON pointer, or undefined when there is none. Throws a `SecurityError` with the code `TOO_LARGE`
   * when its JSON has more than `mostBytes`, before anything of it becomes a value: a value takes many times its text.
   */
  find(pointer: string, mostBytes: number): unknown {
    try {
      return native.openedGet(this.#handle, pointer, mostBytes);
    } catch (error) {
      if (nativeCode(error) === "NOT_FOUND") return undefined;
      throw fromNative(error, "opening");
    }
  }

  /** The string at a JSON pointer as UTF-8 in locked memory; throws with code `NOT_FOUND` when there is no string. */
  buffer(pointer: string, locking: Locking): BufferHandle {
    return withNativeErrors("opening", () => native.openedGetBuffer(this.#handle, pointer, locking));
  }

  /** The whole plaintext as it was sent. */
  text(): string {
    return withNativeErrors("opening", () => native.openedText(this.#handle));
  }

  /** Moves the plaintext, without a copy, to a buffer of the caller's. The package is disposed of. */
  take(): SecureBuffer {
    forgotten.unregister(this);
    return withNativeErrors("opening", () => SecureBuffer.fromHandle(native.openedTakeBuffer(this.#handle)));
  }

  dispose(): void {
    forgotten.unregister(this);
    native.openedDispose(this.#handle);
  }
}

/**
 * Opens the bytes of a package with `key`: RSA, AES, and the check of the JSON run on the package's own threads. `body`
 * is copied before this returns, so the caller may do with it what he likes; over a SharedArrayBuffer or a resizable
 * ArrayBuffer it is refused (a `NomyoError` with code `INVALID_ARGUMENT`). Rejects with a `SecurityError` whatever is
 * wrong with the package (`code`: `PACKAGE_FORMAT`, `PACKAGE_ALGORITHM`, `DECRYPT`, `PLAINTEXT`, `TOO_LARGE`), with
 * `MemoryProtectionError`, with a `NomyoError` of code `QUEUE_FULL`, or with the signal's reason.
 */
export async function openPackage(
  key: PrivateKeyHandle,
  body: Uint8Array,
  options: OpenOptions,
): Promise<OpenedPackage> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    const limits = {
      maxPlaintextBytes: options.maxPlaintextBytes ?? DEFAULT_MAX_PLAINTEXT_BYTES,
      maxDepth: options.maxDepth ?? DEFAULT_MAX_DEPTH,
      ...(options.digestKey === undefined ? {} : { digestKey: options.digestKey.handle }),
    };
    const handle = await cancellable(signal, (token) => native.open(key, body, limits, options.locking, token));
    const opened = new OpenedPackage(handle, options.logger);
    if (signal?.aborted) {
      opened.dispose();
      signal.throwIfAborted();
    }
    return opened;
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNative(error, "opening");
  }
}
