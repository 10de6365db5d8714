// The files that all contenders read: keys, requests, packages, quotes. One temporary folder for a run.
import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sealPieces } from "../dist/bench/node-envelope.js";
import { chatRequest } from "../dist/bench/payload.js";

const vectors = new URL("../test/vectors/", import.meta.url);
/** A quote of each kind of AIK, and how to make such a key. */
const quotes = {
  "ecc-p256": { file: "ecc-p256-ecdsa-sha256.json", hash: "sha256", key: ["ec", { namedCurve: "P-256" }] },
  "ecc-p384": { file: "ecc-p384-sig-sha384.json", hash: "sha384", key: ["ec", { namedCurve: "P-384" }] },
  rsa2048: { file: "rsa2048-rsassa-sha256.json", hash: "sha256", key: ["rsa", { modulusLength: 2048 }] },
};

/** What the bare signature check is measured on: the same bytes, signed by another key of the same kind. */
function signatureLike({ quote_b64: message }, { hash, key }) {
  const { privateKey, publicKey } = generateKeyPairSync(...key);
  const signature = sign(hash, Buffer.from(message, "base64"), privateKey).toString("base64");
  return { pem: publicKey.export({ type: "spki", format: "pem" }), message, signature, hash };
}

export class WorkFolder {
  path = mkdtempSync(join(tmpdir(), "nomyo-bench-"));
  /** The key that everything is sealed to: one of the test vectors, RSA-4096. */
  #privatePem = readFileSync(new URL("keys/client_private.pem", vectors));
  #publicKey = createPublicKey(this.#privatePem);
  #made = new Set();

  constructor() {
    this.#write("private.pem", this.#privatePem);
    this.#write("public.pem", this.#publicKey.export({ type: "spki", format: "pem" }));
    this.#write("package-smallest.json", sealPieces(this.#publicKey, {}));
    for (const [label, quote] of Object.entries(quotes)) {
      const vector = JSON.parse(readFileSync(new URL(`attestation/${quote.file}`, vectors)));
      this.#write(`attestation-${label}.json`, JSON.stringify(vector));
      this.#write(`signature-${label}.json`, JSON.stringify(signatureLike(vector.tpm_attestation, quote)));
    }
  }

  #write(name, data) {
    writeFileSync(join(this.path, name), data, { mode: 0o600 });
  }

  /**
   * Writes the request and the package of a case, for the contenders that cannot make them or must not make their own.
   */
  add({ content, size }) {
    if (content === undefined || this.#made.has(`${content}-${size}`)) return;
    this.#made.add(`${content}-${size}`);
    const request = chatRequest(content, size);
    this.#write(`request-${content}-${size}.json`, JSON.stringify(request));
    this.#write(`package-${content}-${size}.json`, sealPieces(this.#publicKey, request));
  }

  remove() {
    rmSync(this.path, { recursive: true, force: true });
  }
}
