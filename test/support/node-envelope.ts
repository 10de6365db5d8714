/**
 * The encrypted package written from PROTOCOL.md section 2 with Node's own crypto: an implementation that shares nothing with ours.
 */
import { constants, createCipheriv, createDecipheriv, privateDecrypt, publicEncrypt, randomBytes } from "node:crypto";

export interface NodePackage {
  version: string;
  algorithm: string;
  encrypted_payload: { ciphertext: string; nonce: string; tag: string };
  encrypted_aes_key: string;
  key_algorithm?: string;
  payload_algorithm?: string;
  processed_at?: number;
}

const oaep = (key: string) => ({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" });

export function nodeSeal(publicPem: string, plaintext: string | Buffer): NodePackage {
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return {
    version: "1.0",
    algorithm: "hybrid-aes256-rsa4096",
    encrypted_payload: {
      ciphertext: ciphertext.toString("base64"),
      nonce: nonce.toString("base64"),
      tag: cipher.getAuthTag().toString("base64"),
    },
    encrypted_aes_key: publicEncrypt(oaep(publicPem), key).toString("base64"),
    key_algorithm: "RSA-OAEP-SHA256",
    payload_algorithm: "AES-256-GCM",
  };
}

/** The body as it goes over HTTP. */
export function nodeBody(publicPem: string, plaintext: string | Buffer): Buffer {
  return Buffer.from(JSON.stringify(nodeSeal(publicPem, plaintext)));
}

export function nodeOpen(privatePem: string, body: Uint8Array): Buffer {
  const sealed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as NodePackage;
  const bytes = (text: string): Buffer => Buffer.from(text, "base64");
  const key = privateDecrypt(oaep(privatePem), bytes(sealed.encrypted_aes_key));
  const decipher = createDecipheriv("aes-256-gcm", key, bytes(sealed.encrypted_payload.nonce), { authTagLength: 16 });
  decipher.setAuthTag(bytes(sealed.encrypted_payload.tag));
  return Buffer.concat([decipher.update(bytes(sealed.encrypted_payload.ciphertext)), decipher.final()]);
}
