/** Reading a file with a secret in it, straight into the pool. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { ConfigurationError } from "../errors.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { LockPolicy } from "../native.js";

/** A file with a thousand API keys is smaller. */
const maxBytes = 128 * 1024;

/**
 * The file's bytes. It must be readable by its owner only. `option` names what the file was given for in the
 * {@link ConfigurationError} that says what is wrong.
 */
export async function readPrivateFile(option: string, file: string, policy: LockPolicy): Promise<SecureBuffer> {
  const wrong = (what: string) => new ConfigurationError(option, `The file ${file} ${what}.`);
  let handle;
  try {
    // Without O_NONBLOCK opening a FIFO would wait for ever.
    handle = await open(file, constants.O_RDONLY | (process.platform === "win32" ? 0 : constants.O_NONBLOCK));
  } catch (error) {
    throw wrong(`cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw wrong("is not a regular file");
    // Windows has no such bits: Node reports what the read-only attribute gives.
    if (process.platform !== "win32" && (stat.mode & 0o077) !== 0) {
      throw wrong(`is open to others than its owner; run: chmod 600 '${file}'`);
    }
    if (stat.size === 0) throw wrong("is empty");
    if (stat.size > maxBytes) throw wrong(`is larger than ${maxBytes} bytes`);
    const bytes = Buffer.alloc(stat.size);
    try {
      const { bytesRead } = await handle.read(bytes, 0, stat.size, 0);
      if (bytesRead !== stat.size) throw wrong("changed while it was read");
      return SecureBuffer.from(bytes, policy);
    } finally {
      bytes.fill(0);
    }
  } finally {
    await handle.close();
  }
}
