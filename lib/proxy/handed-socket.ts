/** A listening socket that was handed down to this process: where its file is. */
import { readFileSync, readlinkSync } from "node:fs";

/**
 * The path of the Unix socket `fd`, which Node does not tell of one that it has not bound. Undefined for one without a
 * file: an abstract socket has no mode, so that everyone on this machine can connect. Also where Linux' `/proc` does
 * not say.
 */
export function unixPathOf(fd: number): string | undefined {
  try {
    const link = readlinkSync(`/proc/self/fd/${fd}`);
    if (!link.startsWith("socket:[")) return undefined;
    const inode = link.slice("socket:[".length, -1);
    for (const line of readFileSync("/proc/net/unix", "utf8").split("\n")) {
      // Num RefCount Protocol Flags Type St Inode Path
      if (line.split(" ").filter((part) => part !== "")[6] !== inode) continue;
      const path = line.slice(line.indexOf(` ${inode} `) + inode.length + 2);
      return path.startsWith("/") ? path : undefined;
    }
    return undefined;
  } catch {
    // No /proc: nothing is known of it, and so it is not taken.
    return undefined;
  }
}
