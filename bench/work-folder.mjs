// The files that all contenders read: keys, requests, packages, quotes. One temporary folder for a run.
import { createPublicKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chatRequest } from "../dist/bench/payload.js";
import { sealPieces } from "../dist/bench/node-envelope.js";
import { quoteSignature } from "./quote-signature.mjs";

const vectors = new URL("../test/vectors/", import.meta.url);
const quotes = { "ecc-p256": "ecc-p256-ecdsa-sha256.json", rsa2048: "rsa2048-rsassa-sha256.json" };

export class WorkFolder {
  path = mkdtempSync(join(tmpdir(), "nomyo-bench-"));
  /** The key that everything is sealed to: one of the test vectors, RSA-4096. */
  privatePem = readFileSync(new URL("keys/client_private.pem", vectors));
  publicKey = createPublicKey(this.privatePem);
  #made = new Set();

  constructor() {
    this.#write("private.pem", this.privatePem);
    this.#write("public.pem", this.publicKey.export({ type: "spki", format: "pem" }));
    this.#write("package-smallest.json", sealPieces(this.publicKey, {}));
    for (const [label, file] of Object.entries(quotes)) {
      const vector = JSON.parse(readFileSync(new URL(`attestation/${file}`, vectors)));
      this.#write(`attestation-${label}.json`, JSON.stringify(vector));
      this.#write(`signature-${label}.json`, JSON.stringify(quoteSignature(vector.tpm_attestation)));
    }
  }

  #write(name, data) {
    writeFileSync(join(this.path, name), data, { mode: 0o600 });
  }

  /** Writes the request and the package of a case, for the contenders that cannot make them or must not make their own. */
  add({ content, size }) {
    if (content === undefined || this.#made.has(`${content}-${size}`)) return;
    this.#made.add(`${content}-${size}`);
    const request = chatRequest(content, size);
    this.#write(`request-${content}-${size}.json`, JSON.stringify(request));
    this.#write(`package-${content}-${size}.json`, sealPieces(this.publicKey, request));
  }

  remove() {
    rmSync(this.path, { recursive: true, force: true });
  }
}
