/**
 * The verifier against test/vectors: quotes of a software TPM, of real machines and cloud TPMs, and forgeries of all of them, made by
 * an independent implementation. The index says what must come out.
 */
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import type { AttestationReport } from "../../../lib/attestation/report.js";
import { native } from "../../../lib/native.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const vectors = join(__dirname, "../../vectors");

interface Vector {
  readonly name: string;
  readonly payload_id?: string;
  readonly qualifying_data_hex?: string;
  readonly expected: string;
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
  return JSON.parse(report) as AttestationReport;
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
    expect(report.code ?? "ok").toBe(vector.expected);
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

test("a TPM that is asked as well changes no code", async () => {
  const tpm = await SoftwareTpm.start();
  try {
    for (const { file, needs } of index.attestation) {
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
