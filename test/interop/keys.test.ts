/** Key files cross in both directions between this package, OpenSSL's command and Python's `cryptography`. */
import { execFileSync } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { native } from "../../lib/native.js";
import type { PrivateKeyHandle } from "../../lib/native.js";
import { vectors } from "../support/client-key.js";
import { python } from "../support/python-envelope.js";

const password = "correct horse battery staple";

function load(pem: string, secret: string | null): Promise<PrivateKeyHandle> {
  const text = native.bufferFrom(pem, "required");
  return native.importPrivateKey(text, secret === null ? null : native.bufferFrom(secret, "required"), "required");
}

async function write(key: PrivateKeyHandle, secret: string | null): Promise<string> {
  const bytes = secret === null ? null : native.bufferFrom(secret, "required");
  return native.bufferToString(await native.exportPrivateKey(key, bytes, "required"));
}

const publicPem = (key: PrivateKeyHandle): string => native.publicKeyInfo(native.privateKeyPublic(key)).pem;

const openssl = (args: string[], input: string): string =>
  execFileSync("openssl", args, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });

let key: PrivateKeyHandle;
beforeAll(async () => {
  key = await native.generatePrivateKey(4096, "required");
});

test("a generated key is a 4096-bit RSA key with exponent 65537 that OpenSSL finds consistent", async () => {
  const pem = await write(key, null);
  expect(openssl(["pkey", "-check", "-noout"], pem)).toContain("Key is valid");
  expect(openssl(["pkey", "-text", "-noout"], pem)).toMatch(/4096 bit.*65537/s);
});

test("OpenSSL and Python read our files, plain and with a password", async () => {
  const [plain, encrypted] = [await write(key, null), await write(key, password)];
  expect(openssl(["pkey", "-pubout"], plain)).toBe(publicPem(key));
  expect(openssl(["pkey", "-pubout", "-passin", `pass:${password}`], encrypted)).toBe(publicPem(key));
  expect(
    python([
      { do: "public", private: plain },
      { do: "public", private: encrypted, password },
    ]),
  ).toEqual([publicPem(key), publicPem(key)]);
});

test("our password files are PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC", async () => {
  const encrypted = await write(key, password);
  const structure = openssl(["asn1parse"], encrypted.replaceAll("ENCRYPTED PRIVATE KEY", "DATA"));
  expect(structure).toMatch(/PBES2[^]*PBKDF2[^]*hmacWithSHA256[^]*aes-256-cbc/);
});

test("we read OpenSSL's and Python's files, plain and with a password", async () => {
  const plain = await write(key, null);
  const files = [
    openssl(["pkey"], plain),
    openssl(["pkey", "-traditional"], plain),
    openssl(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", `pass:${password}`], plain),
    openssl(
      ["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512", "-passout", `pass:${password}`],
      plain,
    ),
  ];
  for (const file of files) {
    expect(publicPem(await load(file, file.includes("ENCRYPTED") ? password : null))).toBe(publicPem(key));
  }
  const [made = "", locked = ""] = python([{ do: "generate" }, { do: "generate", password }]);
  const publics = python([
    { do: "public", private: made },
    { do: "public", private: locked, password },
  ]);
  expect([publicPem(await load(made, null)), publicPem(await load(locked, password))]).toEqual(publics);
});

test("the fingerprint is SHA-256 of the DER of SubjectPublicKeyInfo", () => {
  const pem = publicPem(key);
  const der = createPublicKey(pem).export({ type: "spki", format: "der" });
  const info = native.publicKeyInfo(native.importPublicKey(pem, 4096));
  expect(info).toEqual({ bits: 4096, pem, spkiSha256: createHash("sha256").update(der).digest("hex") });
});

describe("refused", () => {
  const read = (name: string): string => readFileSync(join(vectors, "keys", name), "utf8");
  const encrypted = read("client_private_encrypted.pem");
  test.each([
    ["a 1024-bit key", read("rsa1024_private.pem"), null, "KEY_WEAK"],
    ["an elliptic curve key", read("ec_private.pem"), null, "KEY_WEAK"],
    ["a missing password", encrypted, null, "KEY_PASSWORD"],
    ["a wrong password", encrypted, "Correct horse battery staple", "KEY_PASSWORD"],
    ["an empty password", encrypted, "", "KEY_PASSWORD"],
    ["a public key", read("client_public.pem"), null, "KEY_FORMAT"],
    ["two keys", read("client_private.pem") + read("client_private.pem"), null, "KEY_FORMAT"],
    ["an old OpenSSL password form", "traditional", password, "KEY_FORMAT"],
  ])("%s", async (_name, file, secret, code) => {
    const pem =
      file === "traditional"
        ? openssl(["rsa", "-traditional", "-aes256", "-passout", `pass:${password}`], read("client_private.pem"))
        : file;
    await expect(load(pem, secret)).rejects.toMatchObject({ code });
  });

  test("a public key that is too short for its use", () => {
    const pem = openssl(
      ["pkey", "-pubout"],
      openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ""),
    );
    expect(() => native.importPublicKey(pem, 4096)).toThrow(expect.objectContaining({ code: "KEY_WEAK" }));
    expect(native.publicKeyInfo(native.importPublicKey(pem, 2048)).bits).toBe(2048);
  });
});
