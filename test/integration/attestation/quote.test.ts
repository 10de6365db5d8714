/** Quotes of a software TPM through the addon; tpm2_checkquote and Node's own crypto judge them. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { native } from "../../../lib/native.js";
import type { TpmAttestationBlock, TpmHandle } from "../../../lib/native.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const nonce = createHash("sha256").update("0d4c2f3e-0f4e-4b0e-9d0a-7f3b1c1d2e3f").digest().subarray(0, 16);

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

/** What tpm2_checkquote says about a block for a nonce and a selection: its exit code. */
function checkquote(block: TpmAttestationBlock, nonceHex: string, selection: string): number | null {
  const file = (name: string, bytes: Buffer): string => {
    const path = join(tpm.folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  const values = Object.values(block.pcr_values ?? {}).flatMap((bank) => Object.values(bank));
  return spawnSync("tpm2_checkquote", [
    ...["-u", file("aik.pub", Buffer.from(block.aik_pubkey_b64 ?? "", "base64"))],
    ...["-m", file("msg", Buffer.from(block.quote_b64 ?? "", "base64"))],
    ...["-s", file("sig", Buffer.from(block.signature_b64 ?? "", "base64"))],
    ...["-f", file("pcrs", Buffer.from(values.join(""), "hex")), "-l", selection, "-g", "sha256", "-q", nonceHex],
  ]).status;
}

describe("tpmQuote", () => {
  test.each(["ecc-p256", "rsa2048-rsassa"] as const)("passes tpm2_checkquote: %s", async (aik) => {
    const block = await native.tpmQuote(handle, nonce, { aik });
    expect(block.is_available).toBe(true);
    expect(block.pcr_banks).toBe("sha256:0,7,10");
    expect(Object.keys(block.pcr_values?.["sha256"] ?? {})).toEqual(["0", "7", "10"]);
    expect(checkquote(block, nonce.toString("hex"), "sha256:0,7,10")).toBe(0);
    expect(checkquote(block, Buffer.alloc(16, 1).toString("hex"), "sha256:0,7,10")).not.toBe(0);
  });

  test("shows the PCRs that tpm2_pcrread shows", async () => {
    execFileSync("tpm2_pcrextend", [`7:sha256=${"5a".repeat(32)}`], {
      env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti },
    });
    const read = execFileSync("tpm2_pcrread", ["sha256:7"], { env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti } });
    const expected = /7 : 0x([0-9A-F]{64})/.exec(read.toString())?.[1]?.toLowerCase();
    const block = await native.tpmQuote(handle, nonce, { pcrs: "sha256:7" });
    expect(block.pcr_values).toEqual({ sha256: { "7": expected } });
  });

  test("serves many at once, each with a key of its own", async () => {
    const blocks = await Promise.all(Array.from({ length: 40 }, () => native.tpmQuote(handle, nonce, {})));
    expect(new Set(blocks.map((block) => block.aik_pubkey_b64)).size).toBe(40);
  });

  test("says QUEUE_FULL beyond its queue, and serves all that it took", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => native.tpmQuote(handle, nonce, {})));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(200 - 64);
    for (const outcome of refused) expect(outcome.reason).toMatchObject({ code: "QUEUE_FULL" });
  });

  test("says which PCRs a TPM does not have, and what a wrong selection is", async () => {
    await expect(native.tpmQuote(handle, nonce, { pcrs: "sha256:24" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    await expect(native.tpmQuote(handle, nonce, { persistentHandle: 0x81010099 })).rejects.toMatchObject({
      code: "TPM_ERROR",
    });
    await expect(native.tpmQuote(handle, Buffer.alloc(65), {})).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(() => native.tpmQuote(handle, nonce, { aik: "rsa" as "ecc-p256" })).toThrow("options.aik must be");
    expect(() => native.tpmQuote({} as TpmHandle, nonce, {})).toThrow("expected a TPM handle");
  });

  test("goes on after the TPM vanished and came back", async () => {
    await tpm.vanish();
    await expect(native.tpmQuote(handle, nonce, {})).rejects.toMatchObject({ code: "TPM_ERROR" });
    await tpm.appear();
    expect((await native.tpmQuote(handle, nonce, {})).is_available).toBe(true);
  });

  test("a closed TPM answers DISPOSED", async () => {
    const other = await native.tpmOpen(tpm.tcti);
    native.tpmClose(other);
    native.tpmClose(other);
    await expect(native.tpmQuote(other, nonce, {})).rejects.toMatchObject({ code: "DISPOSED" });
  });
});

describe("tpmOpen", () => {
  test("reaches a TPM over TCP", async () => {
    const remote = await SoftwareTpm.start({ transport: "tcp" });
    try {
      const opened = await native.tpmOpen(remote.tcti);
      expect((await native.tpmQuote(opened, nonce, { aik: "rsa2048-rsapss" })).is_available).toBe(true);
      native.tpmClose(opened);
    } finally {
      await remote.close();
    }
  });

  test.each(["nonsense", "device:/nonexistent", "device:/dev/null", "swtpm:path=/nonexistent"])(
    "says TPM_ERROR for %p",
    async (tcti) => {
      await expect(native.tpmOpen(tcti)).rejects.toMatchObject({ code: "TPM_ERROR" });
    },
  );

  test("says which libraries it has", () => {
    expect(native.tssInfo()).toMatchObject({ available: true, esys: expect.stringContaining("tss2-esys") });
  });
});

test("a process may end in the middle of a quote, and writes nothing", () => {
  const addon = join(__dirname, "../../../build/Release/nomyo_native.node");
  const script = `const native = require(${JSON.stringify(addon)});
    native.tpmOpen(${JSON.stringify(tpm.tcti)}).then((tpm) => {
      for (let i = 0; i < 20; i++) native.tpmQuote(tpm, Buffer.alloc(16), {}).catch(() => {});
      setTimeout(() => process.exit(7), Number(process.argv[1]));
    });`;
  for (const delay of [0, 3, 9, 20]) {
    const ended = spawnSync(process.execPath, ["-e", script, String(delay)], { encoding: "utf8" });
    expect([ended.status, ended.signal, ended.stderr]).toEqual([7, null, ""]);
  }
});
