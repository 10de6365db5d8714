/** `nomyo-native receipt`: what shows when lines are missing, changed, moved or cut off, and what of a quote. */
import { createHash, createHmac } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkPolicy, policyId } from "../../../lib/attestation/policy.js";
import type { CheckedPolicy } from "../../../lib/attestation/policy.js";
import { verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import { checkReceipts } from "../../../lib/receipts/receipt-options.js";
import { ReceiptWriter } from "../../../lib/receipts/receipt-writer.js";
import { lineHash, lineOf, MAX_LINE_BYTES } from "../../../lib/receipts/receipt.js";
import type { Receipt } from "../../../lib/receipts/receipt.js";
import { runCommand } from "../../support/command-line.js";
import type { Outcome } from "../../support/command-line.js";
import { madeUpReceipt, receiptFolder } from "../../support/receipts.js";

const vector = JSON.parse(
  readFileSync(join(__dirname, "../../vectors/attestation/ecc-p256-ecdsa-sha256.json"), "utf8"),
) as { payload_id: string; tpm_attestation: Record<string, unknown> };
const otherKey = (
  JSON.parse(readFileSync(join(__dirname, "../../vectors/attestation/soft-key.json"), "utf8")) as typeof vector
).tpm_attestation["aik_pubkey_b64"];
const report = checkPolicy("report");
let base: string;
let folder: string;
beforeEach(() => {
  ({ base, folder } = receiptFolder());
});
afterEach(() => rmSync(base, { recursive: true }));

/** As a client makes them, with the vector's quote. */
async function attested(policy: CheckedPolicy = report, block: unknown = vector.tpm_attestation): Promise<Receipt> {
  const { payload_id } = vector;
  const made = await verifyTpmAttestation(block, { payloadId: payload_id, policy });
  return madeUpReceipt({
    payload_id,
    attestation: { mode: policy.mode, policy: policyId(policy), block, report: made },
  });
}
const plain = (change: Partial<Receipt> = {}): Receipt =>
  madeUpReceipt({
    attestation: { mode: "off", policy: policyId(checkPolicy("off")), block: null, report: null },
    ...change,
  });

async function write(
  receipts: readonly Receipt[],
  policy: CheckedPolicy = report,
  maxFileBytes?: number,
): Promise<void> {
  const writer = new ReceiptWriter(checkReceipts({ folder, maxFileBytes }, "receipts"), "required", {
    warn: () => undefined,
  });
  for (const receipt of receipts) await writer.append(receipt, policy);
  await writer.close();
}
const file = (number = 1): string => join(folder, `receipts-0000000${number}.jsonl`);
const lines = (): string[] => readFileSync(file(), "utf8").split("\n").slice(0, -1);
const rewrite = (changed: readonly string[]): void =>
  writeFileSync(file(), changed.map((line) => `${line}\n`).join(""));
const receipt = (...args: string[]): Promise<Outcome> => runCommand(["receipt", ...args]);
const faults = ({ stdout }: Outcome): string[] =>
  [...stdout.matchAll(/FAIL .*? line (\d+ .*)\.$/gm)].map(([, text]) => text!);

test("a chain holds, its quotes verify again, and it says what that proves and what not", async () => {
  await write([plain(), await attested(), await attested(checkPolicy("require"))]);
  const { code, stdout } = await receipt("verify", folder);
  expect(code).toBe(0);
  expect(stdout).toContain("The receipts hold: 3, numbers 1 to 3.");
  expect(stdout).toContain("2 answered with a quote that is right in itself, whose key nobody vouches for");
  expect(stdout).toContain("quotes verified again: 2 by their policy");
  expect(stdout).toContain(lineHash(lines()[2]!));
  expect(stdout).toContain("What it does not prove");
  const json = JSON.parse((await receipt("verify", file(), "--json")).stdout) as Record<string, unknown>;
  expect(json).toMatchObject({
    holds: true,
    receipts: 3,
    head: lineHash(lines()[2]!),
    faults: [],
    states: { "self-asserted": 2 },
  });
});

test("says nothing of quotes where no answer had one, nor of those that did not verify", async () => {
  const broken = { ...vector.tpm_attestation, aik_pubkey_b64: otherKey };
  await write([await attested(report, null), await attested(report, broken)]);
  const { code, stdout } = await receipt("verify", folder);
  expect(code).toBe(0);
  expect(stdout).toContain("1 answered without a quote");
  expect(stdout).toContain("quotes verified again: 1 by their policy");
  expect(stdout).not.toContain("Each quote");
});

describe("the chain", () => {
  beforeEach(() => write(Array.from({ length: 6 }, (_, at) => plain({ attempts: at + 1 }))));

  test.each<[string, (all: string[]) => string[], RegExp[]]>([
    [
      "a missing line",
      (all) => all.filter((_, at) => at !== 2),
      [/^3 has the number 4, and number 3 is missing before it$/],
    ],
    [
      "several",
      (all) => all.filter((_, at) => at < 1 || at > 3),
      [/^2 has the number 5, and numbers 2 to 4 are missing/],
    ],
    [
      "a changed line",
      (all) => all.map((line, at) => (at === 2 ? line.replace('"attempts":3', '"attempts":9') : line)),
      [/^3 .*changed/],
    ],
    [
      "two in each other's place",
      ([a, b, c, ...rest]) => [a!, c!, b!, ...rest],
      [/^2 has the number 3/, /^3 has the number 2, after/, /^4 has the number 4, and number 3/],
    ],
    ["a line twice", ([a, b, ...rest]) => [a!, b!, b!, ...rest], [/^3 has the number 2, after number 2/]],
    ["a line that is none", ([a, _b, ...rest]) => [a!, "{}", ...rest], [/^2 cannot be read/]],
    [
      "a line that is too long",
      ([a, _b, ...rest]) => [a!, "x".repeat(MAX_LINE_BYTES + 1), ...rest],
      [/^2 is too long/],
    ],
    [
      "a first line with one before it",
      ([a, ...rest]) => [a!.replace("0".repeat(64), "1".repeat(64)), ...rest],
      [/^1 is number 1, and names/, /^1 .*changed/],
    ],
  ])("%s shows by its number", async (_what, change, expected) => {
    rewrite(change(lines()));
    const outcome = await receipt("verify", folder);
    expect(outcome.code).toBe(10);
    expect(outcome.stdout).toContain("Something does not hold");
    const found = faults(outcome);
    expect(found).toHaveLength(expected.length);
    found.forEach((text, at) => expect(text).toMatch(expected[at]!));
  });

  test("what was cut off at the end, or rewritten from the beginning, shows by a hash that was noted", async () => {
    const all = lines();
    const head = lineHash(all[4]!);
    // Lines that came later do no harm.
    expect((await receipt("verify", folder, "--head", head)).code).toBe(0);
    rewrite(all.slice(0, 5));
    expect((await receipt("verify", folder, "--head", head.toUpperCase())).code).toBe(0);
    rewrite(all.slice(0, 4));
    expect((await receipt("verify", folder)).code).toBe(0);
    const cut = await receipt("verify", folder, "--head", head);
    expect([cut.code, faults(cut)[0]]).toEqual([10, expect.stringMatching(/^4 is the last one/)]);
    rmSync(folder, { recursive: true });
    await write(Array.from({ length: 6 }, () => plain({ attempts: 7 })));
    expect((await receipt("verify", folder, "--head", head)).code).toBe(10);
  });

  test("a last line that was cut off is told of, and no fault; in the middle of files it is one", async () => {
    truncateSync(file(), readFileSync(file()).length - 1);
    const torn = await receipt("verify", folder);
    expect([torn.code, torn.stdout.includes("The last line is cut off")]).toEqual([0, true]);
    expect(torn.stdout).toContain("hold: 5");
    writeFileSync(file(2), "");
    expect(faults(await receipt("verify", folder))).toEqual([expect.stringMatching(/^6 is cut off/)]);
  });

  test("a receipt of another chain is found out", async () => {
    const all = lines();
    const foreign = { ...plain(), chain: { sequence: 7, previous: "9".repeat(64) } };
    rewrite([...all, lineOf(foreign)]);
    expect(faults(await receipt("verify", folder))[0]).toMatch(/^6 .*changed/);
    rewrite([...all, lineOf(plain())]);
    expect(faults(await receipt("verify", folder))).toEqual(["7 is not part of a chain"]);
  });
});

test("archived files: says that lines before are not here, and takes the hash that they ended with", async () => {
  const block = "x".repeat(400_000);
  const off = plain().attestation;
  await write(
    Array.from({ length: 5 }, () => plain({ attestation: { ...off, block } })),
    report,
    MAX_LINE_BYTES,
  );
  expect((await receipt("verify", folder)).code).toBe(0);
  const { head } = JSON.parse((await receipt("verify", file(1), "--json")).stdout) as { head: string };
  mkdirSync(join(base, "archive"));
  renameSync(file(1), join(base, "archive", "1"));
  const rest = await receipt("verify", folder, "--since", head);
  expect([rest.code, rest.stdout.includes("Numbers 1 to 2 are not here")]).toEqual([0, true]);
  expect((await receipt("verify", folder, "--since", "0".repeat(64))).code).toBe(10);
  renameSync(file(2), join(base, "archive", "2"));
  renameSync(join(base, "archive", "1"), file(1));
  const gap = await receipt("verify", folder);
  expect([gap.code, gap.stderr]).toEqual([2, expect.stringContaining("is missing")]);
});

describe("quotes", () => {
  test.each<[string, (made: Receipt) => Receipt, RegExp]>([
    [
      "another payload id",
      (made) => ({ ...made, payload_id: "another" }),
      /says verified, and its quote is NONCE_MISMATCH/,
    ],
    [
      "another PCR in the report",
      (made) => ({
        ...made,
        attestation: { ...made.attestation, report: { ...made.attestation.report!, pcrs: { sha256: { "0": "00" } } } },
      }),
      /something else than its attestation block/,
    ],
    [
      "no block any more",
      (made) => ({ ...made, attestation: { ...made.attestation, block: null } }),
      /says verified, and its quote is ATTESTATION_MISSING/,
    ],
    [
      "a report that calls itself certified",
      (made) => ({
        ...made,
        attestation: { ...made.attestation, report: { ...made.attestation.report!, trust: "certified" } },
      }),
      /something else/,
    ],
    [
      "another policy than its report's",
      (made) => ({ ...made, attestation: { ...made.attestation, policy: "a".repeat(64) } }),
      /report of another policy/,
    ],
    ["no report", (made) => ({ ...made, attestation: { ...made.attestation, report: null } }), /without a report/],
  ])("%s is found, although the chain is right", async (_what, change, expected) => {
    await write([change(await attested())]);
    const outcome = await receipt("verify", folder);
    expect(outcome.code).toBe(10);
    expect(faults(outcome)[0]).toMatch(expected);
  });

  test("an answer that was handed on against its policy is one fault, and a refused one none", async () => {
    const broken = { ...vector.tpm_attestation, signature_b64: "" };
    const made = await attested(checkPolicy("require"), broken);
    await write([{ ...made, outcome: "refused", code: "ATTESTATION_MALFORMED" }]);
    expect((await receipt("verify", folder)).code).toBe(0);
    await write([made]);
    expect(faults(await receipt("verify", folder))).toEqual([expect.stringContaining("handed on though its policy")]);
  });

  test("by the policy that lies beside the receipts, or is given; without it by structure alone", async () => {
    const policy = checkPolicy({
      version: 1,
      mode: "report",
      profiles: [{ name: "p", pcrs: { sha256: { "0": "ab".repeat(32) } } }],
    });
    await write([await attested(policy)], policy);
    const beside = await receipt("verify", folder);
    expect([beside.code, beside.stdout.includes("1 by their policy")]).toEqual([0, true]);
    const alone = await receipt("verify", file());
    expect(alone.stdout).toContain(`The policy ${policyId(policy)} is not at hand`);
    expect(alone.code).toBe(0);
    const kept = join(folder, `policy-${policyId(policy)}.json`);
    const given = await receipt("verify", file(), "--policy", kept);
    expect(given.stdout).toContain("1 by their policy");
  });
});

test("packages and plaintexts that were kept are found, or not", async () => {
  const [key, kept, text, other] = ["key", "package", "text", "other"].map((name) => join(base, name));
  writeFileSync(key!, "k".repeat(32), { mode: 0o600 });
  for (const name of [kept!, text!, other!]) writeFileSync(name, `content of ${name}`, { mode: 0o600 });
  const content = readFileSync(text!);
  const response = {
    bytes: 1,
    sha256: createHash("sha256").update(readFileSync(kept!)).digest("hex"),
    plaintext_hmac: createHmac("sha256", "k".repeat(32)).update(content).digest("hex"),
  };
  await write([plain(), plain({ response })]);
  const both = await receipt("verify", folder, "--package", kept!, "--plaintext", text!, "--digest-key", key!);
  expect(both.code).toBe(0);
  expect(both.stdout.match(/is the response of number 2/g)).toHaveLength(2);
  const none = await receipt("verify", folder, "--package", other!);
  expect([none.code, none.stdout.includes("is in none of the receipts")]).toEqual([10, true]);
});

test("show prints one receipt, and what stands in it cannot steer a terminal", async () => {
  await write([plain({ payload_id: "a\u001b[2Jb" }), plain({ payload_id: "the-second" })]);
  const all = await receipt("show", folder);
  expect(all.stdout.match(/^Answered$/gm)).toHaveLength(2);
  expect(all.stdout).not.toContain("\u001b");
  const one = await receipt("show", file(), "--payload-id", "the-second", "--json");
  expect(JSON.parse(one.stdout)).toEqual(JSON.parse(lines()[1]!));
  expect((await receipt("show", folder, "--payload-id", "none")).code).toBe(30);
});

test("a receipt that a program kept by itself is one", async () => {
  writeFileSync(join(base, "one"), `${lineOf(await attested())}\n`);
  expect((await receipt("verify", join(base, "one"))).code).toBe(0);
});

test("30: no receipts; 2: wrong arguments", async () => {
  writeFileSync(join(base, "x"), "{}\nno\n");
  expect((await receipt("verify", join(base, "x"))).code).toBe(30);
  mkdirSync(join(base, "empty"));
  expect((await receipt("verify", join(base, "empty"))).code).toBe(30);
  for (const args of [
    [],
    ["verify"],
    ["look", base],
    ["verify", join(base, "none")],
    ["verify", base, base],
    ["verify", base, "--payload-id", "x"],
    ["show", base, "--head", "0".repeat(64)],
    ["verify", base, "--head", "0"],
    ["verify", base, "--package", join(base, "none")],
    ["verify", base, "--plaintext", join(base, "x")],
  ]) {
    expect((await receipt(...args)).code).toBe(2);
  }
});
