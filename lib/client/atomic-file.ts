import { closeSync, fsyncSync, linkSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { nodeCrypto } from "../builtins.js";

/**
 * Writes a file so that it is there whole or not at all, and has its final mode from its first moment: a new file (`O_EXCL`) beside it
 * is written, flushed, and takes its name. The content never passes through memory of this function's own.
 *
 * @param replace - `false`: an existing file stays and the error has the code `EEXIST`.
 */
export function writeFileAtomically(path: string, content: Uint8Array, mode: number, replace: boolean): void {
  const temporary = join(dirname(path), `.${basename(path)}.${nodeCrypto().randomBytes(8).toString("hex")}`);
  const file = openSync(temporary, "wx", mode);
  try {
    try {
      for (let at = 0; at < content.byteLength;) at += writeSync(file, content, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // A link, unlike a rename, fails when the name is taken: two processes that start together cannot overwrite each other's key.
    if (replace) renameSync(temporary, path);
    else linkSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  if (!replace) unlinkSync(temporary);
  syncFolder(dirname(path));
}

/** The new name is on the disk only when its folder is. Windows cannot open folders and does this itself. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
