import { createPrivateKey, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openPieces, sealPieces } from "../../../lib/bench/node-envelope.js";
import type { NodePackage } from "../../../lib/bench/node-envelope.js";
import { chatRequest, contents } from "../../../lib/bench/payload.js";

const vectors = join(__dirname, "..", "..", "vectors");
const privateKey = createPrivateKey(readFileSync(join(vectors, "keys", "client_private.pem")));
const publicKey = createPublicKey(privateKey);
const vector = (name: string) =>
  JSON.parse(readFileSync(join(vectors, "packages", `${name}.json`), "utf8")) as {
    body_b64: string;
    plaintext_b64: string;
  };
/** Bytes of a piece: as many as fit the cache, the smallest that base64 can be cut into, all at once. */
const pieces = [undefined, 12, Number.POSITIVE_INFINITY];

describe.each(pieces)("opening (pieces of %p)", (piece) => {
  const open = (key: KeyObject, body: Buffer): unknown => openPieces(key, body, piece);

  test.each(["ok-ascii", "ok-unicode-raw", "ok-tool-calls"])("gives the plaintext of the vector %s", (name) => {
    const { body_b64: body, plaintext_b64: plaintext } = vector(name);
    expect(open(privateKey, Buffer.from(body, "base64"))).toEqual(
      JSON.parse(Buffer.from(plaintext, "base64").toString("utf8")),
    );
  });

  test.each(["ct-flip", "wrong-key"])("refuses the vector %s", (name) => {
    expect(() => open(privateKey, Buffer.from(vector(name).body_b64, "base64"))).toThrow();
  });

  test.each(pieces)("opens what was sealed (pieces of %p)", (sealedPiece) => {
    for (const content of contents) {
      const request = chatRequest(content, 200_001);
      expect(open(privateKey, sealPieces(publicKey, request, sealedPiece))).toEqual(request);
    }
  });

  test("opens a package that is written otherwise: with white space, the ciphertext last", () => {
    const { encrypted_payload: payload, ...rest } = JSON.parse(
      sealPieces(publicKey, { a: "é" }).toString(),
    ) as NodePackage;
    const { ciphertext, ...others } = payload;
    const body = JSON.stringify({ ...rest, encrypted_payload: { ...others, ciphertext } }, undefined, 2);
    expect(open(privateKey, Buffer.from(body))).toEqual({ a: "é" });
  });
});

test("no package shares memory with the next, nor a key", () => {
  const [first, second] = [sealPieces(publicKey, { a: 1 }), sealPieces(publicKey, { a: 1 })];
  expect(openPieces(privateKey, first)).toEqual({ a: 1 });
  expect(first.equals(second)).toBe(false);
});
