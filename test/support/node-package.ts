/**
 * Packages by Node's own crypto (lib/bench/node-envelope.ts), in the forms that tests want: a second opinion in both
 * directions.
 */
import { generateKeyPairSync } from "node:crypto";
import { openBytes, sealBytes } from "../../lib/bench/node-envelope.js";
import type { NodePackage } from "../../lib/bench/node-envelope.js";

export type { NodePackage } from "../../lib/bench/node-envelope.js";

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

/** The body as it goes over HTTP. */
export function nodeSeal(publicPem: string, plaintext: string | Uint8Array): Buffer {
  return sealBytes(publicPem, Buffer.from(plaintext as string, "utf8"));
}

/**
 * The package, and its plaintext as text and as bytes. Both must be UTF-8, of which Node's own decoding would not
 * complain.
 */
export function nodeOpen(
  privatePem: string,
  body: Uint8Array,
): { package: NodePackage; plaintext: string; bytes: Buffer } {
  const text = (utf8: Uint8Array): string => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8);
  // A copy: the next call overwrites what `openBytes` gives.
  const bytes = Buffer.from(openBytes(privatePem, Buffer.from(body)));
  return { package: JSON.parse(text(body)) as NodePackage, plaintext: text(bytes), bytes };
}
