/**
 * The package format by Node's own crypto, as fast as it gets: what `nomyo-native bench` measures against, and, since
 * it shares nothing with the addon, what tests hold it against. Keys and plaintext lie in ordinary memory here: this is
 * a yardstick, never a fallback.
 */
import { isAscii, isUtf8 } from "node:buffer";
import {
  constants,
  createCipheriv,
  createDecipheriv,
  privateDecrypt,
  publicEncrypt,
  randomFillSync,
} from "node:crypto";
import type { KeyObject } from "node:crypto";

/** A package of PROTOCOL section 2 as an object. */
export interface NodePackage {
  version: string;
  algorithm: string;
  encrypted_payload: { ciphertext: string; nonce: string; tag: string };
  encrypted_aes_key: string;
  key_algorithm?: string;
  payload_algorithm?: string;
  processed_at?: number;
}

/** A key, or its PEM. */
export type NodeKey = KeyObject | string;

const oaep = (key: NodeKey) => ({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" });

export function wrapKey(recipient: NodeKey, aesKey: Uint8Array): string {
  return publicEncrypt(oaep(recipient), aesKey).toString("base64");
}

export function unwrapKey(key: NodeKey, wrapped: string): Buffer {
  return privateDecrypt(oaep(key), Buffer.from(wrapped, "base64"));
}

/** What comes before and after the ciphertext in a package without white space. */
const HEAD = '{"version":"1.0","algorithm":"hybrid-aes256-rsa4096","encrypted_payload":{"ciphertext":"';
const tail = (nonce: string, tag: string, wrapped: string): string =>
  `","nonce":"${nonce}","tag":"${tag}"},"encrypted_aes_key":"${wrapped}",` +
  '"key_algorithm":"RSA-OAEP-SHA256","payload_algorithm":"AES-256-GCM"}';

/** The text of a package; all parts in base64. */
export function packageText(ciphertext: string, nonce: string, tag: string, wrapped: string): string {
  return HEAD + ciphertext + tail(nonce, tag, wrapped);
}

/**
 * A multiple of 3 and of 4: the base64 of pieces can be joined, and cut. It stays in the second-level cache with its
 * results.
 */
const CACHED_PIECE = 48 * 1024;

let kept = Buffer.alloc(0);
/**
 * Memory for plaintext that is kept between calls: the fresh pages of a new buffer cost more than copying into an old
 * one.
 */
export function scratch(bytes: number): Buffer {
  if (kept.length < bytes) kept = Buffer.allocUnsafeSlow(Math.max(bytes, kept.length * 2));
  return kept;
}

const keyAndNonce = Buffer.alloc(44);
const aesKey = keyAndNonce.subarray(0, 32);
const nonce = keyAndNonce.subarray(32);

/** Makes a package of `plain`, in memory of its own. It is encrypted and encoded in pieces of `piece` bytes. */
export function sealBytes(recipient: NodeKey, plain: Buffer, piece = CACHED_PIECE): Buffer {
  randomFillSync(keyAndNonce);
  const gcm = createCipheriv("aes-256-gcm", aesKey, nonce, { authTagLength: 16 });
  const end = (tag: Buffer): string => tail(nonce.toString("base64"), tag.toString("base64"), wrapped);
  const wrapped = wrapKey(recipient, aesKey);
  const out = Buffer.allocUnsafe(HEAD.length + Math.ceil(plain.length / 3) * 4 + end(Buffer.alloc(16)).length);
  let at = out.write(HEAD, 0, "latin1");
  for (let from = 0; from < plain.length; from += piece) {
    at += out.write(gcm.update(plain.subarray(from, from + piece)).toString("base64"), at, "latin1");
  }
  gcm.final();
  out.write(end(gcm.getAuthTag()), at, "latin1");
  return out;
}

/** {@link sealBytes} of `value` as JSON, which is written into kept memory. */
export function sealPieces(recipient: NodeKey, value: unknown, piece?: number): Buffer {
  const json = JSON.stringify(value);
  const plain = scratch(json.length * 3);
  return sealBytes(recipient, plain.subarray(0, plain.write(json, 0, "utf8")), piece);
}

/**
 * Where a field's text starts and ends; base64 holds no quotation mark and no escape. Undefined where it is written
 * otherwise.
 */
function field(body: Buffer, name: string, from: number): readonly [start: number, end: number] | undefined {
  const at = body.indexOf(`"${name}":"`, from, "latin1");
  const start = at + name.length + 4;
  return at < 0 ? undefined : [start, body.indexOf('"', start, "latin1")];
}

/** A body without white space and the ciphertext first, of which the fields can be cut without parsing it. */
function compact(body: Buffer): Buffer {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(body.toString("latin1")) as NodePackage;
  return Buffer.from(packageText(payload.ciphertext, payload.nonce, payload.tag, wrapped), "latin1");
}

/**
 * Opens a package, decoding and decrypting in pieces of `piece` characters. Throws when the tag does not hold; the
 * package's form is trusted. The plaintext is in memory that the next call overwrites.
 */
export function openBytes(key: NodeKey, body: Buffer, piece = CACHED_PIECE): Buffer {
  const ciphertext = field(body, "ciphertext", 0);
  const [wrapped, iv, tag] = ["encrypted_aes_key", "nonce", "tag"].map((name) => {
    const found = field(body, name, ciphertext?.[1] ?? 0);
    return found && body.toString("latin1", ...found);
  });
  if (ciphertext === undefined || wrapped === undefined || iv === undefined || tag === undefined) {
    return openBytes(key, compact(body), piece);
  }
  const gcm = createDecipheriv("aes-256-gcm", unwrapKey(key, wrapped), Buffer.from(iv, "base64"), {
    authTagLength: 16,
  });
  gcm.setAuthTag(Buffer.from(tag, "base64"));
  const [start, end] = ciphertext;
  const plain = scratch(((end - start) * 3) / 4);
  let length = 0;
  for (let from = start; from < end; from += piece) {
    length += gcm.update(body.toString("latin1", from, Math.min(from + piece, end)), "base64").copy(plain, length);
  }
  gcm.final();
  return plain.subarray(0, length);
}

/** `JSON.parse` of authenticated bytes; ASCII takes the shorter way into a string. Throws when they are not UTF-8. */
export function parseBytes(plain: Buffer): unknown {
  if (isAscii(plain)) return JSON.parse(plain.toString("latin1"));
  if (!isUtf8(plain)) throw new TypeError("The plaintext is not UTF-8.");
  return JSON.parse(plain.toString("utf8"));
}

/** The value of {@link openBytes}. */
export const openPieces = (key: NodeKey, body: Buffer, piece?: number): unknown =>
  parseBytes(openBytes(key, body, piece));
