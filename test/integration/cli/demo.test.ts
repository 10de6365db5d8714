/** `nomyo-native demo`: three requests and two refusals, with a software TPM and without, as docs/cli.md has it. */
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrivateKey } from "../../../lib/keys/private-key.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { runCommand } from "../../support/command-line.js";
import { blocksOf } from "../../support/document-blocks.js";

jest.setTimeout(240_000);

// Two keys of 4096 bits for each run would be most of the test's time.
const pem = readFileSync(join(__dirname, "../../vectors/keys/client_private.pem"), "utf8");
jest
  .spyOn(PrivateKey, "generate")
  .mockImplementation((locking) => PrivateKey.fromPem(SecureBuffer.from(pem), null, locking));

const folders = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("nomyo-demo-"));

test("the command of docs/cli.md is this one", () => {
  const [block, ...more] = blocksOf("docs/cli.md").filter(({ runBy }) => runBy?.endsWith("/cli/demo.test.ts"));
  expect({ code: block?.code, more }).toEqual({ code: "nomyo-native demo", more: [] });
});

test("without swtpm: the second refusal is of an answer without a quote", async () => {
  const before = folders();
  const { code, stdout, stderr } = await runCommand(["demo"], { env: { PATH: "/nonexistent" } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/its TPM +none: (swtpm|tpm2-tss) is not there/);
  for (const answer of ["Is anybody there?", "Count to three.", "Keep this to yourself."])
    expect(stdout).toContain(answer);
  expect(stdout).toContain("The server sent no attestation");
  expect(stdout).toContain("refused with SERVER_KEY_PIN");
  expect(stdout).toContain("refused with ATTESTATION_MISSING");
  expect(stdout).toContain("Everything went as it must.");
  expect(stdout).not.toContain("NOT AS");
  // For a pipe there is nothing that moves and no colour.
  expect(stdout).not.toContain("\u001b");
  expect(folders().filter((name) => !before.includes(name))).toEqual([]);
});

test("with a software TPM: its quotes verify, and one that was changed does not", async () => {
  const { code, stdout } = await runCommand(["demo"], { env: { PATH: process.env["PATH"]! } });
  expect(code).toBe(0);
  expect(stdout).toMatch(/its TPM +a software TPM/);
  expect(stdout).toContain("The quote is genuine in itself");
  expect(stdout).toMatch(/one digit of it changed\n +attestation +The server's attestation did not verify/);
  expect(stdout).toContain("Everything went as it must.");
});
