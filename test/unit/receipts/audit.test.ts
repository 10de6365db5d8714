/** `nomyo-native receipt`: what shows when lines are missing, changed, moved or cut off, and what of a quote. */
import { execFileSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalPolicy, checkPolicy, policyId } from "../../../lib/attestation/policy.js";
import type { CheckedPolicy } from "../../../lib/attestation/policy.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import { verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import { checkReceipts } from "../../../lib/receipts/receipt-options.js";
import { ReceiptWriter } from "../../../lib/receipts/receipt-writer.js";
import { lineHash, lineOf, MAX_LINE_BYTES } from "../../../lib/receipts/receipt.js";
import type { Receipt } from "../../../lib/receipts/receipt.js";
import { runCommand } from "../../support/command-line.js";
import type { Outcome } from "../../support/command-line.js";
import { madeUpReceipt, receiptFolder } from "../../support/receipts.js";

const vectors = join(__dirname, "../../vectors/attestation");
const vector = JSON.parse(readFileSync(join(vectors, "ecc-p256-ecdsa-sha256.json"), "utf8")) as {
  payload_id: string;
  tpm_attestation: Record<string, unknown>;
};
const pcrs = (vector.tpm_attestation["pcr_values"] as Record<string, Record<string, string>>)["sha256"]!;
const otherKey = (JSON.parse(readFileSync(join(vectors, "soft-key.json"), "utf8")) as typeof vector).tpm_attestation[
  "aik_pubkey_b64"
];
const report = checkPolicy("report");
let base: string;
let folder: string;
let authority: string;
/** A certificate of the vector's AIK, in base64, and its root. */
let certificate: string;
let rootPem: string;
beforeAll(async () => {
  authority = mkdtempSync(join(tmpdir(), "nomyo-authority-"));
  const { aik } = await verifyTpmAttestation(vector.tpm_attestation, { payloadId: vector.payload_id });
  writeFileSync(join(authority, "aik.pub"), aik!.pem);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: authority, stdio: "ignore" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-subj", "/CN=Test root", "-keyout", "root.key", "-out", "root.pem");
  openssl("req", "-new", ...key, "-subj", "/CN=AIK", "-keyout", "any.key", "-out", "aik.csr");
  const usage =
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=2.23.133.8.3\n";
  writeFileSync(join(authority, "aik.ext"), usage);
  const signer = [
    "-extfile",
    "aik.ext",
    "-CA",
    "root.pem",
    "-CAkey",
    "root.key",
    "-CAcreateserial",
    "-force_pubkey",
    "aik.pub",
  ];
  openssl("x509", "-req", "-in", "aik.csr", ...signer, "-outform", "DER", "-out", "aik.der");
  certificate = readFileSync(join(authority, "aik.der")).toString("base64");
  rootPem = readFileSync(join(authority, "root.pem"), "utf8");
});
afterAll(() => rmSync(authority, { recursive: true }));
beforeEach(() => {
  ({ base, folder } = receiptFolder());
});
afterEach(() => rmSync(base, { recursive: true }));

/** As a client makes them, with the vector's quote. */
async function attested(
  policy: CheckedPolicy = report,
  block: unknown = vector.tpm_attestation,
  payload_id = vector.payload_id,
): Promise<Receipt> {
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
  expect(stdout).toContain("quotes looked at again: 2; verified: 2 by their policy, 0 by the structural checks alone");
  for (const mode of ["report", "require"])
    expect(stdout).toContain(`policy used: ${policyId(checkPolicy(mode))}, of a mode alone`);
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
  expect(stdout).toContain("quotes looked at again: 1; verified: 0 by their policy");
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
    expect(torn.stdout).toContain("a whole line that somebody cut looks the same (--head)");
    const head = lineHash(lines().at(-1)!);
    expect((await receipt("verify", folder, "--head", head)).code).toBe(0);
    writeFileSync(file(2), "");
    expect(faults(await receipt("verify", folder))).toEqual([expect.stringMatching(/^6 is cut off/)]);
  });

  test("a line in no chain opens none: what it stands before is looked at as the beginning", async () => {
    const rest = lines().slice(3);
    const { previous } = (JSON.parse(rest[0]!) as Receipt).chain!;
    const head = lineHash(rest.at(-1)!);
    rewrite([lineOf(plain()), ...rest]);
    const outcome = await receipt("verify", folder, "--head", head, "--since", previous);
    expect(faults(outcome)).toEqual(["1 is not part of a chain"]);
    expect(outcome.stdout).toContain("numbers 4 to 6");
    expect(outcome.stdout).toContain(`the line before the first has the hash ${previous}`);
    expect(faults(await receipt("verify", folder, "--since", "a".repeat(64)))).toEqual([
      "1 is not part of a chain",
      expect.stringMatching(/^2 does not follow the line with the hash that was given/),
    ]);
    rewrite([lineOf(plain()), lineOf(plain())]);
    expect(faults(await receipt("verify", folder))).toEqual(["2 is not part of a chain"]);
    rewrite([lineOf(plain())]);
    expect((await receipt("verify", folder)).code).toBe(0);
    expect(faults(await receipt("verify", folder, "--since", previous))).toEqual([
      expect.stringMatching(/^1 is not part of a chain, so that it follows no line/),
    ]);
  });

  test("a hash that was noted must be that of a line that is here", async () => {
    const all = lines();
    rewrite(all.slice(3));
    expect(faults(await receipt("verify", folder, "--head", lineHash(all[2]!)))).toEqual([
      expect.stringMatching(/^3 is the last one, and none has the hash/),
    ]);
    const whole = await receipt("verify", folder, "--head", lineHash(all[3]!));
    expect(whole.code).toBe(0);
    expect(whole.stdout).toContain("no line from number 4 up to it was changed");
  });

  test("a first line with a number, and none before it, is none that a writer makes", async () => {
    rewrite([lineOf({ ...plain(), chain: { sequence: 4, previous: "0".repeat(64) } })]);
    expect(faults(await receipt("verify", folder))).toEqual(["1 has the number 4, and names no line before it"]);
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
      profiles: [{ name: "p", pcrs: { sha256: { "0": pcrs["0"]! } } }],
    });
    await write([await attested(policy)], policy);
    const beside = await receipt("verify", folder);
    expect([beside.code, beside.stdout.includes("verified: 1 by their policy")]).toEqual([0, true]);
    expect(beside.stdout).toContain(`policy used: ${policyId(policy)}, found beside the receipts`);
    const alone = await receipt("verify", file());
    expect(alone.stdout).toContain(`The policy ${policyId(policy)} is not at hand`);
    expect(alone.stdout).toContain("Nothing is wrong, but not all could be verified");
    expect(alone.stdout).toContain("verified: 0 by their policy, 1 by the structural checks alone");
    expect(alone.code).toBe(20);
    expect(JSON.parse((await receipt("verify", file(), "--json")).stdout)).toMatchObject({
      holds: false,
      faults: [],
      missingPolicies: [policyId(policy)],
    });
    const kept = join(folder, `policy-${policyId(policy)}.json`);
    const given = await receipt("verify", file(), "--policy", kept);
    expect(given.stdout).toContain("verified: 1 by their policy");
    expect(given.stdout).toContain(`policy used: ${policyId(policy)}, given with --policy`);
  });

  describe("whose policy is not at hand", () => {
    const policy = "a".repeat(64);

    test("an answer without a report is not known to have needed none, though its line says so", async () => {
      const said = plain().attestation;
      await write([plain({ attestation: { ...said, policy } })]);
      const { code, stdout } = await receipt("verify", folder);
      expect(code).toBe(20);
      expect(stdout).toContain(`The policy ${policy} is not at hand`);
      // Nothing was handed on there: its policy decides nothing.
      await write([plain({ attestation: { ...said, policy }, outcome: "refused", code: "KEY_PIN_MISMATCH" })]);
      rewrite(lines().slice(1));
      expect((await receipt("verify", folder)).code).toBe(0);
    });
    /** The same, said to be of that policy. */
    const elsewhere = (made: Receipt, change: object = {}): Receipt => {
      const changed = { ...made.attestation.report, ...change, policyId: policy };
      // Without what is undefined, as in a line.
      const said = JSON.parse(JSON.stringify(changed)) as AttestationReport;
      return { ...made, attestation: { ...made.attestation, policy, report: said } };
    };
    const signature = Buffer.from(vector.tpm_attestation["signature_b64"] as string, "base64");
    const flipped = {
      signature_b64: Buffer.from(signature.map((byte, at) => (at === signature.length - 1 ? byte ^ 1 : byte))).toString(
        "base64",
      ),
    };
    const claimed = { verified: true, trust: "certified", code: undefined, message: undefined } as const;

    test("a quote that is right counts as what structural checks can tell, whatever the report claims", async () => {
      await write([elsewhere(await attested(), claimed)]);
      const { code, stdout } = await receipt("verify", folder);
      expect(code).toBe(20);
      expect(stdout).toContain("1 answered with a quote that is right in itself, whose key nobody vouches for");
      expect(stdout).not.toContain("certified");
    });

    test.each<[string, object, RegExp]>([
      ["with a signature that is wrong", flipped, /says verified, and its quote is SIGNATURE_INVALID/],
      ["by another key", { aik_pubkey_b64: otherKey }, /says verified, and its quote is AIK_SCHEME/],
      ["without a signature", { signature_b64: "" }, /says verified, and its quote is ATTESTATION_MISSING/],
      ["over other PCRs", { pcr_values: {} }, /says verified, and its quote is ATTESTATION_MISSING/],
    ])("a quote %s is a fault where the report claims that it verified", async (_what, change, expected) => {
      const genuine = await attested();
      const block = { ...vector.tpm_attestation, ...change };
      await write([elsewhere({ ...genuine, attestation: { ...genuine.attestation, block } }, claimed)]);
      const outcome = await receipt("verify", folder);
      expect(outcome.code).toBe(10);
      expect(faults(outcome)).toEqual([expect.stringMatching(expected)]);
      expect(outcome.stdout).not.toContain("certified");
      expect(outcome.stdout).toContain("verified: 0 by their policy, 0 by");
    });

    test("what the report shows of the quote is compared all the same", async () => {
      const made = await attested();
      for (const change of [
        { pcrs: { sha256: { "0": "00" } } },
        { pcrs: undefined },
        { quote: { ...made.attestation.report!.quote!, clock: "1" } },
        { aik: { ...made.attestation.report!.aik!, hierarchy: "primary:platform" } },
      ]) {
        writeFileSync(join(base, "one"), `${lineOf(elsewhere(made, change))}\n`);
        const outcome = await receipt("verify", join(base, "one"));
        expect(faults(outcome)).toEqual([expect.stringContaining("something else than its attestation block")]);
      }
    });

    test("a report of failure may be one of the policy, and of nothing that no policy changes", async () => {
      const failed = { verified: false, message: "x" } as const;
      const made = await attested();
      const verdicts: string[][] = [];
      for (const [code, hasValues] of [
        ["PCR_BASELINE", true],
        ["PCR_BANK", false],
        ["NONCE_MISMATCH", false],
        ["SIGNATURE_INVALID", false],
      ] as const) {
        const change = { ...failed, code, ...(hasValues ? {} : { pcrs: undefined }) };
        writeFileSync(join(base, "one"), `${lineOf(elsewhere(made, change))}\n`);
        verdicts.push(faults(await receipt("verify", join(base, "one"))));
      }
      expect(verdicts).toEqual([
        [],
        [],
        [expect.stringContaining("says NONCE_MISMATCH, and its quote is verified")],
        [expect.stringContaining("says SIGNATURE_INVALID, and its quote is verified")],
      ]);
    });
  });

  test("every report that the verifier makes, of any block by any policy, holds with and without it", async () => {
    const policies = [
      report,
      checkPolicy({ version: 1, mode: "report", signature: { schemes: ["rsapss"] }, banks: ["sha1", "sha256"] }),
      checkPolicy({ version: 1, mode: "report", requirePrimary: true, required: { sha256: [22] } }),
      checkPolicy({ version: 1, mode: "report", profiles: [{ name: "p", pcrs: { sha256: { "0": pcrs["0"]! } } }] }),
      checkPolicy({ version: 1, mode: "report", signature: { minRsaBits: 4096 }, aikRoots: [rootPem] }),
    ];
    const made: Receipt[] = [];
    for (const name of readdirSync(vectors)) {
      const { payload_id, tpm_attestation } = JSON.parse(readFileSync(join(vectors, name), "utf8")) as typeof vector;
      for (const policy of policies) made.push(await attested(policy, tpm_attestation, payload_id));
    }
    expect(new Set(made.map(({ attestation }) => attestation.report!.code)).size).toBeGreaterThan(8);
    await write(made);
    const alone = await receipt("verify", file());
    expect([alone.code, faults(alone)]).toEqual([20, []]);
    const given = policies.map((policy, at) => {
      writeFileSync(join(base, `${at}.json`), canonicalPolicy(policy));
      return ["--policy", join(base, `${at}.json`)];
    });
    const whole = await receipt("verify", file(), ...given.flat());
    expect([whole.code, faults(whole)]).toEqual([0, []]);
  });

  test("a report that differs in anything but its times and sentences is found", async () => {
    const made = await attested();
    const { checks, engine } = made.attestation.report!;
    const changes: [Partial<AttestationReport>, boolean][] = [
      [{ verifiedAt: "2020-01-01T00:00:00.000Z" }, false],
      [{ checks: checks.map((check) => ({ ...check, detail: "in other words" })) }, false],
      [{ checks: checks.slice(1) }, true],
      [{ checks: checks.map((check) => ({ ...check, ok: check.code === "PCR_BASELINE" ? true : check.ok })) }, true],
      [{ engine: { ...engine, verdict: "unsupported" } }, true],
      [{ profile: "the right one" }, true],
      [{ nearest: { profile: "p", differences: [] } }, true],
    ];
    for (const [change, isFault] of changes) {
      const changed = { ...made.attestation, report: { ...made.attestation.report!, ...change } };
      writeFileSync(join(base, "one"), `${lineOf({ ...made, attestation: changed })}\n`);
      expect(faults(await receipt("verify", join(base, "one")))).toHaveLength(isFault ? 1 : 0);
    }
  });

  test("a verdict that a policy wants of a TPM is not claimed without one", async () => {
    const policy = checkPolicy({ version: 1, mode: "report", engine: "esapi" });
    const { report: offline } = (await attested()).attestation;
    const made = await attested(policy);
    const claiming = (engine: AttestationReport["engine"], change: Partial<AttestationReport> = {}): Receipt => ({
      ...made,
      attestation: { ...made.attestation, report: { ...offline!, policyId: policyId(policy), engine, ...change } },
    });
    const withoutPcrs = (one: Receipt): Receipt => {
      const { pcrs: _pcrs, ...rest } = one.attestation.report!;
      return { ...one, attestation: { ...one.attestation, report: rest } };
    };
    const refused = { verified: false, code: "SIGNATURE_INVALID", message: "x" } as const;
    await write(
      [
        claiming({ name: "esapi", verdict: "valid" }),
        claiming({ name: "esapi", verdict: "unsupported" }),
        claiming({ name: "offline", verdict: "valid" }),
        withoutPcrs(claiming({ name: "esapi", verdict: "invalid" }, refused)),
        claiming({ name: "esapi", verdict: "invalid" }, refused),
      ],
      policy,
    );
    const outcome = await receipt("verify", folder);
    expect(faults(outcome)).toEqual([
      expect.stringMatching(/^2 .*wants a TPM's verdict/),
      expect.stringMatching(/^3 .*wants a TPM's verdict/),
      expect.stringMatching(/^5 has a report of something else/),
    ]);
    // What a TPM refused can only be taken as it was written, and is no quote that verified.
    expect(outcome.stdout).toContain("1 answered with a quote that did not verify");
    expect(outcome.stdout).toContain("quotes looked at again: 5; verified: 1 by their policy");
  });

  test("a certified key is certified by the policy's roots, and it is said whose policy that is", async () => {
    const policy = checkPolicy({ version: 1, mode: "require", aikRoots: [rootPem] });
    const block = { ...vector.tpm_attestation, aik_cert_chain_b64: [certificate] };
    await write([{ ...(await attested(policy, block)), ended_at: new Date().toISOString() }], policy);
    const beside = await receipt("verify", folder);
    expect([beside.code, faults(beside)]).toEqual([0, []]);
    expect(beside.stdout).toContain("1 answered with a quote of a TPM whose key is certified");
    expect(beside.stdout).toContain("A key is certified by the roots of the policy that was used");
    expect(beside.stdout).toContain("put there by whoever wrote the folder");
    writeFileSync(join(base, "mine.json"), canonicalPolicy(policy));
    const given = await receipt("verify", folder, "--policy", join(base, "mine.json"));
    expect(given.stdout).toContain(`policy used: ${policyId(policy)}, given with --policy`);
    expect(given.stdout).not.toContain("put there by");
    // Shown as what was written, whatever it is.
    const shown = await receipt("show", folder);
    expect(shown.stdout).toMatch(/its report {4}verified\. .* As written; `receipt verify` checks it\.$/m);
    const alone = await receipt("verify", file());
    expect(alone.stdout).toContain("1 answered with a quote that is right in itself, whose key nobody vouches for");
    expect([alone.code, alone.stdout.includes("certified by the roots")]).toEqual([20, false]);
  });

  test("policies beside the receipts are read by their names, and believed only where those are right", async () => {
    const policy = checkPolicy({ version: 1, mode: "report", requirePrimary: false });
    await write([await attested(policy)], policy);
    const kept = join(folder, `policy-${policyId(policy)}.json`);
    const looked = async (): Promise<[number, boolean, boolean]> => {
      const { code, stdout } = await receipt("verify", folder);
      return [code, stdout.includes(`${kept} is not the policy that its name says`), stdout.includes("not at hand")];
    };
    writeFileSync(join(folder, "policy-notes.json"), "{");
    expect(await looked()).toEqual([0, false, false]);
    for (const content of [canonicalPolicy(checkPolicy("require")), "{", "", " ".repeat(200_000)]) {
      writeFileSync(kept, content);
      expect(await looked()).toEqual([20, true, true]);
    }
    rmSync(kept);
    mkdirSync(kept);
    expect(await looked()).toEqual([20, true, true]);
    rmSync(kept, { recursive: true });
    expect(await looked()).toEqual([20, false, true]);
    if (process.platform === "win32") return;
    execFileSync("mkfifo", [kept]);
    expect(await looked()).toEqual([20, true, true]);
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
  expect(all.stdout).toContain("its report    none");
  expect(all.stdout).not.toContain("\u001b");
  const one = await receipt("show", file(), "--payload-id", "the-second", "--json");
  expect(JSON.parse(one.stdout)).toEqual(JSON.parse(lines()[1]!));
  expect((await receipt("show", folder, "--payload-id", "none")).code).toBe(30);
});

test("a receipt that a program kept by itself is one", async () => {
  writeFileSync(join(base, "one"), `${lineOf(await attested())}\n`);
  expect((await receipt("verify", join(base, "one"))).code).toBe(0);
});

test("a line that nobody's writer wrote is a fault of its own, and the others are verified", async () => {
  await write([plain({ attempts: 1 }), await attested(), plain({ attempts: 3 })]);
  const [first, second, third] = lines();
  const engine = /"engine":\{[^}]*\},/;
  for (const [what, bad] of [
    ["report", second!.replace(engine, "")],
    [
      "deep",
      second!.replace(/"block":\{.*?\},"report"/, `"block":${"[".repeat(200_000)}${"]".repeat(200_000)},"report"`),
    ],
    ["ended_at", second!.replace('"ended_at":"2026', '"ended_at":"1926')],
    ["id", second!.replace(/"payload_id":"[^"]*"/, '"payload_id":null')],
    ["report", second!.replace('"fault":"', "").replace('"checks":', '"fault":"TSS_MISSING","checks":')],
  ] as const) {
    expect(bad).not.toBe(second);
    rewrite([first!, bad, third!]);
    const outcome = await receipt("verify", folder);
    expect([outcome.code, faults(outcome)]).toEqual([10, [expect.stringMatching(/^2 cannot be read as a receipt: /)]]);
    expect(outcome.stdout).toContain(what);
    expect(outcome.stdout).toContain("answered: 2");
    expect((await receipt("show", folder)).stdout.match(/^Answered$/gm)).toHaveLength(2);
  }
});

test("after a thousand faults nothing more is read", async () => {
  writeFileSync(join(base, "x"), "\n".repeat(100_000));
  const { code, stdout } = await receipt("verify", join(base, "x"), "--json");
  const found = JSON.parse(stdout) as { faults: { line: number; what: string }[] };
  expect([code, found.faults.length]).toEqual([30, 1001]);
  expect(found.faults.at(-1)).toMatchObject({ line: 1001, what: expect.stringContaining("what follows was not read") });
});

(process.platform === "win32" ? test.skip : test)("what is no file is not waited for", async () => {
  mkdirSync(folder);
  execFileSync("mkfifo", [file()]);
  for (const action of ["verify", "show"]) {
    for (const place of [folder, file(), "/dev/zero"]) {
      const { code, stderr } = await receipt(action, place);
      expect([code, stderr]).toEqual([2, expect.stringContaining("is not a regular file")]);
    }
  }
});

test("30: no receipts; 2: wrong arguments", async () => {
  writeFileSync(join(base, "x"), "{}\nno\n");
  expect((await receipt("verify", join(base, "x"))).code).toBe(30);
  mkdirSync(join(base, "empty"));
  expect((await receipt("verify", join(base, "empty"))).code).toBe(30);
  expect(JSON.parse((await receipt("verify", join(base, "empty"), "--json")).stdout)).toMatchObject({ holds: false });
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
