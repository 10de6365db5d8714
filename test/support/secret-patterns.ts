/** How a secret can look in memory, as pieces of 16 bytes: a copy that is partly overwritten is found too. */
import { createCipheriv, type KeyObject } from "node:crypto";
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
