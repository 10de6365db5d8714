/** Real quotes of a software TPM through policy, verifier, both engines and enforcement. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { baselineFrom } from "../../../lib/attestation/baseline.js";
import { enforce, enforcementOf } from "../../../lib/attestation/enforcement.js";
import type { AttestationPolicy } from "../../../lib/attestation/policy.js";
import { boundPayloadId, qualifyingDataOf } from "../../../lib/attestation/qualifying-data.js";
import { parseTpmAttestation, verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import type { VerifyOptions } from "../../../lib/attestation/verify.js";
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import { ConfigurationError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import type { QuoteOptions, TpmAttestationBlock, TpmHandle } from "../../../lib/native.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const payloadId = "8f14e45f-ceea-467f-9b1c-1f0e3d2c4b5a";
const vectors = join(__dirname, "../../vectors");

let tpm: SoftwareTpm;
let handle: TpmHandle;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
  handle = await native.tpmOpen(tpm.tcti);
});

afterAll(async () => {
  native.tpmClose(handle);
  await tpm.close();
});

async function quote(options: QuoteOptions = {}, id = payloadId): Promise<TpmAttestationBlock> {
  return await native.tpmQuote(handle, qualifyingDataOf(id), options);
}

describe("verifyTpmAttestation", () => {
  test.each(["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"] as const)(
    "verifies %s, offline and in a TPM",
    async (aik) => {
      const block = await quote({ aik, pcrs: "sha256:0,7,10+sha384:0" });
      for (const engine of ["offline", { tcti: tpm.tcti }] as const) {
        const report = await verifyTpmAttestation(block, { payloadId, engine });
        expect(report).toMatchObject({
          verified: true,
          trust: "self-asserted",
          engine: { name: engine === "offline" ? "offline" : "esapi", verdict: "valid" },
          aik: { hierarchy: "primary:null" },
          quote: { pcrSelection: "sha256:0,7,10+sha384:0" },
        });
        expect(report.checks.some((check) => check.ok === false)).toBe(false);
        expect(report.policyId).toMatch(/^[0-9a-f]{64}$/);
        expect(Date.now() - Date.parse(report.verifiedAt)).toBeLessThan(60_000);
        expect(report.expiresAt).toBeUndefined();
      }
    },
  );

  test("says until when a verdict holds, only when it is one", async () => {
    const block = await quote();
    const policy: AttestationPolicy = { version: 1, maxAgeMs: 5000 };
    const report = await verifyTpmAttestation(block, { payloadId, policy });
    expect(Date.parse(report.expiresAt ?? "") - Date.parse(report.verifiedAt)).toBe(5000);
    expect(await verifyTpmAttestation(block, { payloadId: "other", policy })).not.toHaveProperty("expiresAt");
  });

  test("takes the qualifying data itself", async () => {
    const block = await native.tpmQuote(handle, Buffer.from("any length, up to 64 bytes"), {});
    const report = await verifyTpmAttestation(block, { qualifyingData: Buffer.from("any length, up to 64 bytes") });
    expect(report.verified).toBe(true);
  });

  test("resolves to a report whatever it is given", async () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const { quote_b64: _, ...incomplete } = await quote();
    for (const block of [
      undefined,
      null,
      0,
      "",
      "x",
      [],
      {},
      cycle,
      1n,
      { is_available: true },
      { is_available: false },
      incomplete,
    ]) {
      const report = await verifyTpmAttestation(block, { payloadId });
      expect(report).toMatchObject({ verified: false, code: "ATTESTATION_MISSING" });
    }
  });

  test.each<[string, unknown, string]>([
    ["no options", undefined, "options"],
    ["no nonce", {}, "payloadId"],
    ["both nonces", { payloadId, qualifyingData: new Uint8Array(16) }, "payloadId"],
    ["an empty id", { payloadId: "" }, "payloadId"],
    ["no bytes", { qualifyingData: new Uint8Array(0) }, "qualifyingData"],
    ["65 bytes", { qualifyingData: new Uint8Array(65) }, "qualifyingData"],
    ["hex for bytes", { qualifyingData: "00" }, "qualifyingData"],
    ["a bad policy", { payloadId, policy: { version: 2 } }, "policy"],
    ["an unknown engine", { payloadId, engine: "tpm" }, "engine"],
    ["an engine without a TCTI", { payloadId, engine: { tcti: "" } }, "engine"],
  ])("rejects for wrong arguments: %s", async (_, options, option) => {
    const refused = verifyTpmAttestation({}, options as VerifyOptions);
    await expect(refused).rejects.toBeInstanceOf(ConfigurationError);
    await expect(refused).rejects.toMatchObject({ option });
  });

  test("is not verified when the engine's TPM does not answer, and shows what our libcrypto says", async () => {
    const report = await verifyTpmAttestation(await quote(), {
      payloadId,
      engine: { tcti: "swtpm:path=/nonexistent" },
    });
    expect(report).toMatchObject({
      verified: false,
      fault: "TPM_ERROR",
      engine: { name: "esapi", verdict: "not-run" },
    });
    expect(report.checks.find((check) => check.code === "SIGNATURE_INVALID")?.ok).toBe(true);
  });

  test("the engine's TPM is shared and queued, and left with no key inside", async () => {
    const block = await quote();
    const reports = await Promise.all(
      Array.from({ length: 20 }, () => verifyTpmAttestation(block, { payloadId, engine: { tcti: tpm.tcti } })),
    );
    expect(reports.every((report) => report.verified)).toBe(true);
  });
});

describe("both engines agree", () => {
  interface Vector {
    readonly payload_id?: string;
    readonly qualifying_data_hex?: string;
    readonly tpm_attestation: unknown;
  }
  const files = ["attestation", "hardware"].flatMap((folder) =>
    readdirSync(join(vectors, folder)).map((name) => join(folder, name)),
  );

  test.each(files)("%s", async (file) => {
    const vector = JSON.parse(readFileSync(join(vectors, file), "utf8")) as Vector;
    const nonce =
      vector.payload_id === undefined
        ? {
            qualifyingData: Buffer.from(
              vector.qualifying_data_hex === "" ? "00" : (vector.qualifying_data_hex ?? ""),
              "hex",
            ),
          }
        : { payloadId: vector.payload_id };
    const offline = await verifyTpmAttestation(vector.tpm_attestation, nonce);
    const esapi = await verifyTpmAttestation(vector.tpm_attestation, { ...nonce, engine: { tcti: tpm.tcti } });
    expect({ verified: esapi.verified, code: esapi.code }).toEqual({ verified: offline.verified, code: offline.code });
    // A TPM is asked only about keys that are sound, since it accepts others too; and not every TPM has every
    // algorithm.
    if (!["not-run", "unsupported"].includes(esapi.engine.verdict)) {
      expect(esapi.engine.verdict).toBe(offline.engine.verdict);
    }
  });
});

describe("parseTpmAttestation", () => {
  test("shows the structures", async () => {
    const parsed = parseTpmAttestation(await quote({ aik: "rsa2048-rsapss" }));
    expect(parsed).toMatchObject({
      quote: { magicHex: "ff544347", typeHex: "8018", pcrSelection: "sha256:0,7,10" },
      signature: { scheme: "rsapss-sha256", bytes: 256 },
      aik: { type: "rsa", bits: 2048 },
    });
  });

  test("refuses what is none", () => {
    expect(() => parseTpmAttestation({ is_available: true })).toThrow(
      expect.objectContaining({ code: "ATTESTATION_MALFORMED" }),
    );
  });
});

describe("enforce", () => {
  test("off looks at nothing", async () => {
    expect(await enforce(enforcementOf("off"), "rubbish", payloadId)).toBeUndefined();
  });

  test("report tells, and refuses nothing", async () => {
    expect(await enforce(enforcementOf("report"), await quote(), payloadId)).toMatchObject({ verified: true });
    expect(await enforce(enforcementOf("report"), undefined, payloadId)).toMatchObject({ verified: false });
  });

  test("require passes a good quote and refuses every other, with the report in the error", async () => {
    const require = enforcementOf("require");
    const block = await quote();
    expect(await enforce(require, block, payloadId)).toMatchObject({ verified: true });
    const cases: [unknown, string, string][] = [
      [undefined, payloadId, "ATTESTATION_MISSING"],
      [{ is_available: false }, payloadId, "ATTESTATION_MISSING"],
      [block, "the id of the attempt before", "NONCE_MISMATCH"],
      [{ ...block, quote_b64: "!" }, payloadId, "ATTESTATION_MALFORMED"],
    ];
    for (const [given, id, code] of cases) {
      const refused = enforce(require, given, id);
      await expect(refused).rejects.toBeInstanceOf(AttestationError);
      await expect(refused).rejects.toMatchObject({ code, report: { verified: false, code } });
    }
  });

  test("require holds to a baseline", async () => {
    const block = await quote({ pcrs: "sha256:0,7" });
    const { policy } = await baselineFrom(block, { payloadId, name: "here" });
    expect(await enforce(enforcementOf(policy), block, payloadId)).toMatchObject({ profile: "here" });
    // Another machine state: PCR 7 of the same TPM is extended.
    const { execFileSync } = await import("node:child_process");
    execFileSync("tpm2_pcrextend", [`7:sha256=${"ab".repeat(32)}`], {
      env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti },
    });
    const changed = await quote({ pcrs: "sha256:0,7" });
    await expect(enforce(enforcementOf(policy), changed, payloadId)).rejects.toMatchObject({ code: "PCR_BASELINE" });
  });

  test("require with a TPM's opinion", async () => {
    const policy: AttestationPolicy = { version: 1, engine: "esapi" };
    expect(() => enforcementOf(policy)).toThrow(ConfigurationError);
    const enforcement = enforcementOf({ policy, engine: { tcti: tpm.tcti } });
    expect(await enforce(enforcement, await quote(), payloadId)).toMatchObject({
      engine: { name: "esapi", verdict: "valid" },
    });
    const gone = enforcementOf({ policy, engine: { tcti: "swtpm:path=/nonexistent" } });
    await expect(enforce(gone, await quote(), payloadId)).rejects.toMatchObject({ code: "TPM_ERROR" });
  });

  test("a required binding wants a bound id and the server's word", async () => {
    const bound = enforcementOf({ version: 1, binding: "required" });
    const pem = async (): Promise<string> => {
      const key = await native.generatePrivateKey(2048, "preferred");
      return native.publicKeyInfo(native.privateKeyPublic(key)).pem;
    };
    const id = boundPayloadId(payloadId, await pem(), await pem());
    const block = await quote({}, id);
    expect(await enforce(bound, block, id, "verified")).toMatchObject({ verified: true });
    await expect(enforce(bound, block, id, "none")).rejects.toMatchObject({ code: "BINDING_MISSING" });
    await expect(enforce(bound, block, id)).rejects.toMatchObject({ code: "BINDING_MISSING" });
    await expect(enforce(bound, await quote(), payloadId, "verified")).rejects.toMatchObject({
      code: "BINDING_MISSING",
    });
  });

  test.each<[string, unknown]>([
    ["an unknown mode", "on"],
    ["an unknown key beside the policy", { policy: "require", tcti: "device" }],
    ["a bad policy inside", { policy: { version: 1, banks: [] }, engine: "offline" }],
    ["null", null],
  ])("enforcementOf refuses %s", (_, option) => {
    expect(() => enforcementOf(option as "off")).toThrow(ConfigurationError);
  });

  test("preflight and binding come from the policy, and only where they can act", () => {
    expect(enforcementOf({ version: 1, preflight: true, maxAgeMs: 9, binding: "optional" })).toMatchObject({
      preflight: true,
      maxAgeMs: 9,
      binding: "optional",
    });
    expect(enforcementOf({ version: 1, mode: "report", preflight: true })).toMatchObject({ preflight: false });
    expect(enforcementOf({ version: 1, mode: "off", binding: "required" })).toMatchObject({ binding: "none" });
    expect(enforcementOf("require")).toMatchObject({ preflight: false, binding: "none" });
  });
});
