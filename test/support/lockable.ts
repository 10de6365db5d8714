/** What the account that runs the tests may lock: often 8 MiB; root as much as there is. */
import { native } from "../../lib/native.js";

/** `most` where `bytes` can be locked at one time, else `less`: for a test that holds a text of that length. */
export function asLockable(bytes: number, most: number, less: number): number {
  return whyNotLockable(bytes) === "" ? most : less;
}

/** For the name of a test that holds `bytes` at one time: empty where they can be locked, else why it is left out. */
export function whyNotLockable(bytes: number): string {
  const limit = native.memoryInfo().lockLimitSoft;
  if (limit === null || limit >= bytes) return "";
  return ` (skipped: it locks ${bytes >> 20} MiB, of which this account may lock ${limit >> 20})`;
}
