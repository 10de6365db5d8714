// Takes the signature of a TPM quote apart, far enough to check it with any library: the yardstick for attestation verification is the
// signature check alone. Trusts its input (the test vectors), and knows RSA-2048 with RSASSA and P-256 with ECDSA.
import { createPublicKey } from "node:crypto";

/** A reader of the TPM's big-endian structures (TPM 2.0 Part 2). */
function reader(bytes) {
  let at = 0;
  const u16 = () => bytes.readUInt16BE((at += 2) - 2);
  const u32 = () => bytes.readUInt32BE((at += 4) - 4);
  const sized = () => bytes.subarray((at += 2), (at += bytes.readUInt16BE(at - 2)));
  return { u16, u32, sized };
}

const algorithm = { rsa: 0x0001, ecc: 0x0023, none: 0x0010 };

/** TPM2B_PUBLIC (12.2.5) as a public key. */
function aikPublicKey(bytes) {
  const area = reader(bytes.subarray(2));
  const type = area.u16();
  area.u16(); // nameAlg
  area.u32(); // objectAttributes
  area.sized(); // authPolicy
  if (area.u16() !== algorithm.none) throw new Error("An AIK has no symmetric algorithm.");
  if (area.u16() !== algorithm.none) area.u16();
  const key = (jwk) => createPublicKey({ key: jwk, format: "jwk" });
  if (type === algorithm.rsa) {
    area.u16(); // keyBits
    area.u32(); // exponent: 0 means 65537
    return key({ kty: "RSA", n: area.sized().toString("base64url"), e: "AQAB" });
  }
  area.u16(); // curve
  if (area.u16() !== algorithm.none) area.u16(); // kdf
  const coordinate = () =>
    Buffer.concat([Buffer.alloc(32), area.sized()])
      .subarray(-32)
      .toString("base64url");
  return key({ kty: "EC", crv: "P-256", x: coordinate(), y: coordinate() });
}

/** DER of an ECDSA signature (RFC 3279 2.2.3). */
function ecdsaDer(r, s) {
  const integer = (bytes) => {
    const trimmed = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
    const body = trimmed[0] & 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed;
    return Buffer.concat([Buffer.of(2, body.length), body]);
  };
  const body = Buffer.concat([integer(r), integer(s)]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** @returns {{pem: string, message: string, signature: string}} PEM of the AIK; the signed bytes and the signature in base64 */
export function quoteSignature({ quote_b64, signature_b64, aik_pubkey_b64 }) {
  const signature = reader(Buffer.from(signature_b64, "base64"));
  const isRsa = signature.u16() === 0x0014;
  signature.u16(); // hash
  const raw = isRsa ? signature.sized() : ecdsaDer(signature.sized(), signature.sized());
  const key = aikPublicKey(Buffer.from(aik_pubkey_b64, "base64"));
  return { pem: key.export({ type: "spki", format: "pem" }), message: quote_b64, signature: raw.toString("base64") };
}
