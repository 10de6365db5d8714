/** Reading a file with a secret in it, straight into the pool. */
import { accessAdvice } from "../keys/access-advice.js";
import { NotAFile, openToOthers, readSecretFile } from "../keys/secret-file.js";
import { ConfigurationError } from "../errors.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { systemReason } from "../system-reason.js";

/** A file with a thousand API keys is smaller. */
const MAX_BYTES = 128 * 1024;

/**
 * The file's bytes. It must be readable by its owner only. `option` names what the file was given for in the
 * {@link ConfigurationError} that says what is wrong.
 */
export function readPrivateFile(
  option: string,
  file: string,
  locking: Locking,
  mostBytes: number = MAX_BYTES,
): SecureBuffer {
  const wrong = (what: string) => new ConfigurationError(option, `The file ${file} ${what}.`);
  try {
    const { bytes } = readSecretFile(file, locking, ({ mode, uid, gid, size }) => {
      if (openToOthers({ mode, uid, gid })) {
        throw wrong(`is open to others than its owner. ${accessAdvice(file, "chmod 600")}`);
      }
      if (size === 0n) throw wrong("is empty");
      if (size > BigInt(mostBytes)) throw wrong(`is larger than ${mostBytes} bytes`);
    });
    return bytes;
  } catch (error) {
    if (error instanceof NotAFile) throw new ConfigurationError(option, error.message);
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw wrong(`cannot be read (${systemReason(error)})`);
    throw error;
  }
}
