/** How a secret can look in memory. A copy that is partly overwritten is found too: any fragment is a hit. */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { aesKeySchedule } from "./aes-key-schedule.js";
import type { Pattern } from "./memory-scan.js";

/** Any 12 bytes of a value are a find. */
const whole = (bytes: Buffer): Pattern => ({ bytes, fragment: 12 });

/**
 * A text of about `bytes` bytes that is random throughout, so that any fragment of it is known again: lines of
 * base64url, 43 characters each (256 bits). With `escapes`, there are quotes, backslashes and, with it, an arrow
 * between them, which JSON and V8 keep in other forms.
 */
export function secretText(bytes: number, escapes: "none" | "ascii" | "unicode" = "none"): string {
  const between = { none: "", ascii: '"\n\\', unicode: '"\n→' }[escapes];
  const lines = Math.max(1, Math.ceil(bytes / (43 + Buffer.byteLength(between))));
  return Array.from({ length: lines }, () => randomBytes(32).toString("base64url")).join(between);
}

const swappedWords = (bytes: Buffer, wordBytes: 4 | 8) => {
  const swapped = Buffer.from(bytes);
  return wordBytes === 4 ? swapped.swap32() : swapped.swap64();
};

/** A text as UTF-8 and as UTF-16, little-endian as V8 keeps it. */
export function textPatterns(name: string, text: string): Record<string, Pattern[]> {
  return {
    [`${name} (UTF-8)`]: [whole(Buffer.from(text, "utf8"))],
    // Twelve characters here too: six would be found by chance.
    [`${name} (UTF-16)`]: [{ bytes: Buffer.from(text, "utf16le"), fragment: 24 }],
  };
}

/**
 * The first and the last 64 KiB of a long text, and 4 KiB of each 64 KiB between: whatever holds a buffer of it is
 * found, in a tenth of the time.
 */
export function samplePatterns(name: string, text: string): Record<string, Pattern[]> {
  const part = 65_536;
  const samples = [text.slice(0, part), text.slice(-part)];
  for (let at = part; at + part < text.length; at += part) samples.push(text.slice(at, at + 4096));
  const patterns: Record<string, Pattern[]> = {};
  for (const sample of samples) {
    for (const [kind, list] of Object.entries(textPatterns(name, sample))) (patterns[kind] ??= []).push(...list);
  }
  return patterns;
}

/**
 * An AES-256 key: the key, its schedule in the standard's byte order (as the AES instructions take it) and as host
 * words (as portable C keeps it), and GHASH's key H = AES(K, 0^128), from which tags are forged (SP 800-38D, 6.4), in
 * both orders.
 */
export function aesKeyPatterns(name: string, key: Buffer): Record<string, Pattern[]> {
  const schedule = aesKeySchedule(key);
  const h = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false).update(Buffer.alloc(16));
  return {
    [name]: [whole(key), whole(swappedWords(key, 4))],
    [`${name}'s schedule`]: [whole(schedule.subarray(32)), whole(swappedWords(schedule.subarray(32), 4))],
    [`${name}'s GHASH key`]: [whole(h), whole(swappedWords(h, 8))],
  };
}

/** The private numbers of an RSA key (RFC 8017, A.1.2) as big-endian bytes and as little-endian limbs. */
export function rsaKeyPatterns(name: string, key: KeyObject): Record<string, Pattern[]> {
  const jwk = key.export({ format: "jwk" });
  const patterns: Record<string, Pattern[]> = {};
  for (const [number, value] of Object.entries({
    p: jwk.p,
    q: jwk.q,
    d: jwk.d,
    dP: jwk.dp,
    dQ: jwk.dq,
    qInv: jwk.qi,
  })) {
    const bigEndian = Buffer.from(value!, "base64url");
    patterns[`${name}'s ${number} (bytes)`] = [whole(bigEndian)];
    patterns[`${name}'s ${number} (limbs)`] = [whole(Buffer.from(bigEndian).reverse())];
  }
  return patterns;
}

/**
 * The keystream of AES-256-GCM for the first and last `blocks` blocks of a text (SP 800-38D, 6.5), and the block that
 * masks the tag: with the ciphertext, which is public, each of them is 16 bytes of plaintext.
 */
export function keystreamPatterns(
  name: string,
  { key, nonce, bytes }: { readonly key: Buffer; readonly nonce: Buffer; readonly bytes: number },
  blocks = 64,
): Record<string, Pattern[]> {
  const counter = Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]);
  const stream = createCipheriv("aes-256-ctr", key, counter).update(Buffer.alloc(16 + Math.ceil(bytes / 16) * 16));
  const ends = [stream.subarray(0, 16 * (1 + blocks)), stream.subarray(-16 * blocks)];
  return { [`${name}'s keystream`]: ends.map(whole) };
}

/**
 * The AES key that a password-protected key file is encrypted with (RFC 8018: PBES2, PBKDF2-HMAC-SHA-256, AES-256-CBC).
 * Its schedule must not be left behind either: the file is often easier to get than the password.
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
