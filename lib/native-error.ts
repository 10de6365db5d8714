import { InvalidRequestError, MemoryProtectionError, NomyoError, SecurityError } from "./errors.js";
import type { NativeErrorCode } from "./native.js";

const tampered =
  "The server's answer could not be opened: it was changed on its way, was sealed for another key, or does not follow the protocol. " +
  "Nothing of it was used.";

/**
 * The public error for one of the addon. All failures of decryption have one message: their differences would help only an attacker.
 * Anything that is not an error of the addon is returned as it is.
 */
export function fromNative(error: unknown): unknown {
  if (typeof error !== "object" || error === null || error instanceof NomyoError) return error;
  // By shape: code that runs in a context of its own (node:vm, test runners) has another class Error than the addon.
  const { code, message } = error as { code?: NativeErrorCode; message: string };
  switch (code) {
    case "DECRYPT":
    case "PACKAGE_FORMAT":
    case "PACKAGE_ALGORITHM":
    case "PLAINTEXT":
      return new SecurityError(tampered, code);
    case "MEMORY_LOCK":
    case "OUT_OF_MEMORY":
      return new MemoryProtectionError(message, code);
    case "KEY_FORMAT":
    case "KEY_WEAK":
    case "KEY_PASSWORD":
    case "CRYPTO_FAILURE":
      return new SecurityError(message, code);
    case "TOO_LARGE":
    case "INVALID_UTF8":
      return new InvalidRequestError(message, { code, sent: "no" });
    case "QUEUE_FULL":
    case "CANCELLED":
    case "DISPOSED":
    case "VIEW_TAKEN":
      return new NomyoError(message, code);
    default:
      return error;
  }
}
