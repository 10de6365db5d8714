import { createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openVariants, sealVariants } from "../../../lib/bench/node-envelope.js";
import { chatRequest, contents } from "../../../lib/bench/payload.js";

const vectors = join(__dirname, "..", "..", "vectors");
const privateKey = createPrivateKey(readFileSync(join(vectors, "keys", "client_private.pem")));
const publicKey = createPublicKey(privateKey);
const vector = (name: string) =>
  JSON.parse(readFileSync(join(vectors, "packages", `${name}.json`), "utf8")) as {
    body_b64: string;
    plaintext_b64: string;
  };
const sealers = Object.entries(sealVariants);
const openers = Object.entries(openVariants);

describe.each(openers)("opening (%s)", (_way, open) => {
  test.each(["ok-ascii", "ok-unicode-raw", "ok-tool-calls"])("gives the plaintext of the vector %s", (name) => {
    const { body_b64: body, plaintext_b64: plaintext } = vector(name);
    expect(open(privateKey, Buffer.from(body, "base64"))).toEqual(
      JSON.parse(Buffer.from(plaintext, "base64").toString("utf8")),
    );
  });

  test.each(["ct-flip", "wrong-key"])("refuses the vector %s", (name) => {
    expect(() => open(privateKey, Buffer.from(vector(name).body_b64, "base64"))).toThrow();
  });

  test.each(sealers)("opens what was sealed (%s)", (_sealer, seal) => {
    for (const content of contents) {
      const request = chatRequest(content, 200_001);
      expect(open(privateKey, seal(publicKey, request))).toEqual(request);
    }
  });
});

test("no package shares memory with the next, nor a key", () => {
  const [first, second] = [sealVariants.pieces(publicKey, { a: 1 }), sealVariants.pieces(publicKey, { a: 1 })];
  expect(openVariants.whole(privateKey, first)).toEqual({ a: 1 });
  expect(first.equals(second)).toBe(false);
});
