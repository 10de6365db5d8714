/** The file with the key of plaintexts' digests. */
import { DigestKey } from "../envelope/digest.js";
import { ConfigurationError } from "../errors.js";
import { accessAdvice } from "../keys/access-advice.js";
import { NotAFile, openToOthers, readSecretFile } from "../keys/secret-file.js";
import type { Locking } from "../native.js";
import { systemReason } from "../system-reason.js";

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
        throw wrong(`is open to others than its owner. ${accessAdvice(path, "chmod 600")}.`);
      }
      if (size < BigInt(LEAST_BYTES) || size > BigInt(MOST_BYTES)) {
        throw wrong(`must have ${LEAST_BYTES} to ${MOST_BYTES} bytes. Make one: openssl rand -hex 32 > '${path}'`);
      }
    });
    return new DigestKey(bytes, locking);
  } catch (error) {
    if (error instanceof NotAFile) throw new ConfigurationError(option, error.message);
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw wrong(`cannot be read (${systemReason(error)}).`);
    throw error;
  }
}
