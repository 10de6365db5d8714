// Node's own crypto, as fast as it gets (lib/bench/node-envelope.ts), and other ways to do the same, so that the choice
// can be checked.
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  privateDecrypt,
  randomBytes,
  verify,
} from "node:crypto";
import { promisify } from "node:util";
import { openPieces, packageText, parseBytes, sealPieces, unwrapKey, wrapKey } from "../../dist/bench/node-envelope.js";
import { sealEscaped } from "./escaped-json.mjs";

/** As most programs would write it: strings all the way. */
function sealStrings(recipient, value) {
  const [key, nonce] = [randomBytes(32), randomBytes(12)];
  const gcm = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
  const ciphertext = Buffer.concat([gcm.update(JSON.stringify(value), "utf8"), gcm.final()]);
  const [text, iv, tag] = [ciphertext, nonce, gcm.getAuthTag()].map((bytes) => bytes.toString("base64"));
  return Buffer.from(packageText(text, iv, tag, wrapKey(recipient, key)), "latin1");
}

/** As most programs would write it: `JSON.parse` of the package, then of the plaintext. */
function openParsed(key, body) {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(body.toString("latin1"));
  const nonce = Buffer.from(payload.nonce, "base64");
  const gcm = createDecipheriv("aes-256-gcm", unwrapKey(key, wrapped), nonce, { authTagLength: 16 });
  gcm.setAuthTag(Buffer.from(payload.tag, "base64"));
  return parseBytes(Buffer.concat([gcm.update(payload.ciphertext, "base64"), gcm.final()]));
}

export const seal = (key, request) => sealPieces(key, request);
export const open = (key, body) => openPieces(key, body);
/** `whole`: the text is one piece. */
const sealers = {
  ...{ pieces: seal, strings: sealStrings, escaped: sealEscaped },
  whole: (key, request) => sealPieces(key, request, Number.POSITIVE_INFINITY),
};
const openers = {
  ...{ pieces: open, parsed: openParsed },
  whole: (key, body) => openPieces(key, body, Number.POSITIVE_INFINITY),
};
export const sealer = (way = "pieces") => sealers[way];
export const opener = (way = "pieces") => openers[way];

export const publicKey = createPublicKey;
export const privateKey = createPrivateKey;

export function privateOperation(key, _body, wrapped) {
  const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  return () => privateDecrypt(oaep, wrapped);
}

export const generate = () => promisify(generateKeyPair)("rsa", { modulusLength: 4096, publicExponent: 65537 });

export async function generated() {
  const pair = await generate();
  return {
    pem: pair.publicKey.export({ type: "spki", format: "pem" }),
    open: (body) => openPieces(pair.privateKey, body),
  };
}

export function encryption(key, nonce, plain) {
  return () => {
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const ciphertext = cipher.update(plain);
    cipher.final();
    return [ciphertext, cipher.getAuthTag()];
  };
}

export function encoding(bytes) {
  const out = Buffer.alloc(Math.ceil(bytes.length / 3) * 4);
  return () => {
    out.write(bytes.toString("base64"), 0, "latin1");
    return out;
  };
}

/** The signature check alone. */
export function attestation(read) {
  const { pem, message, signature, hash } = read("signature");
  const key = createPublicKey(pem);
  const statement = Buffer.from(message, "base64");
  return {
    holds: (bytes) => verify(hash, bytes, key, Buffer.from(signature, "base64")),
    statement,
    forged: Buffer.concat([statement, Buffer.of(0)]),
  };
}
