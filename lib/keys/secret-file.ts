/** A file with a secret in it, read straight into the pool. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { BigIntStats } from "node:fs";

import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";

/** A file with a secret in it, read into locked memory, and what the system says of it. */
export interface SecretFile {
  readonly bytes: SecureBuffer;
  readonly stat: BigIntStats;
}

/**
 * Reads a regular file straight into the pool, by read(2): no buffer of Node's is between. Synchronous.
 *
 * @param check - Sees what the system says of the open file (its name could mean another one a moment later) before it
 *   is read, and throws what is to be said of one that is refused.
 * @throws the system's error (`code`, `syscall`); {@link NotAFile} for a folder, a pipe or a device, without waiting
 *   for anything; the addon's `MEMORY_LOCK`.
 */
export function readSecretFile(path: string, locking: Locking, check: (stat: BigIntStats) => void): SecretFile {
  // Without O_NONBLOCK opening a FIFO would wait for ever.
  const file = openSync(path, constants.O_RDONLY | (process.platform === "win32" ? 0 : constants.O_NONBLOCK));
  try {
    const stat = fstatSync(file, { bigint: true });
    if (!stat.isFile()) throw new NotAFile(`${path} is not a regular file.`);
    check(stat);
    return { bytes: readAll(file, Number(stat.size), path, locking), stat };
  } finally {
    closeSync(file);
  }
}

/**
 * Whether others than its owner and root may read or change a file. What root:root has with mode 0440 they may not:
 * systemd gives a service its credentials (`LoadCredential=`) so, with an access list that names the service's account,
 * whose mask stands where the group's bits do.
 */
export function openToOthers({ mode, uid, gid }: Pick<BigIntStats, "mode" | "uid" | "gid">): boolean {
  // Windows has no such bits: Node reports what the read-only attribute gives.
  if (process.platform === "win32") return false;
  const others = mode & 0o077n;
  if (others === 0n) return false;
  // Where programs that are not root's are of its group, as in some containers, the group's bit opens the file to them.
  const rootAlone = process.getuid?.() === 0 || process.getgroups?.().includes(0) === false;
  return !((mode & 0o777n) === 0o440n && uid === 0n && gid === 0n && rootAlone);
}

/** Something else has this name, or it changed while it was read. */
export class NotAFile extends Error {}

function readAll(file: number, size: number, path: string, locking: Locking): SecureBuffer {
  const bytes = SecureBuffer.alloc(size, locking);
  let read = 0;
  try {
    bytes.use((view) => {
      for (let got = -1; read < size && got !== 0; read += got) got = readSync(file, view, read, size - read, null);
    });
    if (read < size) throw new NotAFile(`${path} changed while it was read. Try again.`);
    return bytes;
  } catch (error) {
    bytes.dispose();
    throw error;
  }
}
