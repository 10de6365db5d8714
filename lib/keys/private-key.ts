/** An RSA private key, in the pool. */
import { cancellable } from "../memory/cancellable.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { native } from "../native.js";
import type { Locking, PrivateKeyHandle, PublicKeyHandle, PublicKeyInfo } from "../native.js";
import { fromNative } from "../native-error.js";

export interface GenerateOptions {
  readonly signal?: AbortSignal | undefined;
  /** The work does not keep the process alive; whoever waits for it must do that. */
  readonly background?: boolean | undefined;
}

export class PrivateKey {
  /** What opening takes. */
  readonly handle: PrivateKeyHandle;

  /** Takes `handle` over. */
  constructor(handle: PrivateKeyHandle) {
    this.handle = handle;
  }

  /** Makes a key of 4096 bits on the package's own threads. */
  static async generate(locking: Locking, { signal, background }: GenerateOptions = {}): Promise<PrivateKey> {
    try {
      return await cancellable(
        signal,
        async (token) => new PrivateKey(await native.generatePrivateKey(4096, locking, token, background)),
      );
    } catch (error) {
      throw fromNative(error, "opening");
    }
  }

  /**
   * Reads PKCS#8 (encrypted or not) or PKCS#1 PEM. Rejects with a `SecurityError`: `KEY_FORMAT`, `KEY_WEAK`,
   * `KEY_PASSWORD`.
   */
  static async fromPem(pem: SecureBuffer, password: SecureBuffer | null, locking: Locking): Promise<PrivateKey> {
    try {
      return new PrivateKey(await native.importPrivateKey(pem.handle, password?.handle ?? null, locking));
    } catch (error) {
      throw fromNative(error, "opening");
    }
  }

  /** PKCS#8 PEM; with a password PBES2 with AES-256-CBC and PBKDF2. The caller disposes of it. */
  async toPem(password: SecureBuffer | null, locking: Locking): Promise<SecureBuffer> {
    try {
      return SecureBuffer.fromHandle(await native.exportPrivateKey(this.handle, password?.handle ?? null, locking));
    } catch (error) {
      throw fromNative(error, "opening");
    }
  }

  /** The public half, for sealing to oneself. */
  get publicHandle(): PublicKeyHandle {
    return native.privateKeyPublic(this.handle);
  }

  /** The public facts: bits, fingerprint, PEM. */
  publicInfo(): PublicKeyInfo {
    return native.publicKeyInfo(native.privateKeyPublic(this.handle));
  }

  /** Wipes the key. Harmless twice. */
  dispose(): void {
    native.privateKeyDispose(this.handle);
  }
}
