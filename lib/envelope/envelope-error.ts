import { InvalidRequestError, MemoryProtectionError, NomyoError, SecurityError } from "../errors.js";
import type { NativeErrorCode } from "../native.js";

// One sentence for everything that an attacker on the way could have caused: which check failed would help only them.
const NOT_OPENED =
  "The package could not be opened: it was changed on its way, was sealed for another key, or does not follow the protocol. " +
  "Nothing of it was used.";

// Not by `instanceof Error`: under vm contexts (test runners) the addon's errors are of another realm.
function nativeCode(error: unknown): NativeErrorCode | undefined {
  if (typeof error !== "object" || error === null || error instanceof NomyoError) return undefined;
  return (error as { code?: NativeErrorCode }).code;
}

/** What is the same for both directions; an error that is not the addon's is returned as it is. */
function fromNative(error: unknown, code: NativeErrorCode | undefined): unknown {
  const message = code === undefined ? "" : (error as Error).message;
  switch (code) {
    case "MEMORY_LOCK":
    case "OUT_OF_MEMORY":
      return new MemoryProtectionError(message, code);
    case "CRYPTO_FAILURE":
      return new SecurityError(message, code);
    case "DISPOSED":
    case "VIEW_TAKEN":
    case "QUEUE_FULL":
    case "CANCELLED":
    case "NOT_FOUND":
    case "INVALID_ARGUMENT":
    case "INVALID_UTF8":
    case "UNSUPPORTED":
      return new NomyoError(message, code);
    default:
      return error;
  }
}

/**
 * The public error for one that sealing gave. Too large a request, or a `SecureBuffer` that is not UTF-8, is an
 * {@link InvalidRequestError} with `sent: "no"`, as if the server had refused it.
 */
export function sealError(error: unknown): unknown {
  const code = nativeCode(error);
  if (code === "TOO_LARGE" || code === "INVALID_UTF8") {
    return new InvalidRequestError((error as Error).message, { code, sent: "no" });
  }
  return fromNative(error, code);
}

/** The public error for one that opening gave: a {@link SecurityError} with one message for all that is wrong with a package. */
export function openError(error: unknown): unknown {
  const code = nativeCode(error);
  switch (code) {
    case "DECRYPT":
    case "PACKAGE_FORMAT":
    case "PACKAGE_ALGORITHM":
    case "PLAINTEXT":
      return new SecurityError(NOT_OPENED, code);
    case "TOO_LARGE":
      return new SecurityError((error as Error).message, code);
    default:
      return fromNative(error, code);
  }
}
