/** `nomyo-native keys` on files of every kind, with a ready-made key: making one takes a second or more. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { native } from "../../../lib/native.js";
import { runCommand } from "../../support/command-line.js";
import { makeKeyFolder } from "../../support/key-folder.js";
import type { KeyFolder } from "../../support/key-folder.js";

let keys: KeyFolder;
let folder: string;
beforeEach(() => {
  keys = makeKeyFolder();
  folder = mkdtempSync(join(tmpdir(), "nomyo-keys-files-"));
});
afterEach(() => {
  jest.restoreAllMocks();
  keys.remove();
  rmSync(folder, { recursive: true });
});
const publicPem = () => execFileSync("openssl", ["pkey", "-in", join(keys.path, "private_key.pem"), "-pubout"]);

test.each<[string, string[], RegExp]>([
  ["no action", ["keys"], /Say which/],
  ["an action that there is not", ["keys", "forget"], /Say which/],
  ["the name of a property of objects", ["keys", "constructor"], /Say which/],
  ["a file where a folder is checked", ["keys", "check", "file"], /argument too many/],
  ["a file beside a folder", ["keys", "show", "--dir", "folder", "file"], /argument too many/],
  ["two files", ["keys", "show", "one", "two"], /argument too many/],
  ["a question for a password without a terminal", ["keys", "check", "--ask-password"], /no terminal to ask/],
  [
    "a file that is not there",
    ["keys", "show", "/nonexistent"],
    /\/nonexistent cannot be read \(ENOENT: there is no such file/,
  ],
  ["a file that is no key", ["keys", "show", __filename], /is not the PEM of an RSA public key/],
])("exit code 2 for %s", async (_what, args, message) => {
  const { code, stdout, stderr } = await runCommand(args);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test.each([
  ["comes to its end", "\u0004", /No password was typed/],
  ["differs", "another password\n", /differ/],
])("generate wipes the password when the second one %s", async (_what, second, message) => {
  const made = jest.spyOn(SecureBuffer, "from");
  const { code, stderr } = await runCommand(["keys", "generate", "--dir", join(folder, "new"), "--ask-password"], {
    input: (terminal) => {
      terminal.answer("Password: ", "a password\n");
      terminal.answer("Again: ", second);
    },
  });
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
  const passwords = made.mock.results.map(({ value }) => (value as SecureBuffer).disposed);
  expect(passwords).toEqual(second === "\u0004" ? [true] : [true, true]);
});

test("show takes the private key of a folder that has no public one", async () => {
  const { code, stdout } = await runCommand(["keys", "show", "--dir", keys.path]);
  expect(code).toBe(0);
  expect(stdout.replace(/^.*\n/, "")).toBe(publicPem().toString());
});

test("show makes no string of a file with a private key, wherever in it the key stands", async () => {
  const toString = jest.spyOn(SecureBuffer.prototype, "toString");
  const file = join(keys.path, "commented.pem");
  const pem = readFileSync(join(keys.path, "private_key.pem"), "utf8");
  writeFileSync(file, `${publicPem().toString()}${"friendlyName: mine\n".repeat(10)}${pem}`, { mode: 0o600 });
  const { code, stderr } = await runCommand(["keys", "show", file]);
  expect({ code, stderr: stderr.includes("is not a private key in PEM form") }).toEqual({ code: 3, stderr: true });
  expect(toString).not.toHaveBeenCalled();
});

test("check tells whether there is a public key beside, in words and as JSON", async () => {
  const check = (...more: string[]) => runCommand(["keys", "check", "--dir", keys.path, ...more]);
  expect((await check()).stdout).toMatch(/public_key\.pem: not there; the client makes it anew\n/);
  expect(JSON.parse((await check("--json")).stdout)).toMatchObject({ bits: 4096, public_key: null });
  const file = join(keys.path, "public_key.pem");
  writeFileSync(file, publicPem());
  expect((await check()).stdout).toMatch(/public_key\.pem: belongs to it\n/);
  expect(JSON.parse((await check("--json")).stdout)).toMatchObject({ public_key: file });
});

describe("generate", () => {
  beforeEach(async () => {
    const pem = native.bufferFrom(readFileSync(join(keys.path, "private_key.pem")), "required");
    const key = await native.importPrivateKey(pem, null, "required");
    native.bufferDispose(pem);
    jest.spyOn(native, "generatePrivateKey").mockResolvedValue(key);
  });

  test("without a password says so, and writes what OpenSSL reads", async () => {
    const dir = join(folder, "new");
    const { code, stdout } = await runCommand(["keys", "generate", "--dir", dir]);
    expect(code).toBe(0);
    expect(stdout).toContain(`made ${join(dir, "private_key.pem")} (without a password)\n`);
    expect(readFileSync(join(dir, "public_key.pem"), "utf8")).toBe(publicPem().toString());
    expect(statSync(join(dir, "private_key.pem")).mode & 0o777).toBe(0o600);
  });

  test("asks twice for a password; the key is under it", async () => {
    const dir = join(folder, "new");
    const { code, stdout } = await runCommand(["keys", "generate", "--dir", dir, "--ask-password"], {
      input: (terminal) => {
        terminal.answer("Password: ", "correct horse battery\n");
        terminal.answer("Again: ", "correct horse battery\n");
      },
    });
    expect({ code, said: stdout.includes("(under the password)") }).toEqual({ code: 0, said: true });
    const args = ["pkey", "-in", join(dir, "private_key.pem"), "-passin", "pass:correct horse battery", "-pubout"];
    expect(execFileSync("openssl", args).equals(publicPem())).toBe(true);
  });

  test("where no folder can be made says why", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { code, stderr } = await runCommand(["keys", "generate", "--dir", join(file, "new")]);
    expect(stderr).toMatch(/The keys cannot be written to .*file\/new \(ENOTDIR: .*\)\. Name a folder/);
    expect(code).toBe(2);
  });
});

describe("a password file", () => {
  const encrypted = join(__dirname, "../../vectors/keys/client_private_encrypted.pem");
  const { keys: vectors } = JSON.parse(readFileSync(join(__dirname, "../../vectors/index.json"), "utf8")) as {
    keys: { file: string; password: string }[];
  };
  const { password } = vectors.find(({ file }) => file === "keys/client_private_encrypted.pem")!;
  const check = (content: string) => {
    writeFileSync(join(keys.path, "private_key.pem"), readFileSync(encrypted));
    const file = join(folder, "password");
    writeFileSync(file, content, { mode: 0o600 });
    return runCommand(["keys", "check", "--dir", keys.path, "--password-file", file]);
  };

  test.each([
    ["", 0, /^$/],
    ["\n", 0, /^$/],
    ["\r\n", 0, /^$/],
    ["\n\n", 3, /cannot be opened with this/],
    [" ", 3, /cannot be opened with this/],
  ])("that ends with %j: exit code %i", async (end, expected, message) => {
    const { code, stderr } = await check(password + end);
    expect(stderr).toMatch(message);
    expect(code).toBe(expected);
  });

  test("that is missing is not said to be wrong, nor one that is wrong to be missing", async () => {
    const put = (name: string, content: string): string => {
      const file = join(folder, name);
      writeFileSync(file, content, { mode: 0o600 });
      return file;
    };
    writeFileSync(join(keys.path, "private_key.pem"), readFileSync(encrypted));
    const privateKey = join(keys.path, "private_key.pem");
    const wrong = put("wrong", "another password");
    const nowhere = ["--base-url", "http://127.0.0.1:9", "--allow-http", "--retries", "0"];
    for (const [command, flag, asks] of [
      [["keys", "check", "--dir", keys.path], "--password-file", "--password-file or --ask-password"],
      [["keys", "show", privateKey], "--password-file", "--password-file or --ask-password"],
      [["router", "--key-file", privateKey], "--key-password-file", "--key-password-file"],
      [["proxy", ...nowhere, "--key-dir", keys.path], "--key-password-file", "--key-password-file"],
    ] as const) {
      const missing = await runCommand(command);
      expect(missing.stderr).toContain(`is protected by a password, and no password was given (${asks})`);
      expect(missing.stderr).not.toMatch(/wrong|cannot be opened/);
      const refused = await runCommand([...command, flag, wrong]);
      expect(refused.stderr).toContain(`cannot be opened with this password (${asks}): it is wrong`);
      expect(refused.stderr).not.toContain("no password was given");
      expect(refused.stderr).not.toContain("another password");
      expect([missing.code, refused.code]).toEqual([3, 3]);
    }
  });

  test("for a key that has none says so", async () => {
    const file = join(folder, "password");
    writeFileSync(file, "a password", { mode: 0o600 });
    const { code, stderr } = await runCommand(["keys", "check", "--dir", keys.path, "--password-file", file]);
    expect(stderr).toMatch(/is not protected by a password, and one was given \(--password-file or --ask-password\)/);
    expect(code).toBe(3);
  });

  test("that is too large to be one is not read", async () => {
    const { code, stderr } = await check("x".repeat(128 * 1024 + 1));
    expect(stderr).toMatch(/is larger than 131072 bytes/);
    expect(code).toBe(2);
  });
});
