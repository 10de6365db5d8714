/** How a secret can look in memory, as pieces of 16 bytes: a copy that is partly overwritten is found too. */
import { createCipheriv, createDecipheriv, pbkdf2Sync, type KeyObject } from "node:crypto";
import { aesKeySchedule } from "./aes-key-schedule.js";

const pieceBytes = 16;

/** All whole 16-byte pieces of `bytes`, in hex. */
function pieces(bytes: Buffer): string[] {
  const count = Math.floor(bytes.length / pieceBytes);
  return Array.from({ length: count }, (_, i) => bytes.toString("hex", i * pieceBytes, (i + 1) * pieceBytes));
}

const swappedWords = (bytes: Buffer, wordBytes: 4 | 8) => {
  const swapped = Buffer.from(bytes);
  return wordBytes === 4 ? swapped.swap32() : swapped.swap64();
};

/** A text as UTF-8 and as UTF-16, little-endian as V8 keeps it. */
export function textPatterns(name: string, text: string): Record<string, string[]> {
  return {
    [`${name} (UTF-8)`]: pieces(Buffer.from(text, "utf8")),
    [`${name} (UTF-16)`]: pieces(Buffer.from(text, "utf16le")),
  };
}

/**
 * An AES-256 key: the key, its schedule in the standard's byte order (as the AES instructions take it) and as host words (as portable C
 * keeps it), and GHASH's key H = AES(K, 0^128), from which tags are forged (SP 800-38D, 6.4), in both orders.
 */
export function aesKeyPatterns(name: string, key: Buffer): Record<string, string[]> {
  const schedule = aesKeySchedule(key);
  const h = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false).update(Buffer.alloc(16));
  return {
    [name]: [...pieces(key), ...pieces(swappedWords(key, 4))],
    [`${name}'s schedule`]: [...pieces(schedule.subarray(32)), ...pieces(swappedWords(schedule.subarray(32), 4))],
    [`${name}'s GHASH key`]: [...pieces(h), ...pieces(swappedWords(h, 8))],
  };
}

/** The private numbers of an RSA key (RFC 8017, A.1.2) as big-endian bytes and as little-endian limbs. */
export function rsaKeyPatterns(name: string, key: KeyObject): Record<string, string[]> {
  const jwk = key.export({ format: "jwk" });
  const patterns: Record<string, string[]> = {};
  for (const [number, value] of Object.entries({
    p: jwk.p,
    q: jwk.q,
    d: jwk.d,
    dP: jwk.dp,
    dQ: jwk.dq,
    qInv: jwk.qi,
  })) {
    const bigEndian = Buffer.from(value!, "base64url");
    patterns[`${name}'s ${number} (bytes)`] = pieces(bigEndian);
    patterns[`${name}'s ${number} (limbs)`] = pieces(Buffer.from(bigEndian).reverse());
  }
  return patterns;
}

/**
 * The keystream of AES-256-GCM for the first and last `blocks` blocks of a text (SP 800-38D, 6.5), and the block that masks the tag: with
 * the ciphertext, which is public, each of them is 16 bytes of plaintext.
 */
export function keystreamPatterns(
  name: string,
  { key, nonce, bytes }: { readonly key: Buffer; readonly nonce: Buffer; readonly bytes: number },
  blocks = 64,
): Record<string, string[]> {
  const counter = Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]);
  const stream = createCipheriv("aes-256-ctr", key, counter).update(Buffer.alloc(16 + Math.ceil(bytes / 16) * 16));
  const ends = [stream.subarray(0, 16 * (1 + blocks)), stream.subarray(-16 * blocks)];
  return { [`${name}'s keystream`]: ends.flatMap(pieces) };
}

/**
 * The AES key that a password-protected key file is encrypted with (RFC 8018: PBES2, PBKDF2-HMAC-SHA-256, AES-256-CBC). Its schedule
 * must not be left behind either: the file is often easier to get than the password.
 */
export function keyFileKey(pem: string, password: string): Buffer {
  const der = Buffer.from(pem.replace(/-----.*-----|\s/g, ""), "base64");
  /** The contents of the DER value that starts `skip` bytes after the end of `oid`. */
  const after = (oid: string, skip: number): Buffer => {
    const at = der.indexOf(Buffer.from(oid, "hex")) + oid.length / 2 + skip;
    return der.subarray(at + 2, at + 2 + der[at + 1]!);
  };
  const pbkdf2 = "2a864886f70d01050c";
  const salt = after(pbkdf2, 2);
  const iterations = after(pbkdf2, 2 + 2 + salt.length).readUIntBE(0, after(pbkdf2, 4 + salt.length).length);
  const key = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  // The ciphertext ends the file. That it decrypts says that the key is the right one.
  const iv = after("60864801650304012a", 0);
  const start = der.indexOf(iv) + iv.length + 4;
  const decipher = createDecipheriv("aes-256-cbc", key, iv);
  const plain = Buffer.concat([decipher.update(der.subarray(start)), decipher.final()]);
  if (plain[0] !== 0x30) throw new Error("the key file was not understood");
  return key;
}
