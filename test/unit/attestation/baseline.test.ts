/** Baselines from vectors and from tpm2_pcrread, merging, comparing. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { baselineFrom, baselineOfValues, mergeProfile } from "../../../lib/attestation/baseline.js";
import { compare, meets, parsePcrread } from "../../../lib/attestation/pcr-values.js";
import { verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import { ConfigurationError } from "../../../lib/errors.js";
import type { TpmAttestationBlock } from "../../../lib/native.js";

interface Vector {
  readonly payload_id: string;
  readonly tpm_attestation: TpmAttestationBlock;
}
function vector(name: string): Vector {
  return JSON.parse(readFileSync(join(__dirname, "../../vectors/attestation", `${name}.json`), "utf8")) as Vector;
}

const zero = "0".repeat(64);
const ones = "f".repeat(64);
const value = "5a".repeat(32);

describe("baselineFrom", () => {
  test("makes a policy that the same machine passes, with PCR 10 left to change", async () => {
    const { tpm_attestation: block, payload_id: payloadId } = vector("ecc-p256-ecdsa-sha256");
    const baseline = await baselineFrom(block, { payloadId, name: "fw 1.41", note: "looked at by A." });
    expect(baseline.report).toMatchObject({ verified: true });
    expect(baseline.profile).toMatchObject({ name: "fw 1.41", note: "looked at by A." });
    expect(baseline.profile.pcrs.sha256?.["0"]).toBe(block.pcr_values?.["sha256"]?.["0"]);
    expect(await verifyTpmAttestation(block, { payloadId, policy: baseline.policy })).toMatchObject({
      verified: true,
      profile: "fw 1.41",
    });
    const other = mergeProfile({ version: 1 }, { name: "x", pcrs: { sha256: { "0": value } } });
    expect(await verifyTpmAttestation(block, { payloadId, policy: other })).toMatchObject({ code: "PCR_BASELINE" });
  });

  test("warns of good quotes of real machines for the firmware's PCRs only", async () => {
    const folder = join(__dirname, "../../vectors/hardware");
    let good = 0;
    for (const file of readdirSync(folder)) {
      const { expected, tpm_attestation: block } = JSON.parse(readFileSync(join(folder, file), "utf8")) as {
        expected: string;
        tpm_attestation: object;
      };
      if (expected !== "ok") continue;
      good++;
      for (const warning of (await baselineFrom(block)).warnings) {
        const index = /PCR (\d+) is all/.exec(warning)?.[1];
        if (index !== undefined) expect([file, Number(index) <= 7]).toEqual([file, true]);
      }
    }
    expect(good).toBeGreaterThan(30);
  });

  test("says that it did not check freshness when it was given no request", async () => {
    const { warnings } = await baselineFrom(vector("ecc-p256-ecdsa-sha256").tpm_attestation);
    expect(warnings[0]).toContain("may be an old one");
  });

  test.each(["sig-flip", "pcr-wrong-value", "forged-unrestricted", "available-false", "trailing-quote"])(
    "refuses what does not verify: %s",
    async (name) => {
      const refused = baselineFrom(vector(name).tpm_attestation);
      await expect(refused).rejects.toBeInstanceOf(AttestationError);
      await expect(refused).rejects.toMatchObject({ report: { verified: false } });
    },
  );

  test("refuses a quote for another request", async () => {
    const { tpm_attestation: block } = vector("ecc-p256-ecdsa-sha256");
    await expect(baselineFrom(block, { payloadId: "another" })).rejects.toMatchObject({ code: "NONCE_MISMATCH" });
  });
});

describe("baselineOfValues", () => {
  test("warns of values that say nothing", () => {
    const { profile, warnings } = baselineOfValues({ sha256: { "0": zero, "2": ones, "7": value } });
    expect(profile.pcrs.sha256).toEqual({ "0": zero, "2": ones, "7": value });
    expect(warnings).toEqual([
      expect.stringMatching(/PCR 0 is all zero: measured boot never ran/),
      expect.stringMatching(/PCR 2 is all ones/),
    ]);
  });

  test("finds nothing strange in PCRs over 7 that nobody extended, and takes them as they are", () => {
    const unused = { "8": zero, "11": zero, "15": zero, "17": ones, "22": ones };
    const { profile, warnings } = baselineOfValues({ sha256: { "0": value, ...unused } });
    expect(profile.pcrs.sha256).toEqual({ "0": value, ...unused });
    expect(warnings).toEqual([]);
  });

  test("asks nothing of PCR 10 but that it is in use, and leaves it out where it is not", () => {
    expect(baselineOfValues({ sha256: { "0": value, "10": value } }).profile.pcrs.sha256).toEqual({
      "0": value,
      "10": "any",
    });
    const idle = baselineOfValues({ sha256: { "0": value, "10": zero } });
    expect(idle.profile.pcrs.sha256).toEqual({ "0": value });
    expect(idle.policy.required).toEqual({ sha256: [0] });
    expect(idle.warnings[0]).toContain("IMA does not measure");
  });

  test("leaves out PCRs that anyone may reset, and says which change by themselves", () => {
    const { profile, warnings } = baselineOfValues({ sha256: { "1": value, "16": value, "23": value } });
    expect(profile.pcrs.sha256).toEqual({ "1": value });
    expect(warnings.map((warning) => /PCR \d+/.exec(warning)?.[0])).toEqual(["PCR 1", "PCR 16", "PCR 23"]);
    expect(() => baselineOfValues({ sha256: { "16": value } })).toThrow(ConfigurationError);
  });

  test("allows a SHA-1 bank only with a warning", () => {
    const { policy, warnings } = baselineOfValues({ sha1: { "0": "ab".repeat(20) } });
    expect(policy.banks).toEqual(["sha1"]);
    expect(warnings.join()).toContain("SHA-1");
  });
});

describe("mergeProfile", () => {
  const first = baselineOfValues({ sha256: { "0": value } }, { name: "old" });
  const second = baselineOfValues({ sha256: { "0": ones }, sha384: { "7": "ab".repeat(48) } }, { name: "new" });

  test("adds a profile, allows its banks, and changes nothing else", () => {
    const merged = mergeProfile({ ...first.policy, mode: "report", maxAgeMs: 1000 }, second.profile);
    expect(merged.profiles?.map(({ name }) => name)).toEqual(["old", "new"]);
    expect(merged).toMatchObject({
      mode: "report",
      maxAgeMs: 1000,
      banks: ["sha256", "sha384"],
      required: { sha256: [0] },
    });
  });

  test("refuses a name that is taken", () => {
    expect(() => mergeProfile(first.policy, { ...second.profile, name: "old" })).toThrow(ConfigurationError);
  });
});

describe("parsePcrread", () => {
  test("reads what tpm2_pcrread prints", () => {
    const text = `  sha1:\n  sha256:\n    0 : 0x${value.toUpperCase()}\n    10: 0x${ones.toUpperCase()}\n  sha384:\n`;
    expect(parsePcrread(text)).toEqual({ sha256: { "0": value, "10": ones } });
  });

  test.each([
    ["nothing", ""],
    ["an empty bank only", "sha256:\n"],
    ["a value before a bank", `0 : 0x${value}`],
    ["an unknown bank", `sm3_256:\n  0 : 0x${value}`],
    ["a bank twice", `sha256:\n  0 : 0x${value}\nsha256:\n  1 : 0x${value}`],
    ["a PCR twice", `sha256:\n  0 : 0x${value}\n  0 : 0x${value}`],
    ["a wrong length", `sha256:\n  0 : 0x${value}ab`],
    ["index 24", `sha256:\n  24: 0x${value}`],
    ["index 07", `sha256:\n  07: 0x${value}`],
    ["an error's text", "ERROR: Failed to read PCRs"],
  ])("refuses %s", (_, text) => {
    expect(() => parsePcrread(text)).toThrow(ConfigurationError);
  });
});

describe("compare", () => {
  test("lines up what was found with what was expected", () => {
    const rows = compare(
      { sha256: { "0": value, "2": value, "10": zero } },
      {
        name: "p",
        pcrs: { sha256: { "0": [ones, value], "7": value, "10": "any" } },
      },
    );
    expect(rows.map((row) => [row.index, row.fits])).toEqual([
      ["0", true],
      ["2", true],
      ["7", false],
      ["10", false],
    ]);
  });

  test('"any" is neither all zero nor all ones', () => {
    expect([value, zero, ones, undefined].map((found) => meets(found, "any"))).toEqual([true, false, false, false]);
  });
});
