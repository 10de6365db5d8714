/**
 * The relay binding: a payload id `<uuid>.<base64url(SHA-256(server SPKI ‖ client SPKI))>` commits to both keys, and
 * the quote's nonce is a hash of the payload id, so the quote covers them too.
 */
import { keyCommitment } from "../attestation/qualifying-data.js";
import { Refusal } from "../http/refusal.js";

/** What `_metadata.payload_binding` says. */
export type PayloadBinding = "verified" | "none";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/**
 * Checks the commitment of a payload id, if it carries one: a UUID followed by a dot. Throws a 400 when it does not
 * match the keys: the client sealed to another key than this server's, or somebody put another client key beside the
 * request.
 *
 * `serverPem` and `clientPem` are PEM SubjectPublicKeyInfo, as the addon writes them.
 */
export function checkPayloadBinding(payloadId: string, serverPem: string, clientPem: string): PayloadBinding {
  const prefix = uuid.exec(payloadId)?.[0];
  if (prefix === undefined || payloadId[prefix.length] !== ".") return "none";
  if (payloadId.slice(prefix.length + 1) !== keyCommitment(serverPem, clientPem)) {
    throw new Refusal(
      400,
      "The commitment in X-Payload-ID is not to this server's key and the key in X-Public-Key. Fetch /pki/public_key " +
        "again.",
    );
  }
  return "verified";
}
