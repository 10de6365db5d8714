/** How this process's secrets are protected, and what can be done about it. */
import { native } from "../native.js";
import type { Locking, MemoryInfo } from "../native.js";
import { withNativeErrors } from "../native-error.js";

/** How this process's secrets are protected at the moment, in numbers that are exact. */
export interface MemoryProtectionInfo extends MemoryInfo {
  /**
   * The strictest locking that everything so far has met: `"preferred"` once something under it had to go on in memory
   * that is not locked. (What was asked for under `"off"` does not count.)
   */
  readonly lockingMet: "required" | "preferred";
  /** The OpenSSL that does the cryptography, the addon's own. */
  readonly opensslVersion: string;
}

/** The addon's own account of its memory. */
export function memoryInfo(): MemoryInfo {
  return native.memoryInfo();
}

/** A part of {@link memoryInfo}, without reading the rest from the system. */
export function memorySetbacks(): Pick<MemoryInfo, "degraded" | "weakerBecause"> {
  return native.memorySetbacks();
}

/** Whether the pool can give so many bytes; throws a `MemoryProtectionError` with the limit and how to raise it. */
export function probeMemory(bytes: number, locking: Locking): void {
  withNativeErrors("opening", () => {
    native.memoryProbe(bytes, locking);
  });
}

/**
 * What protects the secrets of this process: of all its clients, on all its threads. Cheap enough for a health check.
 */
export function getMemoryProtectionInfo(): MemoryProtectionInfo {
  const info = native.memoryInfo();
  return {
    ...info,
    lockingMet: info.degraded || info.mechanism === "none" ? "preferred" : "required",
    opensslVersion: native.getBuildInfo().opensslVersion,
  };
}

/**
 * Turns this process's core dumps off and, on Linux, makes it not dumpable: other processes of the account can then not
 * attach to it or read its memory. That includes debuggers and profilers, so it is opt-in. It cannot be undone. Throws
 * a `NomyoError` with the code `UNSUPPORTED` where there is no such thing.
 */
export function hardenProcess(): void {
  withNativeErrors("opening", () => {
    native.hardenProcess();
  });
}
