/**
 * Wrong arguments of verifyTpmAttestation, and failures of the verifier itself: neither may look like a verdict on the
 * server.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { engineTcti, parseTpmAttestation, verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import type { VerifyOptions } from "../../../lib/attestation/verify.js";
import { ConfigurationError, NomyoError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";

const file = join(__dirname, "../../vectors/attestation/ecc-p256-ecdsa-sha256.json");
const vector = JSON.parse(readFileSync(file, "utf8")) as { payload_id: string; _metadata?: unknown };
const payloadId = vector.payload_id;
const ofAddon = (code: string) => Object.assign(new Error(`the addon's sentence on ${code}`), { code });
afterEach(() => jest.restoreAllMocks());

describe("a wrong argument names itself", () => {
  test.each<[string, unknown]>([
    ["options", undefined],
    ["options", null],
    ["options", "require"],
    ["payloadId", {}],
    ["payloadId", { payloadId, qualifyingData: new Uint8Array(16) }],
    ["payloadId", { payloadId: "" }],
    ["payloadId", { payloadId: 7 }],
    ["qualifyingData", { qualifyingData: "00ff" }],
    ["qualifyingData", { qualifyingData: new Uint8Array(0) }],
    ["qualifyingData", { qualifyingData: new Uint8Array(65) }],
    ["engine", { payloadId, engine: "tpm" }],
    ["engine", { payloadId, engine: null }],
    ["engine", { payloadId, engine: {} }],
    ["engine", { payloadId, engine: { tcti: "" } }],
    ["engine", { payloadId, engine: { tcti: "device:x", more: 1 } }],
  ])("%s: %j", async (option, options) => {
    const outcome = verifyTpmAttestation({}, options as VerifyOptions);
    await expect(outcome).rejects.toBeInstanceOf(ConfigurationError);
    await expect(outcome).rejects.toMatchObject({ option });
  });

  test("engines that there are", () => {
    expect([engineTcti(undefined), engineTcti("offline")]).toEqual([null, null]);
    expect(engineTcti({ tcti: "device:/dev/tpmrm0" })).toBe("device:/dev/tpmrm0");
  });
});

test("the bytes of qualifyingData are those of the view, not of the buffer behind it", async () => {
  const seen = jest.spyOn(native, "verifyAttestation");
  const behind = Uint8Array.from([1, 2, 3, 4, 5]);
  await verifyTpmAttestation({}, { qualifyingData: behind.subarray(1, 4) });
  await verifyTpmAttestation({}, { qualifyingData: new DataView(behind.buffer, 3) as never });
  expect(seen.mock.calls.map(([, data]) => [...data])).toEqual([
    [2, 3, 4],
    [4, 5],
  ]);
});

test("what is no JSON is a block that is missing", async () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  for (const block of [undefined, cycle, 1n, { count: 1n }, () => 1]) {
    expect(await verifyTpmAttestation(block, { payloadId })).toMatchObject({
      verified: false,
      code: "ATTESTATION_MISSING",
    });
  }
});

describe("when the verifier itself fails", () => {
  test.each(["TSS_MISSING", "TPM_ERROR"])("%s is a fault: not verified, and no verdict", async (code) => {
    jest.spyOn(native, "verifyAttestation").mockRejectedValue(ofAddon(code));
    const report = await verifyTpmAttestation({}, { payloadId });
    expect(report).toMatchObject({
      verified: false,
      fault: code,
      checks: [],
      trust: "self-asserted",
      engine: { name: "offline", verdict: "not-run" },
      message: `the addon's sentence on ${code}`,
    });
    expect(report.code).toBeUndefined();
  });

  test("what libcrypto found beside a TPM that does not answer is shown, but counts for nothing", async () => {
    const offline = { verified: true, checks: [{ code: "SIGNATURE_INVALID", ok: true, detail: "Good." }] };
    jest
      .spyOn(native, "verifyAttestation")
      .mockImplementation((_block, _data, _policy, tcti) =>
        tcti === null
          ? Promise.resolve({ ...offline, trust: "certified", engine: { name: "offline", verdict: "valid" } })
          : Promise.reject(ofAddon("TPM_ERROR")),
      );
    const policy = { version: 1, mode: "require", maxAgeMs: 1000 } as const;
    const report = await verifyTpmAttestation({}, { payloadId, policy, engine: { tcti: "device:x" } });
    expect(report).toMatchObject({
      ...offline,
      verified: false,
      fault: "TPM_ERROR",
      engine: { name: "esapi", verdict: "not-run" },
      message: "the addon's sentence on TPM_ERROR",
    });
    expect(report.expiresAt).toBeUndefined();
  });

  test("a verdict under a policy with an age tells until when it holds", async () => {
    jest.spyOn(native, "verifyAttestation").mockResolvedValue({ verified: true, checks: [] });
    const policy = { version: 1, mode: "require", maxAgeMs: 60_000 } as const;
    const { verifiedAt, expiresAt } = await verifyTpmAttestation({}, { payloadId, policy });
    expect(Date.parse(expiresAt!) - Date.parse(verifiedAt)).toBe(60_000);
  });

  test.each<[unknown, object]>([
    [ofAddon("INVALID_ARGUMENT"), { option: "policy", code: "CONFIGURATION" }],
    [ofAddon("OUT_OF_MEMORY"), { code: "OUT_OF_MEMORY", message: "the addon's sentence on OUT_OF_MEMORY" }],
    [ofAddon("QUEUE_FULL"), { code: "QUEUE_FULL" }],
  ])("%s rejects", async (error, expected) => {
    jest.spyOn(native, "verifyAttestation").mockRejectedValue(error);
    const outcome = verifyTpmAttestation({}, { payloadId });
    await expect(outcome).rejects.toBeInstanceOf(NomyoError);
    await expect(outcome).rejects.toMatchObject(expected);
  });

  test("an error that is not the addon's stays what it is", async () => {
    const error = new RangeError("a mistake in the program");
    jest.spyOn(native, "verifyAttestation").mockRejectedValue(error);
    await expect(verifyTpmAttestation({}, { payloadId })).rejects.toBe(error);
  });
});

describe("taking a block apart", () => {
  const outcomeOf = (error: unknown): unknown => {
    jest.spyOn(native, "parseAttestation").mockImplementation(() => {
      throw error;
    });
    try {
      return parseTpmAttestation({});
    } catch (thrown) {
      return thrown;
    }
  };
  test("fails with a code of its own for a block that cannot be read", () => {
    expect(() => parseTpmAttestation("nonsense")).toThrow(expect.objectContaining({ code: "ATTESTATION_MALFORMED" }));
    expect(outcomeOf(ofAddon("INVALID_ARGUMENT"))).toMatchObject({ code: "ATTESTATION_MALFORMED" });
    expect(outcomeOf(ofAddon("TSS_MISSING"))).toBeInstanceOf(NomyoError);
    expect(outcomeOf(ofAddon("TSS_MISSING"))).toMatchObject({ code: "TSS_MISSING" });
    const error = new RangeError("a mistake in the program");
    expect(outcomeOf(error)).toBe(error);
  });
});
