/** An RSA public key of the addon. */
import { native } from "../native.js";
import type { PublicKeyHandle, PublicKeyInfo } from "../native.js";
import { withNativeErrors } from "../native-error.js";

export class PublicKey {
  /** What sealing takes. */
  readonly handle: PublicKeyHandle;

  private constructor(handle: PublicKeyHandle) {
    this.handle = handle;
  }

  /**
   * Reads the PEM SubjectPublicKeyInfo of an RSA key of `minBits` to `maxBits`. Throws a `SecurityError` with the code
   * `KEY_FORMAT` or `KEY_WEAK`.
   *
   * @param maxBits - 8192 by default, which is also the most that there can be.
   */
  static fromPem(pem: string, minBits: number, maxBits?: number): PublicKey {
    return withNativeErrors("opening", () => new PublicKey(native.importPublicKey(pem, minBits, maxBits)));
  }

  /** Bits, fingerprint, and the PEM as the addon writes it, whatever form it was read in. */
  info(): PublicKeyInfo {
    return withNativeErrors("opening", () => native.publicKeyInfo(this.handle));
  }

  /** Wipes the AES key that may lie ready, wrapped for this key. The key works on. */
  dropAhead(): void {
    native.publicKeyDropAhead(this.handle);
  }

  /** Frees the key now instead of when it is collected. */
  dispose(): void {
    native.publicKeyDispose(this.handle);
  }
}
