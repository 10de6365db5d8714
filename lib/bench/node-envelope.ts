/**
 * The package format by Node's own means, as fast as they allow: what this package is measured against. Several ways are kept, so that
 * the choice can be checked on any machine (`npm run bench -- --only variant`). Keys and plaintext lie in ordinary memory here: this is a
 * yardstick, never a fallback.
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

/** Makes a package of `value`, in memory of its own, for the holder of `recipient`. */
export type NodeSealer = (recipient: KeyObject, value: unknown) => Buffer;
/** Opens a package. Throws when the tag does not hold or the plaintext is not UTF-8; the package's form is trusted. */
export type NodeOpener = (key: KeyObject, body: Buffer) => unknown;

const padding = constants.RSA_PKCS1_OAEP_PADDING;
/** A multiple of 3 and of 4: the base64 of pieces can be joined, and cut. It stays in the second-level cache with its results. */
const pieceBytes = 48 * 1024;

const keyAndNonce = Buffer.alloc(44);
const aesKey = keyAndNonce.subarray(0, 32);
const nonce = keyAndNonce.subarray(32);

let kept = Buffer.alloc(0);
/** Memory for plaintext that is kept between calls: the fresh pages of a new buffer cost more than copying into an old one. */
export function scratch(bytes: number): Buffer {
  if (kept.length < bytes) kept = Buffer.allocUnsafeSlow(Math.max(bytes, kept.length * 2));
  return kept;
}

const head = '{"version":"1.0","algorithm":"hybrid-aes256-rsa4096","encrypted_payload":{"ciphertext":"';

function wrap(recipient: KeyObject): string {
  return publicEncrypt({ key: recipient, padding, oaepHash: "sha256" }, aesKey).toString("base64");
}

function tail(wrapped: string, tag: Buffer): string {
  return (
    `","nonce":"${nonce.toString("base64")}","tag":"${tag.toString("base64")}"},"encrypted_aes_key":"${wrapped}",` +
    '"key_algorithm":"RSA-OAEP-SHA256","payload_algorithm":"AES-256-GCM"}'
  );
}

const base64Length = (bytes: number): number => Math.ceil(bytes / 3) * 4;

function cipher(): ReturnType<typeof createCipheriv> & { getAuthTag(): Buffer } {
  randomFillSync(keyAndNonce);
  return createCipheriv("aes-256-gcm", aesKey, nonce, { authTagLength: 16 });
}

/** As most programs would write it: strings all the way. */
export const sealStrings: NodeSealer = (recipient, value) => {
  const gcm = cipher();
  const ciphertext = Buffer.concat([gcm.update(JSON.stringify(value), "utf8"), gcm.final()]);
  return Buffer.from(`${head}${ciphertext.toString("base64")}${tail(wrap(recipient), gcm.getAuthTag())}`, "latin1");
};

/** The serialised request is written into kept memory, then {@link sealBytes}. */
export const sealWhole: NodeSealer = (recipient, value) => {
  const json = JSON.stringify(value);
  const plain = scratch(json.length * 3);
  return sealBytes(recipient, plain.subarray(0, plain.write(json, 0, "utf8")));
};

/** As {@link sealWhole}, with {@link sealBytesInPieces}. */
export const sealPieces: NodeSealer = (recipient, value) => {
  const json = JSON.stringify(value);
  const plain = scratch(json.length * 3);
  return sealBytesInPieces(recipient, plain.subarray(0, plain.write(json, 0, "utf8")));
};

/** Encrypts and encodes all at once; the package is allocated once, in its exact size. */
export function sealBytes(recipient: KeyObject, plain: Buffer): Buffer {
  const gcm = cipher();
  const base64 = gcm.update(plain).toString("base64");
  gcm.final();
  const end = tail(wrap(recipient), gcm.getAuthTag());
  const out = Buffer.allocUnsafe(head.length + base64.length + end.length);
  let at = out.write(head, 0, "latin1");
  at += out.write(base64, at, "latin1");
  out.write(end, at, "latin1");
  return out;
}

/** Encrypts and encodes in pieces that stay in the cache. */
export function sealBytesInPieces(recipient: KeyObject, plain: Buffer): Buffer {
  const gcm = cipher();
  const wrapped = wrap(recipient);
  const sizedTail = tail(wrapped, Buffer.alloc(16));
  const out = Buffer.allocUnsafe(head.length + base64Length(plain.length) + sizedTail.length);
  let at = out.write(head, 0, "latin1");
  for (let from = 0; from < plain.length; from += pieceBytes) {
    const piece = gcm.update(plain.subarray(from, Math.min(from + pieceBytes, plain.length)));
    at += out.write(piece.toString("base64"), at, "latin1");
  }
  gcm.final();
  out.write(tail(wrapped, gcm.getAuthTag()), at, "latin1");
  return out;
}

function unwrap(key: KeyObject, wrapped: string): Buffer {
  return privateDecrypt({ key, padding, oaepHash: "sha256" }, Buffer.from(wrapped, "base64"));
}

function decipher(key: Buffer, iv: string, tag: string): ReturnType<typeof createDecipheriv> {
  const gcm = createDecipheriv("aes-256-gcm", key, Buffer.from(iv, "base64"), { authTagLength: 16 });
  return gcm.setAuthTag(Buffer.from(tag, "base64"));
}

/** `JSON.parse` of authenticated bytes; ASCII takes the shorter way into a string. */
function parse(plain: Buffer): unknown {
  if (isAscii(plain)) return JSON.parse(plain.toString("latin1"));
  if (!isUtf8(plain)) throw new TypeError("The plaintext is not UTF-8.");
  return JSON.parse(plain.toString("utf8"));
}

interface ParsedPackage {
  readonly encrypted_payload: { readonly ciphertext: string; readonly nonce: string; readonly tag: string };
  readonly encrypted_aes_key: string;
}

/** As most programs would write it: `JSON.parse` of the package, then of the plaintext. */
export const openParsed: NodeOpener = (key, body) => {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(
    body.toString("latin1"),
  ) as ParsedPackage;
  const gcm = decipher(unwrap(key, wrapped), payload.nonce, payload.tag);
  return parse(Buffer.concat([gcm.update(payload.ciphertext, "base64"), gcm.final()]));
};

/** Where a field's text starts and ends; base64 holds no quotation mark and no escape. Undefined where it is written otherwise. */
function field(body: Buffer, name: string, from: number): { start: number; end: number } | undefined {
  const at = body.indexOf(`"${name}":"`, from, "latin1");
  if (at < 0) return undefined;
  const start = at + name.length + 4;
  return { start, end: body.indexOf('"', start, "latin1") };
}

/** Cuts the fields out of the package's bytes, if they stand without white space and the ciphertext first; else it is parsed. */
function openSliced(key: KeyObject, body: Buffer, decrypt: typeof decryptWhole): unknown {
  const ciphertext = field(body, "ciphertext", 0);
  if (ciphertext === undefined) return openParsed(key, body);
  const [wrapped, iv, tag] = ["encrypted_aes_key", "nonce", "tag"].map((name) => {
    const found = field(body, name, ciphertext.end);
    return found === undefined ? undefined : body.toString("latin1", found.start, found.end);
  });
  if (wrapped === undefined || iv === undefined || tag === undefined) return openParsed(key, body);
  return parse(decrypt(decipher(unwrap(key, wrapped), iv, tag), body, ciphertext.start, ciphertext.end));
}

function decryptWhole(gcm: ReturnType<typeof decipher>, body: Buffer, start: number, end: number): Buffer {
  const bytes = scratch(((end - start) * 3) / 4);
  const length = bytes.write(body.toString("latin1", start, end), 0, "base64");
  const plain = gcm.update(bytes.subarray(0, length));
  gcm.final();
  return plain;
}

function decryptPieces(gcm: ReturnType<typeof decipher>, body: Buffer, start: number, end: number): Buffer {
  const plain = scratch(((end - start) * 3) / 4);
  let length = 0;
  for (let from = start; from < end; from += pieceBytes) {
    const piece = gcm.update(body.toString("latin1", from, Math.min(from + pieceBytes, end)), "base64");
    length += piece.copy(plain, length);
  }
  gcm.final();
  return plain.subarray(0, length);
}

/** The fields are cut out of the package's bytes; base64 and cipher each work on the whole. */
export const openWhole: NodeOpener = (key, body) => openSliced(key, body, decryptWhole);

/** The fields are cut out of the package's bytes; base64 and cipher work in pieces that stay in the cache. */
export const openPieces: NodeOpener = (key, body) => openSliced(key, body, decryptPieces);

/** All ways, by name; the first of each is the fastest on the machines that were tried, and the one to compare with. */
export const sealVariants = { whole: sealWhole, pieces: sealPieces, strings: sealStrings } as const;
export const openVariants = { whole: openWhole, pieces: openPieces, parsed: openParsed } as const;
