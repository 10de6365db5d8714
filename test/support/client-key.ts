import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../lib/native.js";
import type { PrivateKeyHandle, PublicKeyHandle } from "../../lib/native.js";

export const vectors = join(__dirname, "..", "vectors");

export interface TestKey {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly privateKey: PrivateKeyHandle;
  readonly publicKey: PublicKeyHandle;
}

async function load(privatePem: string, publicPem: string): Promise<TestKey> {
  const pem = native.bufferFrom(privatePem, "required");
  const privateKey = await native.importPrivateKey(pem, null, "required");
  native.bufferDispose(pem);
  return { privatePem, publicPem, privateKey, publicKey: native.importPublicKey(publicPem, 2048) };
}

/** The 4096-bit key of the vectors. */
export function clientKey(): Promise<TestKey> {
  const read = (name: string): string => readFileSync(join(vectors, "keys", name), "utf8");
  return load(read("client_private.pem"), read("client_public.pem"));
}

/** A fresh 2048-bit key, made by Node: quick enough for thousands of packages. */
export function quickKey(): Promise<TestKey> {
  const pair = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return load(pair.privateKey, pair.publicKey);
}
