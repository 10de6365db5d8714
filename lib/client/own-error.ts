/** A copy of an error for each of those who share what failed. */
import { AttestationError } from "../attestation/attestation-error.js";
import { APIError, ConfigurationError, MemoryProtectionError, NomyoError, SecurityError } from "../errors.js";
import type { APIErrorInit } from "../errors.js";

/**
 * An error for one caller, made from one that several share: those who wait for the same fetch of a key fail together,
 * and each writes his own `sent` and payload id into what he throws. Anything but a `NomyoError` is returned as it is,
 * since nothing is written into it.
 */
export function ownError(shared: unknown): unknown {
  if (!(shared instanceof NomyoError)) return shared;
  const own = again(shared);
  if (shared.stack !== undefined) own.stack = shared.stack;
  if (shared.sent !== undefined) own.sent = shared.sent;
  if (shared.payloadId !== undefined) own.payloadId = shared.payloadId;
  return own;
}

function again(error: NomyoError): NomyoError {
  const { message, code } = error;
  const cause = error.cause === undefined ? undefined : { cause: error.cause };
  if (error instanceof APIError) {
    const { statusCode, headers, errorDetails } = error;
    const Class = error.constructor as new (message: string, init: APIErrorInit) => APIError;
    // Of JSON: what one caller does with it is not seen by another.
    return new Class(message, { statusCode, headers, errorDetails: structuredClone(errorDetails), code, ...cause });
  }
  if (error instanceof AttestationError) return new AttestationError(message, code, error.report);
  if (error instanceof MemoryProtectionError) return new MemoryProtectionError(message, code);
  if (error instanceof SecurityError) return new SecurityError(message, code, cause);
  if (error instanceof ConfigurationError) return new ConfigurationError(error.option, message);
  return new NomyoError(message, code, cause);
}
