/** The package format by Node's own crypto, written from the protocol and independent of the addon: a second opinion in both directions. */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";

const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" } as const;

export interface NodeKeyPair {
  /** PKCS#8 PEM. */
  readonly privatePem: string;
  /** SPKI PEM. */
  readonly publicPem: string;
}

export function nodeKeyPair(modulusLength: number): NodeKeyPair {
  const pair = generateKeyPairSync("rsa", {
    modulusLength,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return { privatePem: pair.privateKey, publicPem: pair.publicKey };
}

export function nodeSeal(publicPem: string, plaintext: string | Uint8Array): Buffer {
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const ciphertext = Buffer.concat([cipher.update(Buffer.from(plaintext as string, "utf8")), cipher.final()]);
  return Buffer.from(
    JSON.stringify({
      version: "1.0",
      algorithm: "hybrid-aes256-rsa4096",
      encrypted_payload: {
        ciphertext: ciphertext.toString("base64"),
        nonce: nonce.toString("base64"),
        tag: cipher.getAuthTag().toString("base64"),
      },
      encrypted_aes_key: publicEncrypt({ key: publicPem, ...oaep }, key).toString("base64"),
      key_algorithm: "RSA-OAEP-SHA256",
      payload_algorithm: "AES-256-GCM",
    }),
  );
}

export interface NodePackage {
  readonly version: string;
  readonly algorithm: string;
  readonly encrypted_payload: { readonly ciphertext: string; readonly nonce: string; readonly tag: string };
  readonly encrypted_aes_key: string;
  readonly key_algorithm: string;
  readonly payload_algorithm: string;
  readonly processed_at?: number;
}

export function nodeOpen(privatePem: string, body: Uint8Array): { package: NodePackage; plaintext: string } {
  const parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as NodePackage;
  const key = privateDecrypt({ key: privatePem, ...oaep }, Buffer.from(parsed.encrypted_aes_key, "base64"));
  const { ciphertext, nonce, tag } = parsed.encrypted_payload;
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64"), { authTagLength: 16 });
  decipher.setAuthTag(Buffer.from(tag, "base64"));
  const plaintext = Buffer.concat([decipher.update(Buffer.from(ciphertext, "base64")), decipher.final()]);
  return { package: parsed, plaintext: new TextDecoder("utf-8", { fatal: true }).decode(plaintext) };
}
