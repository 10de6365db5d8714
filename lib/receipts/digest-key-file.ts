/** The file with the key of plaintexts' digests. */
import { DigestKey } from "../envelope/digest.js";
import { ConfigurationError } from "../errors.js";
import { NotAFile, openToOthers, readSecretFile } from "../keys/secret-file.js";
import type { Locking } from "../native.js";

const LEAST_BYTES = 32;
const MOST_BYTES = 1024;

/**
 * Reads the key straight into the pool. All its bytes count, also a line's end. Throws a `ConfigurationError` that
 * names `option`.
 */
export function readDigestKey(path: string, option: string, locking: Locking): DigestKey {
  const wrong = (what: string) => new ConfigurationError(option, `The digest key ${path} ${what}`);
  try {
    const { bytes } = readSecretFile(path, locking, ({ mode, uid, gid, size }) => {
      if (openToOthers({ mode, uid, gid })) {
        throw wrong(`is open to others than its owner; run: chmod 600 '${path}'`);
      }
      if (size < BigInt(LEAST_BYTES) || size > BigInt(MOST_BYTES)) {
        throw wrong(`must have ${LEAST_BYTES} to ${MOST_BYTES} bytes. Make one: openssl rand -hex 32 > '${path}'`);
      }
    });
    return new DigestKey(bytes, locking);
  } catch (error) {
    if (error instanceof NotAFile) throw new ConfigurationError(option, error.message);
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== undefined) throw wrong(`cannot be read (${code ?? "unknown error"}).`);
    throw error;
  }
}
