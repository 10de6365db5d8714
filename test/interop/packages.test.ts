/**
 * Packages cross in both directions between this package and three others: Node's crypto, OpenSSL's command, Python's
 * `cryptography`.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageText } from "../../lib/bench/node-envelope.js";
import { openPackage } from "../../lib/envelope/open.js";
import { sealJson } from "../../lib/envelope/seal.js";
import { clientKey } from "../support/client-key.js";
import type { TestKey } from "../support/client-key.js";
import { nodeOpen, nodeSeal } from "../support/node-package.js";
import type { NodePackage } from "../support/node-package.js";
import { python } from "../support/python-envelope.js";

const values: readonly object[] = [
  { model: "m", messages: [{ role: "user", content: "Hello" }] },
  {
    model: "m",
    messages: [{ role: "user", content: 'Grüße, 漢字, 😀 "quoted" \\ \n'.repeat(500) }],
    temperature: -0.5,
  },
  {
    tools: [...Array(50).keys()].map((n) => ({ type: "function", function: { name: `f${String(n)}`, strict: true } })),
  },
  {},
];

let key: TestKey;
beforeAll(async () => {
  key = await clientKey();
});

const seal = (value: object): Uint8Array =>
  sealJson(key.publicKey, value, { maxPlaintextBytes: 10_485_760, locking: "required" });
const open = async (body: Uint8Array): Promise<string> =>
  (await openPackage(key.privateKey, body, { locking: "required" })).text();

describe("Node's crypto", () => {
  test.each(values.map((value, i) => [i, value]))(
    "opens what we sealed, and the other way round: %i",
    async (_i, value) => {
      const text = JSON.stringify(value);
      expect(nodeOpen(key.privatePem, seal(value)).plaintext).toBe(text);
      expect(await open(nodeSeal(key.publicPem, text))).toBe(text);
    },
  );
});

describe("Python's cryptography", () => {
  const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");

  test("opens what we sealed", () => {
    const opened = python(values.map((value) => ({ do: "open", private: key.privatePem, body: base64(seal(value)) })));
    expect(opened.map((text) => Buffer.from(text, "base64").toString())).toEqual(
      values.map((value) => JSON.stringify(value)),
    );
  });

  test("seals what we open", async () => {
    const texts = values.map((value) => JSON.stringify(value));
    const bodies = python(texts.map((text) => ({ do: "seal", public: key.publicPem, plaintext: base64(text) })));
    for (const [i, body] of bodies.entries()) {
      const opened = await openPackage(key.privateKey, Buffer.from(body, "base64"), { locking: "required" });
      expect(opened.text()).toBe(texts[i]);
      expect(opened.processedAt).toBe(1_765_250_382);
    }
  });
});

describe("OpenSSL's command", () => {
  // It has no AES-GCM, so it crosses the half that it has: RSA-OAEP. Node does the other.
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nomyo-interop-"));
    writeFileSync(join(folder, "private.pem"), key.privatePem, { mode: 0o600 });
    writeFileSync(join(folder, "public.pem"), key.publicPem);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const oaep = "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256".split(" ");
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  };

  test("unwraps the key that we wrapped: 32 bytes, fresh each time", () => {
    const keys = [seal({}), seal({})].map((body) => {
      const { encrypted_aes_key: wrapped } = JSON.parse(Buffer.from(body).toString()) as NodePackage;
      writeFileSync(join(folder, "wrapped"), Buffer.from(wrapped, "base64"));
      openssl("pkeyutl", "-decrypt", "-inkey", "private.pem", ...oaep, "-in", "wrapped", "-out", "key");
      return readFileSync(join(folder, "key"));
    });
    expect(keys.map((aes) => aes.byteLength)).toEqual([32, 32]);
    expect(keys[0]?.equals(keys[1] ?? Buffer.alloc(0))).toBe(false);
  });

  test("wraps a key that we unwrap", async () => {
    const { createCipheriv, randomBytes } = await import("node:crypto");
    const [aes, nonce] = [randomBytes(32), randomBytes(12)];
    writeFileSync(join(folder, "key"), aes);
    openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", ...oaep, "-in", "key", "-out", "wrapped");
    const cipher = createCipheriv("aes-256-gcm", aes, nonce, { authTagLength: 16 });
    const ciphertext = cipher.update('{"wrapped by":"openssl"}', "utf8", "base64") + cipher.final("base64");
    const parts = [nonce, cipher.getAuthTag(), readFileSync(join(folder, "wrapped"))] as const;
    const [nonceText, tag, wrapped] = parts.map((bytes) => bytes.toString("base64")) as [string, string, string];
    const body = packageText(ciphertext, nonceText, tag, wrapped);
    expect(await open(Buffer.from(body))).toBe('{"wrapped by":"openssl"}');
  });
});
