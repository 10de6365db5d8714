import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../../support/command-line.js";

let folder: string;
let dir: string;
let passwordFile: string;
const password = "correct horse battery";

const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-keys-"));
  dir = join(folder, "keys");
  passwordFile = join(folder, "password");
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const { code, stdout } = await runCommand(["keys", "generate", "--dir", dir, "--password-file", passwordFile]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/RSA-4096, fingerprint sha256:[0-9a-f]{64}/);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("generate writes what OpenSSL reads, with the right modes", () => {
  const text = openssl(
    "pkey",
    "-in",
    join(dir, "private_key.pem"),
    "-passin",
    `file:${passwordFile}`,
    "-noout",
    "-text",
  );
  expect(text).toMatch(/^Private-Key: \(4096 bit/);
  const fromPrivate = openssl(
    "pkey",
    "-in",
    join(dir, "private_key.pem"),
    "-passin",
    `file:${passwordFile}`,
    "-pubout",
  );
  expect(openssl("pkey", "-pubin", "-in", join(dir, "public_key.pem"))).toBe(fromPrivate);
  const mode = (name: string) => statSync(join(dir, name)).mode & 0o777;
  expect([mode("."), mode("private_key.pem"), mode("public_key.pem")]).toEqual([0o700, 0o600, 0o644]);
});

test("generate never replaces a key", async () => {
  const before = statSync(join(dir, "private_key.pem")).mtimeMs;
  const { code, stderr } = await runCommand(["keys", "generate", "--dir", dir]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/never replaced/);
  expect(statSync(join(dir, "private_key.pem")).mtimeMs).toBe(before);
});

test("generate refuses a short password", async () => {
  const short = join(folder, "short");
  writeFileSync(short, "short", { mode: 0o600 });
  const { code, stderr } = await runCommand([
    "keys",
    "generate",
    "--dir",
    join(folder, "other"),
    "--password-file",
    short,
  ]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/8 characters/);
});

test("show tells the fingerprint that OpenSSL computes", async () => {
  const { code, stdout } = await runCommand(["keys", "show", "--dir", dir, "--json"]);
  expect(code).toBe(0);
  const der = execFileSync("openssl", ["pkey", "-pubin", "-in", join(dir, "public_key.pem"), "-outform", "DER"]);
  const digest = execFileSync("openssl", ["dgst", "-sha256", "-r"], { input: der, encoding: "utf8" }).split(" ", 1)[0];
  expect(JSON.parse(stdout)).toEqual({
    type: "rsa",
    bits: 4096,
    spki_sha256: digest,
    public_key_pem: openssl("pkey", "-pubin", "-in", join(dir, "public_key.pem")),
  });
});

test("show reads a private key too, with its password", async () => {
  const file = join(dir, "private_key.pem");
  const shown = await runCommand(["keys", "show", file], { env: { NOMYO_KEY_PASSWORD: password } });
  expect(shown.code).toBe(0);
  expect(shown.stdout).toContain(openssl("pkey", "-pubin", "-in", join(dir, "public_key.pem")));
  expect((await runCommand(["keys", "show", file])).code).toBe(3);
});

test("check accepts a good pair", async () => {
  const { code, stdout } = await runCommand(["keys", "check", "--dir", dir, "--password-file", passwordFile]);
  expect(stdout).toMatch(/belongs to it/);
  expect(code).toBe(0);
});

test("check asks for the password at a terminal, without showing it", async () => {
  const { code, stdout, stderr } = await runCommand(["keys", "check", "--dir", dir, "--ask-password"], {
    input: (terminal) => terminal.answer("Password: ", `${password}\n`),
  });
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain(password);
});

test.each<[string, (copy: string) => void, string[], RegExp]>([
  ["a wrong password", () => undefined, [], /cannot be opened with this/],
  ["a private key that others may read", (copy) => chmodSync(join(copy, "private_key.pem"), 0o644), [], /chmod 600/],
  [
    "a public key of another pair",
    (copy) => {
      const key = join(folder, "another.pem");
      openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key);
      openssl("pkey", "-in", key, "-pubout", "-out", join(copy, "public_key.pem"));
    },
    ["--password-file", "GOOD"],
    /does not belong to/,
  ],
])("check refuses %s with exit code 3", async (_what, spoil, args, message) => {
  const copy = mkdtempSync(join(folder, "copy-"));
  cpSync(dir, copy, { recursive: true });
  spoil(copy);
  const given = args.map((arg) => (arg === "GOOD" ? passwordFile : arg));
  const env: Record<string, string> = given.length === 0 ? { NOMYO_KEY_PASSWORD: "wrong password" } : {};
  const { code, stderr } = await runCommand(["keys", "check", "--dir", copy, ...given], { env });
  expect(stderr).toMatch(message);
  expect(code).toBe(3);
});

test("a password file that others may read is refused", async () => {
  const open = join(folder, "open");
  writeFileSync(open, password, { mode: 0o644 });
  const { code, stderr } = await runCommand(["keys", "check", "--dir", dir, "--password-file", open]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/chmod 600/);
});

test.each([
  ["is not there", "/nonexistent/file", /ENOENT/],
  ["is a folder", "FOLDER", /not a regular file/],
  ["is empty", "EMPTY", /is empty/],
])("a password file that %s is refused", async (_what, name, message) => {
  const empty = join(folder, "empty");
  writeFileSync(empty, "", { mode: 0o600 });
  const file = name === "FOLDER" ? folder : name === "EMPTY" ? empty : name;
  const { code, stderr } = await runCommand(["keys", "check", "--dir", dir, "--password-file", file]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

test("two passwords that differ make no key", async () => {
  const none = join(folder, "none");
  const { code, stderr } = await runCommand(["keys", "generate", "--dir", none, "--ask-password"], {
    input: (terminal) => {
      terminal.answer("Password: ", "first password\n");
      terminal.answer("Again: ", "second password\n");
    },
  });
  expect(stderr).toMatch(/differ/);
  expect(code).toBe(2);
  expect(() => statSync(none)).toThrow("ENOENT");
});
