/** `_metadata` of an answer: what the server says is checked, and what only this client can know is put over it. */
import { SecurityError } from "../errors.js";
import type { AttestationReport } from "../attestation/report.js";
import type { OpenedPackage } from "../envelope/open.js";
import type { AnswerMetadata } from "./chat-types.js";
import { isAtLeast, isSecurityTier } from "./security-tier.js";
import type { SecurityTier } from "./security-tier.js";

/** The one form of package there is (PROTOCOL section 2). */
const ENCRYPTION_ALGORITHM = "hybrid-aes256-rsa4096";

/**
 * The longest `_metadata`, in bytes of JSON. A block of 16 banks with 24 PCRs each and its certificates has some
 * 90 KiB, and a verifier takes no block over 256 KiB (docs/attestation.md).
 */
export const MAX_METADATA_BYTES = 256 * 1024;

/**
 * What an opened answer has as `_metadata`; undefined when it has none. Throws a `SecurityError` over
 * {@link MAX_METADATA_BYTES}: the server alone decides what is in there, nobody asked for it as a value, and many small
 * values take many times their text. That is seen before the first of them is made.
 */
export function readServerMetadata(opened: OpenedPackage): unknown {
  try {
    return opened.find("/_metadata", MAX_METADATA_BYTES);
  } catch (error) {
    if (!(error instanceof SecurityError) || error.code !== "TOO_LARGE") throw error;
    throw new SecurityError(
      `The answer's \`_metadata\` has more than ${MAX_METADATA_BYTES} bytes. Nothing of it was used.`,
      "METADATA",
    );
  }
}

/**
 * What the server put into `_metadata`, as an object.
 *
 * Throws a `SecurityError` when the server itself says that the answer is for another request, or was made at a lower
 * tier than the one that was asked for; and when `_metadata` is no object.
 *
 * @param askedTier - undefined when the request named none: then whatever the server says is right.
 */
export function checkServerMetadata(
  value: unknown,
  payloadId: string,
  askedTier?: SecurityTier,
): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new SecurityError("The answer's `_metadata` is not an object. Nothing of it was used.", "METADATA");
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const stated = fields["payload_id"];
  if (stated !== undefined && stated !== null && stated !== payloadId) {
    throw new SecurityError(
      "The server's answer belongs to another request: it was mixed up, or played back. Nothing of it was used.",
      "PAYLOAD_ID",
    );
  }
  if (askedTier !== undefined) checkTier(fields["security_tier"], askedTier);
  return fields;
}

/**
 * A tier that is not stated is not known to be lower. One that is none of the three cannot be compared, and is refused.
 */
function checkTier(stated: unknown, asked: SecurityTier): void {
  if (stated === undefined || stated === null) return;
  if (isSecurityTier(stated) && isAtLeast(stated, asked)) return;
  throw new SecurityError(
    `The request asked for the security tier "${asked}", and the server says that its answer was made at ` +
      `${isSecurityTier(stated) ? `"${stated}"` : "a tier that is not known"}. Nothing of it was used.`,
    "SECURITY_TIER",
  );
}

/** `_metadata` as the caller gets it: what only this client can know, over what the server said. */
export function completeMetadata(
  server: Readonly<Record<string, unknown>>,
  payloadId: string,
  processedAt: number | undefined,
  report: AttestationReport | undefined,
): AnswerMetadata {
  // A report under this name that came from the server would be its own verdict about itself.
  const { attestation_report: _forged, ...rest } = server;
  return {
    ...rest,
    payload_id: payloadId,
    ...(processedAt === undefined ? {} : { processed_at: processedAt }),
    is_encrypted: true,
    encryption_algorithm: ENCRYPTION_ALGORITHM,
    ...(report === undefined ? {} : { attestation_report: report }),
  };
}
