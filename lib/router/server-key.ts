/** The router's RSA-4096 key: made at start, or loaded from a file. */
import { ConfigurationError } from "../errors.js";
import { native, type BufferHandle, type LockPolicy, type PrivateKeyHandle, type PublicKeyInfo } from "../native.js";
import { readPrivateFile } from "./private-file.js";

export interface ServerKey {
  readonly private: PrivateKeyHandle;
  readonly public: PublicKeyInfo;
}

/** PROTOCOL: clients refuse a server key under 4096 bits. */
const bits = 4096;

export async function generateServerKey(policy: LockPolicy): Promise<ServerKey> {
  return withPublic(await native.generatePrivateKey(bits, policy));
}

/**
 * Loads a PKCS#8 PEM file that only its owner may read, encrypted if `password` is given. Throws a {@link ConfigurationError} that says what is
 * wrong; a new key is never made in place of one that does not load.
 */
export async function loadServerKey(
  file: string,
  password: BufferHandle | null,
  policy: LockPolicy,
): Promise<ServerKey> {
  const pem = await readPrivateFile("keyFile", file, policy);
  try {
    const key = withPublic(await native.importPrivateKey(pem, password, policy));
    if (key.public.bits < bits) {
      native.privateKeyDispose(key.private);
      throw wrong(file, `has ${key.public.bits} bits; clients want ${bits}`);
    }
    return key;
  } catch (error) {
    if (error instanceof Error && !(error instanceof ConfigurationError) && "code" in error)
      throw wrong(file, error.message);
    throw error;
  } finally {
    native.bufferDispose(pem);
  }
}

function withPublic(key: PrivateKeyHandle): ServerKey {
  return { private: key, public: native.publicKeyInfo(native.privateKeyPublic(key)) };
}

function wrong(file: string, what: string): ConfigurationError {
  return new ConfigurationError("keyFile", `The key file ${file} ${what}.`);
}
