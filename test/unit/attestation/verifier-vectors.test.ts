/**
 * The verifier against test/vectors: quotes of a software TPM, of real machines and cloud TPMs, and forgeries of all of
 * them, made by an independent implementation. The index says what must come out.
 */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { attestationCodes } from "../../../lib/attestation/report.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import { native } from "../../../lib/native.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const vectors = join(__dirname, "../../vectors");

interface Vector {
  readonly name: string;
  readonly payload_id?: string;
  readonly qualifying_data_hex?: string;
  readonly expected: string;
  /** Other faults that the quote has, with their codes. */
  readonly also?: readonly string[];
  readonly tpm_attestation: { readonly pcr_banks?: string };
}
interface Index {
  readonly code_hints: Readonly<Record<string, readonly string[]>>;
  readonly attestation: readonly { readonly file: string; readonly needs?: { readonly banks: readonly string[] } }[];
}

function load(file: string): unknown {
  return JSON.parse(readFileSync(join(vectors, file), "utf8"));
}

function loadVector(file: string): Vector {
  return load(file) as Vector;
}

function qualifyingData(vector: Vector): Uint8Array {
  return vector.payload_id === undefined
    ? Buffer.from(vector.qualifying_data_hex ?? "", "hex")
    : createHash("sha256").update(vector.payload_id, "utf8").digest().subarray(0, 16);
}

async function verify(vector: Vector, policy: object, tcti: string | null = null): Promise<AttestationReport> {
  const text = JSON.stringify(vector.tpm_attestation);
  const report = await native.verifyAttestation(text, qualifyingData(vector), JSON.stringify(policy), tcti);
  return report as AttestationReport;
}

const index = load("index.json") as Index;

describe("vectors/attestation", () => {
  test.each(index.attestation.map((entry) => [entry.file, entry.needs?.banks ?? ["sha256"]] as const))(
    "%s",
    async (file, banks) => {
      const vector = loadVector(file);
      const report = await verify(vector, { version: 1, mode: "require", banks });
      if (vector.expected === "ok") {
        expect(report).toMatchObject({ verified: true, trust: "self-asserted", engine: { verdict: "valid" } });
        expect(report.code).toBeUndefined();
        expect(report.checks.map((check) => check.ok)).not.toContain(false);
        expect(new Set(report.quote?.pcrSelection.split("+"))).toEqual(
          new Set(vector.tpm_attestation.pcr_banks?.split("+")),
        );
      } else {
        expect(report.verified).toBe(false);
        expect(index.code_hints[vector.expected]).toContain(report.code);
        expect(report.pcrs).toBeUndefined();
        expect(report.checks.find((check) => check.ok === false)?.code).toBe(report.code);
      }
    },
  );
});

describe("vectors/hardware", () => {
  const files = readdirSync(join(vectors, "hardware")).map((name) => `hardware/${name}`);

  test.each(files)("%s", async (file) => {
    const vector = loadVector(file);
    const report = await verify(vector, { version: 1 });
    // Of several faults, the first in the verifier's order.
    const codes = [vector.expected, ...(vector.also ?? [])];
    const first = Math.min(...codes.map((code) => ["ok", ...attestationCodes].indexOf(code)));
    expect(report.code ?? "ok").toBe(["ok", ...attestationCodes][first]);
    expect(report.verified).toBe(vector.expected === "ok");
  });

  test("a SHA-1 bank passes when the policy names it", async () => {
    const vector = loadVector("hardware/salrashid-gcp-sha1bank.json");
    expect((await verify(vector, { version: 1, banks: ["sha1"] })).verified).toBe(true);
  });

  test("an endorsement primary is recognised, and only then are the counters shown", async () => {
    const primary = await verify(loadVector("hardware/gotpmtools-cos-85-nonce9009-sha256.json"), { version: 1 });
    expect(primary.aik?.hierarchy).toBe("primary:endorsement");
    expect(primary.quote).toHaveProperty("resetCount");
    expect(primary.quote?.firmwareVersion).toMatch(/^[0-9a-f]{16}$/);
    const child = await verify(loadVector("hardware/safeboot-t490.json"), { version: 1 });
    expect(child.aik?.hierarchy).toBe("child-or-unknown");
    expect(child.quote).not.toHaveProperty("resetCount");
    expect(child.quote).not.toHaveProperty("firmwareVersion");
  });
});

describe("a message names what was found and what was expected", () => {
  const detailOf = async (file: string, policy: object = { version: 1 }): Promise<string> =>
    (await verify(loadVector(file), policy)).message ?? "";

  test.each([
    ["hardware/gotpmtools-cos-85-no-nonce-sha256.json", /No qualifying data was given/],
    ["hardware/immune-imn-dell.json", /not allocated.*tpm2_pcrallocate/],
    [
      "hardware/goattestation-windows-gcp-sha1.json",
      /AIK's signing scheme is rsassa-sha1, the signature's rsassa-sha1/,
    ],
    ["hardware/salrashid-gcp-sha1bank.json", /does not allow the PCR bank sha1 .*sha256/],
    ["hardware/amd-ftpm-certify.json", /type 0x8017, not a quote/],
    ["attestation/forged-magic-restricted.json", /starts with 0x[0-9a-f]{8} and not with TPM_GENERATED_VALUE/],
    ["attestation/forged-unrestricted.json", /The AIK lacks restricted:/],
  ])("%s", async (file, pattern) => {
    expect(await detailOf(file)).toMatch(pattern);
  });

  test("a quote without qualifying data, and one for other data", async () => {
    const expected = { qualifying_data_hex: "00112233445566778899aabbccddeeff" };
    const without = { ...loadVector("hardware/gotpmtools-cos-85-no-nonce-sha256.json"), ...expected };
    expect((await verify(without, { version: 1 })).message).toBe(
      "The quote was made without qualifying data, where 00112233445566778899aabbccddeeff (16 bytes) was expected: " +
        "it answers no request, and may be an old one.",
    );
    const other = { ...loadVector("hardware/gotpmtools-cos-85-nonce9009-sha256.json"), ...expected };
    expect((await verify(other, { version: 1 })).message).toBe(
      "The quote was made for other qualifying data, 9009 (2 bytes), where 00112233445566778899aabbccddeeff (16 " +
        "bytes) was expected: it is not the answer to this request.",
    );
  });

  test("when no profile fits, the nearest one is named, and the report has both values of each PCR", async () => {
    const vector = loadVector("hardware/gotpmtools-cos-85-nonce9009-sha256.json");
    const values = (vector.tpm_attestation as { pcr_values: { sha256: Record<string, string> } }).pcr_values.sha256;
    const [zero, one, far] = [{ "0": values["0"], "7": "any" }, "cd".repeat(32), "ef".repeat(32)];
    const policy = {
      version: 1,
      profiles: [
        { name: "far", pcrs: { sha256: { "0": far, "7": far, "4": values["4"] } } },
        { name: "fw 1.41", pcrs: { sha256: { ...zero, "2": [one, far], "8": values["8"] } } },
        { name: "as near, but second", pcrs: { sha256: { "0": one } } },
      ],
    };
    const report = await verify(vector, policy);
    expect(report.code).toBe("PCR_BASELINE");
    expect(report.message).toBe(
      'The PCR values fit no profile of the policy. The nearest, "fw 1.41", expects another value of sha256:2; the ' +
        "report has what it expects and what was found.",
    );
    expect(report.nearest).toEqual({
      profile: "fw 1.41",
      differences: [{ bank: "sha256", index: 2, expected: [one, far], found: values["2"] }],
    });
    // A PCR that the quote does not have.
    const missing = await verify(loadVector("attestation/rsa2048-rsassa-sha256.json"), {
      version: 1,
      profiles: [{ name: "more", pcrs: { sha256: { "4": one } } }],
    });
    expect(missing.nearest?.differences).toEqual([{ bank: "sha256", index: 4, expected: one, found: null }]);
  });
});

test("the names of the checks are those of the core, in its order", async () => {
  const report = await verify(loadVector("attestation/rsa2048-rsassa-sha256.json"), { version: 1 });
  expect(report.checks.map(({ code }) => code)).toEqual(attestationCodes);
});

test("a TPM that is asked as well changes no code", async () => {
  const tpm = await SoftwareTpm.start();
  try {
    const hardware = readdirSync(join(vectors, "hardware")).map((name) => ({
      file: `hardware/${name}`,
      needs: { banks: ["sha1", "sha256", "sha384"] },
    }));
    for (const { file, needs } of [...index.attestation, ...hardware]) {
      const vector = loadVector(file);
      const policy = { version: 1, banks: needs?.banks ?? ["sha256"] };
      const [offline, both] = [await verify(vector, policy), await verify(vector, policy, tpm.tcti)];
      expect([file, both.code]).toEqual([file, offline.code]);
      expect(both.engine.name).toBe("esapi");
      if (offline.verified) expect([file, both.engine.verdict]).toEqual([file, "valid"]);
    }
  } finally {
    await tpm.close();
  }
});
