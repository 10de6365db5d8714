import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { runCommand } from "../../support/command-line.js";
import { routerKeyFile } from "../../support/router-key.js";

const apiKey = "clinic-a-0123456789abcdef";
const keyFile = routerKeyFile();
const env = { NOMYO_API_KEY: apiKey };
const folder = mkdtempSync(join(tmpdir(), "nomyo-chat-"));
let router: Router;
let base: string[];

beforeAll(async () => {
  router = await startRouter({ keyFile: keyFile.path, apiKeys: [apiKey] });
  cpSync(join(__dirname, "../../vectors/keys/client_private.pem"), join(folder, "private_key.pem"));
  chmodSync(join(folder, "private_key.pem"), 0o600);
  base = ["chat", "--base-url", router.url, "--allow-http", "--retries", "0", "--key-dir", folder];
});
afterAll(async () => {
  await router.close();
  keyFile.remove();
  rmSync(folder, { recursive: true, force: true });
});

const echo = "This is nomyo-native's echo model, not a language model. You wrote:";

test("a prompt from an argument", async () => {
  const { code, stdout, stderr } = await runCommand([...base, "Grüße, 世界"], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${echo} Grüße, 世界\n` });
  expect(stderr).toMatch(/^\[\d+ ms, tier standard, NO TPM quote came \(ATTESTATION_MISSING\)\]\n$/);
});

test("a prompt from stdin, without its last line's end", async () => {
  const { code, stdout } = await runCommand([...base, "--quiet"], { env, input: "two\nlines\r\n" });
  expect({ code, stdout }).toEqual({ code: 0, stdout: `${echo} two\nlines\n` });
});

test("--json gives the whole answer", async () => {
  const { stdout } = await runCommand(
    [...base, "--json", "--quiet", "--model", "m", "--tier", "high", "--max-tokens", "2", "hi"],
    { env },
  );
  expect(JSON.parse(stdout)).toMatchObject({
    model: "m",
    choices: [{ message: { content: "This is" }, finish_reason: "length" }],
    _metadata: { security_tier: "high", is_encrypted: true },
  });
});

test("an API key from a file; a pinned key", async () => {
  const file = join(folder, "api-key");
  writeFileSync(file, `${apiKey}\n`, { mode: 0o600 });
  const pin = ["--pin", `sha256:${router.publicKey.spkiSha256}`];
  expect((await runCommand([...base, "--api-key-file", file, ...pin, "hi"])).code).toBe(0);
});

test.each<[string, number, () => [string[], Record<string, string>], RegExp]>([
  ["no API key", 4, () => [[...base, "hi"], {}], /./],
  ["a pin of another key", 3, () => [[...base, "--pin", "ab".repeat(32), "hi"], env], /pin/i],
  ["attestation that is required and not there", 3, () => [[...base, "--attestation", "require", "hi"], env], /./],
  ["tier maximum of a server without a TPM", 4, () => [[...base, "--tier", "maximum", "hi"], env], /./],
  ["plain HTTP without consent", 3, () => [["chat", "--base-url", router.url, "hi"], env], /plain http/i],
  [
    "nothing at the address",
    5,
    () => [["chat", "--base-url", "http://127.0.0.1:9", "--allow-http", "--retries", "0", "hi"], env],
    /./,
  ],
  ["a tier that there is not", 2, () => [[...base, "--tier", "ultra", "hi"], env], /--tier/],
  ["an attestation mode that there is not", 2, () => [[...base, "--attestation", "maybe", "hi"], env], /attestation/],
  ["a policy beside a mode", 2, () => [[...base, "--attestation", "report", "--policy", "x", "hi"], env], /--policy/],
  ["a policy file that is not there", 2, () => [[...base, "--policy", "/nonexistent", "hi"], env], /ENOENT/],
  ["an empty prompt", 2, () => [base, env], /The prompt is empty/],
])("%s ends with exit code %i", async (_what, expected, given, message) => {
  const [args, environment] = given();
  const { code, stdout, stderr } = await runCommand(args, { env: environment });
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
  expect(stderr).not.toContain(apiKey);
});

test("without a key folder a key is made for the run", async () => {
  const args = ["chat", "--base-url", router.url, "--allow-http", "hi"];
  expect((await runCommand(args, { env })).stdout).toBe(`${echo} hi\n`);
});

test("a key folder under a password", async () => {
  const locked = mkdtempSync(join(folder, "locked-"));
  cpSync(join(__dirname, "../../vectors/keys/client_private_encrypted.pem"), join(locked, "private_key.pem"));
  chmodSync(join(locked, "private_key.pem"), 0o600);
  const args = ["chat", "--base-url", router.url, "--allow-http", "--quiet", "--key-dir", locked, "hi"];
  const { keys } = JSON.parse(readFileSync(join(__dirname, "../../vectors/index.json"), "utf8")) as {
    keys: { file: string; password: string }[];
  };
  const { password } = keys.find(({ file }) => file === "keys/client_private_encrypted.pem")!;
  expect((await runCommand(args, { env: { ...env, NOMYO_KEY_PASSWORD: password } })).code).toBe(0);
  expect((await runCommand(args, { env: { ...env, NOMYO_KEY_PASSWORD: "not this one" } })).code).toBe(3);
});

test("a policy file decides", async () => {
  const file = join(folder, "policy.json");
  writeFileSync(file, JSON.stringify({ version: 1, mode: "require" }));
  expect((await runCommand([...base, "--policy", file, "hi"], { env })).code).toBe(3);
  writeFileSync(file, JSON.stringify({ version: 1, mode: "report" }));
  expect((await runCommand([...base, "--policy", file, "hi"], { env })).code).toBe(0);
});

test("a conversation at a terminal carries its turns, starts over and ends", async () => {
  const { code, stdout } = await runCommand([...base, "--system", "Be brief."], {
    env,
    input: (terminal) => {
      terminal.answer("> ", "first\n");
      terminal.answer("You wrote: first", "second\n");
      terminal.answer("You wrote: second", "/new\n");
      terminal.answer("> ", "\n");
    },
  });
  expect(code).toBe(0);
  expect(stdout).toContain(`${echo} first`);
  expect(stdout).toContain(`${echo} second`);
});

test("a prompt over 10 MiB is refused before anything is sent", async () => {
  const { code, stderr } = await runCommand(base, { env, input: Buffer.alloc(10 * 1024 * 1024 + 1, 0x61) });
  expect({ code, stderr: stderr.includes("larger than 10485760 bytes") }).toEqual({ code: 2, stderr: true });
});
