import { MemoryProtectionError, NomyoError } from "../errors.js";

/** Calls `work`, and turns an error of the addon into one of this package's classes. A `TypeError` stays what it is. */
export function withMemoryErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code: unknown = error instanceof Error ? (error as { code?: unknown }).code : undefined;
    if (!(error instanceof Error) || error instanceof NomyoError || typeof code !== "string") throw error;
    if (code === "MEMORY_LOCK" || code === "OUT_OF_MEMORY") throw new MemoryProtectionError(error.message, code);
    throw new NomyoError(error.message, code);
  }
}
