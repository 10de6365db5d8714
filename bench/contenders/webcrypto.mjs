// Web Crypto in the way of nomyo-js 0.1.0, the pure-JavaScript sibling, written from its description: the tag stays glued to the
// ciphertext, keys are imported for each request, and base64 is made a byte at a time through strings of one character.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { chatRequest } from "../../dist/bench/payload.js";
import { stall } from "./stall.mjs";

const { subtle } = globalThis.crypto;
const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

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
const importPublic = (pem) => subtle.importKey("spki", derOf(pem), oaep, false, ["encrypt"]);
const importPrivate = (pem) => subtle.importKey("pkcs8", derOf(pem), oaep, false, ["decrypt"]);

async function seal(pem, value) {
  const plain = new TextEncoder().encode(JSON.stringify(value));
  const key = await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const ciphertext = new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv }, key, plain));
  const raw = await subtle.exportKey("raw", key);
  const wrapped = new Uint8Array(await subtle.encrypt(oaep, await importPublic(pem), raw));
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

async function open(privateKey, body) {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(new TextDecoder().decode(body));
  const raw = await subtle.decrypt(oaep, privateKey, fromBase64(wrapped));
  const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  const glued = fromBase64(payload.ciphertext + (payload.tag ?? ""));
  const plain = await subtle.decrypt({ name: "AES-GCM", iv: fromBase64(payload.nonce) }, key, glued);
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
}

/** A package as this client expects it: the tag at the end of the ciphertext. */
function glue(file) {
  const parsed = JSON.parse(readFileSync(file, "utf8"));
  const { ciphertext, nonce, tag } = parsed.encrypted_payload;
  const glued = Buffer.concat([Buffer.from(ciphertext, "base64"), Buffer.from(tag, "base64")]).toString("base64");
  return Buffer.from(JSON.stringify({ ...parsed, encrypted_payload: { ciphertext: glued, nonce } }));
}

export const kinds = {
  seal({ content, size, folder }) {
    const pem = readFileSync(`${folder}/public.pem`, "utf8");
    const request = chatRequest(content, size);
    return {
      operation: () => seal(pem, request),
      baseline: () => seal(pem, {}),
      evidence: async () => {
        const file = `${folder}/sealed-webcrypto.json`;
        writeFileSync(file, await seal(pem, request));
        return { file };
      },
    };
  },
  async open({ content, size, folder }) {
    const key = await importPrivate(readFileSync(`${folder}/private.pem`, "utf8"));
    const body = glue(`${folder}/package-${content}-${size}.json`);
    const smallest = glue(`${folder}/package-smallest.json`);
    return {
      operation: () => open(key, body),
      baseline: () => open(key, smallest),
      evidence: async () => ({ sha256: sha256(JSON.stringify(await open(key, body))) }),
    };
  },
  async rsa({ folder }) {
    const key = await importPrivate(readFileSync(`${folder}/private.pem`, "utf8"));
    const ciphertext = fromBase64(JSON.parse(readFileSync(`${folder}/package-smallest.json`)).encrypted_aes_key);
    const operation = () => subtle.decrypt(oaep, key, ciphertext);
    return { operation, evidence: async () => ({ key: Buffer.from(await operation()).toString("hex") }) };
  },
  keygen() {
    const parameters = { ...oaep, modulusLength: 4096, publicExponent: Uint8Array.of(1, 0, 1) };
    const operation = () => subtle.generateKey(parameters, true, ["encrypt", "decrypt"]);
    return {
      operation,
      evidence: async () => {
        const { publicKey, privateKey } = await operation();
        const spki = toBase64(new Uint8Array(await subtle.exportKey("spki", publicKey)));
        const pem = `-----BEGIN PUBLIC KEY-----\n${spki.match(/.{1,64}/g).join("\n")}\n-----END PUBLIC KEY-----\n`;
        return { pem, opens: sha256(JSON.stringify(await open(privateKey, await seal(pem, { text: "x" })))) };
      },
    };
  },
  async aes({ size }) {
    const raw = crypto.getRandomValues(new Uint8Array(32));
    const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new Uint8Array(size).fill(7);
    const operation = () => subtle.encrypt({ name: "AES-GCM", iv }, key, plain);
    return {
      operation,
      evidence: async () => ({
        key: Buffer.from(raw).toString("hex"),
        nonce: Buffer.from(iv).toString("hex"),
        plain: sha256(plain),
        sealed: Buffer.from(await operation()).toString("base64"),
      }),
    };
  },
  base64({ size }) {
    const bytes = Buffer.alloc(size, "nomyo");
    return { operation: () => toBase64(bytes), evidence: () => ({ sha256: sha256(toBase64(bytes)) }) };
  },
  async stall({ folder }) {
    const { operation, evidence } = await kinds.rsa({ folder });
    return { evidence, measure: stall(operation) };
  },
};
