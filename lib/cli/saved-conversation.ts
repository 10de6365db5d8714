/** A conversation as a file, because its user asks for one: it leaves the pool for good. */
import { closeSync, constants, ftruncateSync, openSync, unlinkSync, writeSync } from "node:fs";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { systemReason } from "../system-reason.js";
import { UsageError } from "./exit-code.js";

export interface SaidTurn {
  readonly role: string;
  readonly content: string | SecureBuffer;
}

/**
 * Writes the turns to a new file that only its owner may read (mode 0600): Markdown, a heading for each turn. Nothing
 * is ever replaced. The bytes go from the pool to write(2). What cannot be written whole is emptied and removed again.
 */
export function saveConversation(path: string, turns: readonly SaidTurn[]): void {
  let fd: number;
  try {
    // O_EXCL follows no link either.
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  } catch (error) {
    throw notSaved(path, error);
  }
  try {
    for (const { role, content } of turns) {
      write(fd, Buffer.from(`## ${role}\n\n`));
      if (content instanceof SecureBuffer) content.use((bytes) => write(fd, bytes));
      else write(fd, Buffer.from(content));
      write(fd, Buffer.from("\n\n"));
    }
  } catch (error) {
    throw takenBack(path, fd, error) ?? notSaved(path, error);
  } finally {
    closeSync(fd);
  }
}

/** Empties the file, whatever its name is by now, and removes it; gives what is to be said where one of these fails. */
function takenBack(path: string, fd: number, why: unknown): UsageError | undefined {
  const left = `${path} was written in part (${systemReason(why)})`;
  let isEmpty = true;
  try {
    ftruncateSync(fd, 0);
  } catch {
    isEmpty = false;
  }
  try {
    unlinkSync(path);
  } catch (error) {
    const reason = systemReason(error);
    return new UsageError(
      isEmpty
        ? `${left}; it was emptied again, and holds nothing of what was said, but could not be removed (${reason}): ` +
            "delete it."
        : `${left}, and could be neither emptied nor removed (${reason}): what is in it is plaintext; delete it.`,
    );
  }
  if (isEmpty) return undefined;
  return new UsageError(
    `${left}. Its name is removed; what had been written, plaintext, could not be cleared from the disk first.`,
  );
}

function write(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

function notSaved(path: string, error: unknown): UsageError {
  const { code } = error as NodeJS.ErrnoException;
  return new UsageError(
    code === "EEXIST"
      ? `There is a file ${path} already, and none is replaced: choose another name.`
      : `${path} cannot be written (${systemReason(error)}).`,
  );
}
