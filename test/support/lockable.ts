/** What the account that runs the tests may lock: often 8 MiB; root as much as there is. */
import { native } from "../../lib/native.js";

/** For the name of a test that holds `bytes` at one time: empty where they can be locked, else why it is left out. */
export function whyNotLockable(bytes: number): string {
  const limit = native.memoryInfo().lockLimitSoft;
  if (limit === null || limit >= bytes) return "";
  return ` (skipped: it locks ${bytes >> 20} MiB, of which this account may lock ${limit >> 20})`;
}
