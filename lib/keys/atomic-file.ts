/** Files that are there whole or not at all. */
import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { nodeCrypto } from "../builtins.js";

/**
 * Writes a file so that it is there whole or not at all, and has its final mode from its first moment: a new file
 * (`O_EXCL`) beside it is written, flushed, and takes its name. A symbolic link stays, and what it points to is
 * replaced. The content never passes through memory of this function's own. A crash may leave the new file beside: see
 * {@link removeLeftovers}.
 *
 * @param replace - `false`: an existing file stays and the error has the code `EEXIST`.
 */
export function writeFileAtomically(path: string, content: Uint8Array, mode: number, replace: boolean): void {
  if (replace && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) path = realpathSync(path);
  const temporary = join(dirname(path), `.${basename(path)}.${nodeCrypto().randomBytes(8).toString("hex")}`);
  const file = openSync(temporary, "wx", mode);
  try {
    try {
      for (let at = 0; at < content.byteLength;) at += writeSync(file, content, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // A link, unlike a rename, fails when the name is taken: two processes that start together cannot overwrite each
    // other's key.
    if (replace) renameSync(temporary, path);
    else linkSync(temporary, path);
  } catch (error) {
    unlinkSync(temporary);
    throw error;
  }
  if (!replace) unlinkSync(temporary);
  syncFolder(dirname(path));
}

/**
 * Removes what {@link writeFileAtomically} left beside `path` when it did not come to its end. Only for whoever knows
 * that no other process is writing this file: under its lock.
 */
export function removeLeftovers(path: string): void {
  const beginning = `.${basename(path)}.`;
  for (const name of readdirSync(dirname(path))) {
    if (name.length !== beginning.length + 16 || !name.startsWith(beginning)) continue;
    if (/^[0-9a-f]+$/.test(name.slice(beginning.length))) unlinkSync(join(dirname(path), name));
  }
}

/** The new name is on the disk only when its folder is. Windows cannot open folders and does this itself. */
export function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
