/** From a payload id to the qualifying data of its quote, and the payload ids that commit to the keys of both sides. */
import { nodeCrypto } from "../builtins.js";

/** `SHA-256(payload id as UTF-8)[:16]`: what the quote of the answer to this request must carry (16 bytes). */
export function qualifyingDataOf(payloadId: string): Uint8Array {
  return nodeCrypto().createHash("sha256").update(payloadId, "utf8").digest().subarray(0, 16);
}

/**
 * The relay binding's commitment: `base64url(SHA-256(server SPKI DER ‖ client SPKI DER))`, 43 characters, no padding.
 * Both keys are PEM SubjectPublicKeyInfo (RFC 7468 section 13). See docs/attestation.md for what it adds and what it
 * does not.
 */
export function keyCommitment(serverKeyPem: string, clientKeyPem: string): string {
  const { createHash, createPublicKey } = nodeCrypto();
  const hash = createHash("sha256");
  for (const pem of [serverKeyPem, clientKeyPem]) {
    hash.update(createPublicKey(pem).export({ type: "spki", format: "der" }));
  }
  return hash.digest("base64url");
}

/** A payload id that commits to both keys: `<uuid>.<commitment>`. */
export function boundPayloadId(uuid: string, serverKeyPem: string, clientKeyPem: string): string {
  return `${uuid}.${keyCommitment(serverKeyPem, clientKeyPem)}`;
}

/** Whether a payload id has the form of {@link boundPayloadId}; the commitment itself is not checked. */
export function isBoundPayloadId(payloadId: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[A-Za-z0-9_-]{43}$/i.test(payloadId);
}
