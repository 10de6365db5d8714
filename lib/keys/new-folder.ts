/** A folder, and those above it, made where they are missing. */
import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { asSystemSays } from "../system-reason.js";

/**
 * As Node's own `mkdirSync` with `recursive`, which makes attempts without an end where the system says ENOENT of a
 * name whose folder is there: below /proc.
 *
 * @param mode - Of each folder that is made.
 * @returns the first one that was made, the highest; undefined when all were there.
 * @throws the system's error (`code`, `syscall`): `ENOTDIR` where something else has one of the names.
 */
export function makeFolder(path: string, mode: number): string | undefined {
  const whole = resolve(path);
  if (isFolder(whole)) return undefined;
  const parent = dirname(whole);
  const first = parent === whole ? undefined : makeFolder(parent, mode);
  try {
    mkdirSync(whole, { mode });
  } catch (error) {
    // Another process may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code === "EEXIST" && isFolder(whole)) return first;
    throw error;
  }
  return first ?? whole;
}

/** Throws `ENOTDIR` where something else has this name. */
function isFolder(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isDirectory()) return found !== undefined;
  throw asSystemSays("ENOTDIR", "mkdir", `${path} is no folder.`);
}
