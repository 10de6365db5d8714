/** Digests of packages and plaintexts, for receipts. They are made where the bytes lie, by the addon. */

import { SecureBuffer } from "../memory/secure-buffer.js";
import { native } from "../native.js";
import type { BufferHandle, Locking } from "../native.js";
import { fromNative, nativeCode, withNativeErrors } from "../native-error.js";

/** Up to here a digest on the calling thread takes less than a job: 80 µs where SHA-256 is slowest. */
const SMALL_BYTES = 32 * 1024;

/** What {@link DigestKey.id} is the digest of. */
const NAME_OF_KEY = "nomyo-native receipt key";

/**
 * SHA-256 of a sealed package in lower-case hex. A large one is copied here and digested on the package's threads. The
 * promise is handled: whoever never waits for it gets no unhandled rejection.
 */
export function packageDigest(bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  digest.catch(() => undefined);
  return digest;
}

/** Never throws at once: what else was begun with these bytes would be left alone. */
async function digestOf(bytes: Uint8Array): Promise<string> {
  try {
    return bytes.byteLength <= SMALL_BYTES ? native.sha256(bytes) : await native.sha256Async(bytes);
  } catch (error) {
    // A digest is no reason to fail: this thread can do without the others for once.
    if (nativeCode(error) === "QUEUE_FULL") return withNativeErrors("opening", () => native.sha256(bytes));
    throw fromNative(error, "opening");
  }
}

/** A key in the pool, without which nobody can try guesses on a plaintext's digest. */
export class DigestKey {
  readonly #bytes: SecureBuffer;
  readonly #locking: Locking;
  /** Which key it is, without telling it: the first 16 hex digits of the HMAC of a fixed text. */
  readonly id: string;

  /**
   * Takes `bytes` over, also when it throws: then they are wiped. They must be as good as random: the id could be used
   * to try guesses on them.
   */
  constructor(bytes: SecureBuffer, locking: Locking) {
    this.#bytes = bytes;
    this.#locking = locking;
    try {
      using name = SecureBuffer.from(NAME_OF_KEY, locking);
      this.id = this.digest(name).slice(0, 16);
    } catch (error) {
      bytes.dispose();
      throw error;
    }
  }

  get handle(): BufferHandle {
    return this.#bytes.handle;
  }

  /** HMAC-SHA-256 of `data` in lower-case hex. */
  digest(data: SecureBuffer): string {
    return withNativeErrors("opening", () => native.hmacSha256(this.handle, data.handle, this.#locking));
  }

  dispose(): void {
    this.#bytes.dispose();
  }
}
