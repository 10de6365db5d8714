/** The router's RSA-4096 key: made at start, or loaded from a file. */
import { SecurityError } from "../errors.js";
import type { KeyPassword } from "../keys/key-password.js";
import { loadPrivateKey } from "../keys/key-store.js";
import { PrivateKey } from "../keys/private-key.js";
import type { Locking, PublicKeyInfo } from "../native.js";

export interface ServerKey {
  readonly private: PrivateKey;
  readonly public: PublicKeyInfo;
}

/** PROTOCOL: clients refuse a server key under 4096 bits. */
const BITS = 4096;

export async function generateServerKey(locking: Locking): Promise<ServerKey> {
  return withPublic(await PrivateKey.generate(locking));
}

/**
 * Loads a key file as strictly as the client loads its own; a new key is never made in place of one that does not load.
 */
export async function loadServerKey(
  file: string,
  password: KeyPassword | undefined,
  locking: Locking,
): Promise<ServerKey> {
  const { key } = await loadPrivateKey(file, undefined, password, locking);
  const loaded = withPublic(key);
  if (loaded.public.bits >= BITS) return loaded;
  key.dispose();
  throw new SecurityError(`${file} holds a key of ${loaded.public.bits} bits, and clients want ${BITS}.`, "KEY_WEAK");
}

function withPublic(key: PrivateKey): ServerKey {
  return { private: key, public: key.publicInfo() };
}
