// Web Crypto in the way of nomyo-js 0.1.0, the pure-JavaScript sibling, written from its description: the tag stays
// glued to the ciphertext, keys are imported for each request, and base64 is made a byte at a time through strings of
// one character.
import { readFileSync } from "node:fs";

const { subtle } = globalThis.crypto;
const oaep = { name: "RSA-OAEP", hash: "SHA-256" };

function toBase64(bytes) {
  let binary = "";
  for (let index = 0; index < bytes.length; index++) binary += String.fromCharCode(bytes[index]);
  return globalThis.btoa(binary);
}

function fromBase64(text) {
  const binary = globalThis.atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

const derOf = (pem) => fromBase64(pem.replace(/-----[^-]+-----|\s/g, ""));
/** Imported with each request, so kept as text. */
export const publicKey = (pem) => pem;
export const privateKey = (pem) => subtle.importKey("pkcs8", derOf(pem), oaep, false, ["decrypt"]);

export async function seal(pem, value) {
  const plain = new TextEncoder().encode(JSON.stringify(value));
  const key = await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const ciphertext = new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv }, key, plain));
  const raw = await subtle.exportKey("raw", key);
  const recipient = await subtle.importKey("spki", derOf(pem), oaep, false, ["encrypt"]);
  const wrapped = new Uint8Array(await subtle.encrypt(oaep, recipient, raw));
  const text = JSON.stringify({
    version: "1.0",
    algorithm: "hybrid-aes256-rsa4096",
    encrypted_payload: { ciphertext: toBase64(ciphertext), nonce: toBase64(iv) },
    encrypted_aes_key: toBase64(wrapped),
    key_algorithm: "RSA-OAEP-SHA256",
    payload_algorithm: "AES-256-GCM",
  });
  return new TextEncoder().encode(text);
}

export async function open(key, body) {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(new TextDecoder().decode(body));
  const raw = await subtle.decrypt(oaep, key, fromBase64(wrapped));
  const aes = await subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const parameters = { name: "AES-GCM", iv: fromBase64(payload.nonce) };
  const plain = await subtle.decrypt(parameters, aes, fromBase64(payload.ciphertext));
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
}

/** A package as this client expects it: the tag at the end of the ciphertext. */
export function readPackage(file) {
  const parsed = JSON.parse(readFileSync(file, "utf8"));
  const { ciphertext, nonce, tag } = parsed.encrypted_payload;
  const glued = Buffer.concat([Buffer.from(ciphertext, "base64"), Buffer.from(tag, "base64")]).toString("base64");
  return Buffer.from(JSON.stringify({ ...parsed, encrypted_payload: { ciphertext: glued, nonce } }));
}

export const privateOperation = (key, _body, wrapped) => () => subtle.decrypt(oaep, key, wrapped);

export const generate = () =>
  subtle.generateKey({ ...oaep, modulusLength: 4096, publicExponent: Uint8Array.of(1, 0, 1) }, true, [
    "encrypt",
    "decrypt",
  ]);

export async function generated() {
  const pair = await generate();
  const spki = toBase64(new Uint8Array(await subtle.exportKey("spki", pair.publicKey)));
  const pem = `-----BEGIN PUBLIC KEY-----\n${spki.match(/.{1,64}/g).join("\n")}\n-----END PUBLIC KEY-----\n`;
  return { pem, open: (body) => open(pair.privateKey, body) };
}

export async function encryption(raw, iv, plain) {
  const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  return () => subtle.encrypt({ name: "AES-GCM", iv }, key, plain);
}

export const encoding = (bytes) => () => toBase64(bytes);
