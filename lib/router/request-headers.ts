/** What the headers of a secure completion say, checked before a byte of the body is read. */
import type { IncomingHttpHeaders } from "node:http";
import { PublicKey } from "../keys/public-key.js";
import { Refusal } from "../http/refusal.js";
import { isSecurityTier, securityTiers } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";

export interface SecureRequestHeaders {
  readonly payloadId: string;
  /** The caller's to dispose of. */
  readonly clientKey: PublicKey;
  /** PEM SubjectPublicKeyInfo, as the addon writes it, whatever form the header had. */
  readonly clientPem: string;
  /** `standard` when the client named none. */
  readonly tier: SecurityTier;
}

/**
 * A UUID with a commitment has 80 characters; ids of other clients may be longer, but have no reason to be longer than
 * this.
 */
const MAX_PAYLOAD_ID_LENGTH = 128;
/** An RSA-4096 key's PEM has 800 characters; other line lengths and line ends make it longer. */
const MAX_PEM_LENGTH = 2048;
/** PROTOCOL: a client key under 2048 bits is refused. */
const MIN_CLIENT_KEY_BITS = 2048;
/**
 * PROTOCOL: a client's key has 4096 bits. Sealing to it is work on the JavaScript thread, for everyone, and grows with
 * its square.
 */
const MAX_CLIENT_KEY_BITS = 4096;

/** Throws a 400 for anything that is missing or wrong. */
export function readRequestHeaders(headers: IncomingHttpHeaders): SecureRequestHeaders {
  const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/octet-stream") {
    throw new Refusal(400, "Content-Type must be application/octet-stream.");
  }
  if ((headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") {
    throw new Refusal(400, "Content-Encoding is not supported: send the package as it is.");
  }
  const payloadId = one(headers["x-payload-id"]);
  if (payloadId === undefined || !isPayloadId(payloadId)) {
    throw new Refusal(
      400,
      "X-Payload-ID must be one identifier, such as a UUID: up to 128 letters, digits and - . _ ~ :",
    );
  }
  const tier = one(headers["x-security-tier"]) ?? "standard";
  if (!isSecurityTier(tier)) throw new Refusal(400, `X-Security-Tier must be one of ${securityTiers.join(", ")}.`);
  const clientKey = readClientKey(one(headers["x-public-key"]));
  return { payloadId, tier, clientKey, clientPem: clientKey.info().pem };
}

function readClientKey(header: string | undefined): PublicKey {
  if (header === undefined) throw new Refusal(400, "X-Public-Key is missing.");
  let pem: string;
  try {
    pem = decodeURIComponent(header);
  } catch {
    throw new Refusal(400, "X-Public-Key is not percent-encoded text.");
  }
  if (pem.length > MAX_PEM_LENGTH) throw new Refusal(400, "X-Public-Key is too long for an RSA public key.");
  try {
    return PublicKey.fromPem(pem, MIN_CLIENT_KEY_BITS, MAX_CLIENT_KEY_BITS);
  } catch (error) {
    const unfit = (error as { code?: unknown }).code === "KEY_WEAK";
    throw new Refusal(
      400,
      unfit
        ? `X-Public-Key is too weak or too costly: an RSA key of ${MIN_CLIENT_KEY_BITS} to ${MAX_CLIENT_KEY_BITS} ` +
            "bits with a public exponent of " +
            "32 bits at most is needed."
        : "X-Public-Key is not the PEM SubjectPublicKeyInfo of an RSA key, percent-encoded.",
    );
  }
}

/** Node joins repeated headers with a comma or gives a list; both are refused by the checks above, a list here. */
function one(value: string | string[] | undefined): string | undefined {
  if (Array.isArray(value)) throw new Refusal(400, "A header of the request was sent more than once.");
  return value;
}

/** Letters, digits and - . _ ~ : after a letter or digit. */
function isPayloadId(text: string): boolean {
  if (text === "" || text.length > MAX_PAYLOAD_ID_LENGTH) return false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    const isAlphanumeric = (char >= "a" && char <= "z") || (char >= "A" && char <= "Z") || (char >= "0" && char <= "9");
    if (!isAlphanumeric && (at === 0 || !"._~:-".includes(char))) return false;
  }
  return true;
}
