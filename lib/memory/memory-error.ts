import { types } from "node:util";
import { MemoryProtectionError, NomyoError } from "../errors.js";

/** Calls `work`, and turns an error of the addon into one of this package's classes. A `TypeError` stays what it is. */
export function withMemoryErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    // Not instanceof: the addon's errors are those of the realm that loaded it, which need not be the caller's (node:vm).
    if (!types.isNativeError(error) || error instanceof NomyoError) throw error;
    const { code } = error as { code?: unknown };
    if (typeof code !== "string") throw error;
    if (code === "MEMORY_LOCK" || code === "OUT_OF_MEMORY") throw new MemoryProtectionError(error.message, code);
    throw new NomyoError(error.message, code);
  }
}
