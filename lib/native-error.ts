/** The one place that turns an error of the addon into one of this package's classes. */
import { InvalidRequestError, MemoryProtectionError, NomyoError, SecurityError } from "./errors.js";
import type { NativeErrorCode } from "./native.js";

/**
 * What the addon was asked for. `"sealing"`: what is wrong is the caller's request, and it was not sent. `"opening"`:
 * everything else, since what is wrong with a package, a key or a buffer is never a request's fault.
 */
export type NativeContext = "sealing" | "opening";

type Make = (message: string, code: NativeErrorCode) => NomyoError;

// One sentence for everything that an attacker on the way could have caused: which check failed would help only them.
const NOT_OPENED =
  "The package could not be opened: it was changed on its way, was sealed for another key, or does not follow the " +
  "protocol. " +
  "Nothing of it was used.";

const plain: Make = (message, code) => new NomyoError(message, code);
const memory: Make = (message, code) => new MemoryProtectionError(message, code);
const security: Make = (message, code) => new SecurityError(message, code);
const notOpened: Make = (_message, code) => new SecurityError(NOT_OPENED, code);
/** As if the server had refused it. */
const request: Make = (message, code) => new InvalidRequestError(message, { code, sent: "no" });

const both = (make: Make): Readonly<Record<NativeContext, Make>> => ({ sealing: make, opening: make });

/** In the order of native/core/result.h; a test compares the two. */
const table: Readonly<Record<NativeErrorCode, Readonly<Record<NativeContext, Make>>>> = {
  INVALID_ARGUMENT: both(plain),
  MEMORY_LOCK: both(memory),
  OUT_OF_MEMORY: both(memory),
  DISPOSED: both(plain),
  VIEW_TAKEN: both(plain),
  CRYPTO_FAILURE: both(security),
  KEY_FORMAT: both(security),
  KEY_WEAK: both(security),
  KEY_PASSWORD: both(security),
  PACKAGE_FORMAT: both(notOpened),
  PACKAGE_ALGORITHM: both(notOpened),
  DECRYPT: both(notOpened),
  PLAINTEXT: both(notOpened),
  TOO_LARGE: { sealing: request, opening: security },
  INVALID_UTF8: { sealing: request, opening: plain },
  NOT_FOUND: both(plain),
  CANCELLED: both(plain),
  QUEUE_FULL: both(plain),
  UNSUPPORTED: both(plain),
  TSS_MISSING: both(plain),
  TPM_ERROR: both(plain),
};

/** Every code that the addon has. */
export const nativeErrorCodes: readonly string[] = Object.keys(table);

/** The code of an error of the addon; undefined for every other value, an error of this package's classes included. */
export function nativeCode(error: unknown): NativeErrorCode | undefined {
  // By shape, not by `instanceof Error`: code in a context of its own (node:vm, test runners) has another class Error
  // than the addon.
  if (typeof error !== "object" || error === null || error instanceof NomyoError) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && Object.hasOwn(table, code) ? (code as NativeErrorCode) : undefined;
}

/** The public error for one of the addon; anything else is returned as it is. */
export function fromNative(error: unknown, context: NativeContext): unknown {
  const code = nativeCode(error);
  return code === undefined ? error : table[code][context]((error as Error).message, code);
}

/** Calls `work`, and throws its errors as {@link fromNative} has them. */
export function withNativeErrors<T>(context: NativeContext, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fromNative(error, context);
  }
}
