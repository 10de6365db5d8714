/** The addon's two functions over the verifier: arguments, errors, and many at once. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";

import { native } from "../../../lib/native.js";

const vector = JSON.parse(
  readFileSync(join(__dirname, "../../vectors/attestation/rsa2048-rsassa-sha256.json"), "utf8"),
) as { payload_id: string; tpm_attestation: { quote_b64: string } };
const block = JSON.stringify(vector.tpm_attestation);
const nonce = createHash("sha256").update(vector.payload_id).digest().subarray(0, 16);
const policy = JSON.stringify({ version: 1 });
const addon = join(__dirname, "../../../build/Release/nomyo_native.node");

async function verify(
  ...args: Parameters<typeof native.verifyAttestation>
): Promise<{ verified: boolean; code?: string }> {
  return (await native.verifyAttestation(...args)) as { verified: boolean; code?: string };
}

/** What `call` throws. Jest's own realm has another TypeError, so its name is compared. */
function thrown(call: () => unknown): { readonly name?: string; readonly code?: string } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  return {};
}

test("wrong types of arguments throw a TypeError", () => {
  const call = native.verifyAttestation as (...args: unknown[]) => unknown;
  for (const args of [
    [],
    [{}, nonce, policy, null],
    [block, "nonce", policy, null],
    [block, nonce.buffer, policy, null],
    [block, new Uint16Array(8), policy, null],
    [block, nonce, {}, null],
    [block, nonce, policy, undefined],
    [block, nonce, policy, 7],
    [block, nonce, policy, null, "0"],
    [block, nonce, policy, null, -1],
    [block, nonce, policy, null, 1e12],
  ]) {
    expect(thrown(() => call(...args)).name).toBe("TypeError");
  }
  expect(thrown(() => (native.parseAttestation as (...args: unknown[]) => unknown)({})).name).toBe("TypeError");
});

test("a wrong policy rejects with INVALID_ARGUMENT, a block never does", async () => {
  for (const wrong of ["", "{}", "[]", '{"version":1,"unheard":true}', '{"banks":[]}']) {
    await expect(verify(block, nonce, wrong, null)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  }
  for (const any of ["", "null", "{", "\u0000", "[".repeat(100_000), "\ud800", `"${"x".repeat(2_000_000)}"`]) {
    expect((await verify(any, nonce, policy, null)).verified).toBe(false);
  }
});

test("a view into a larger buffer is read as such", async () => {
  const larger = Buffer.concat([Buffer.alloc(7, 1), nonce, Buffer.alloc(9, 2)]);
  expect((await verify(block, larger.subarray(7, 23), policy, null)).verified).toBe(true);
  expect((await verify(block, larger, policy, null)).code).toBe("NONCE_MISMATCH");
});

test("many at once, and the argument's later change does not matter", async () => {
  const mine = Uint8Array.from(nonce);
  const all = Array.from({ length: 200 }, () => verify(block, mine, policy, null));
  mine.fill(0);
  expect((await Promise.all(all)).every((report) => report.verified)).toBe(true);
});

test("parseAttestation shows the structures, and says why it cannot", () => {
  const parsed = JSON.parse(native.parseAttestation(block)) as Record<string, Record<string, unknown>>;
  expect(parsed["quote"]).toMatchObject({
    form: "TPMS_ATTEST",
    typeHex: "8018",
    qualifyingDataHex: nonce.toString("hex"),
  });
  expect(parsed["aik"]).toMatchObject({ type: "rsa", bits: 2048, scheme: "rsassa-sha256", nameAlg: "sha256" });
  expect(parsed["signature"]).toEqual({ scheme: "rsassa-sha256", bytes: 256 });
  expect(thrown(() => native.parseAttestation('{"is_available":false}')).code).toBe("INVALID_ARGUMENT");
});

test("the environment stays as it was, for the process and for its children", () => {
  const script = `
    const { execFileSync } = require("node:child_process");
    const ofChildren = () => execFileSync("env", ["-0"], { encoding: "utf8" }).split("\\0").sort();
    const seen = () => JSON.stringify([process.env, ofChildren()]);
    const before = seen();
    const native = require(${JSON.stringify(addon)});
    native.tssInfo();
    const block = ${JSON.stringify(JSON.stringify(vector.tpm_attestation))};
    native.verifyAttestation(block, new Uint8Array(16), '{"version":1}', null)
      .then(() => process.exit(seen() === before ? 0 : 1));`;
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env["TSS2_LOG"];
  expect(() => execFileSync(process.execPath, ["-e", script], { env })).not.toThrow();
});

test("nothing is put on the terminal, although libtss2-mu would by itself", () => {
  const quote = Buffer.from(vector.tpm_attestation.quote_b64, "base64");
  // The number of PCR banks, before the last bank (2), its selection (4) and the digest (34): libtss2-mu warns of it.
  quote[quote.length - 34 - 6 - 4] = 0xff;
  const bad = JSON.stringify({ ...vector.tpm_attestation, quote_b64: quote.toString("base64") });
  const script = `
    const native = require(${JSON.stringify(addon)});
    native.verifyAttestation(${JSON.stringify(bad)}, new Uint8Array(16), '{"version":1}', null)
    .then((report) => process.exit(report.code === "ATTESTATION_MALFORMED" ? 0 : 1));`;
  const run = (log: string | undefined): string => {
    const env: NodeJS.ProcessEnv = { ...process.env, TSS2_LOG: log };
    if (log === undefined) delete env["TSS2_LOG"];
    // stderr goes where stdout goes.
    return execFileSync("/bin/sh", ["-c", 'exec "$0" -e "$1" 2>&1', process.execPath, script], {
      env,
      encoding: "utf8",
    });
  };
  expect(run(undefined)).toBe("");
  // Nor where the user asks for it: libtss2-mu is not shown what it would refuse.
  expect(run("all+warning")).toBe("");
});

describe("the report is a value of its own", () => {
  // Each time twice: on another thread, and, once the key has signed, on this one.
  const twice = [1, 2];

  test("what a polluted prototype holds neither hears of it nor is a part of it", () => {
    // Node's own prototypes, not jest's. The second time, on this thread: nothing else runs meanwhile.
    const script = `
      const native = require(${JSON.stringify(addon)});
      const given = [${JSON.stringify(block)}, Uint8Array.from(${JSON.stringify([...nonce])}), '{"version":1}', null];
      let heard = 0;
      const names = ["verified", "code", "checks", "ok", "trust", "engine", "aik", "pcrs", "sha256", "0", "7", "value"];
      const descriptor = { __proto__: null, configurable: true, set: () => heard++, get: () => "foreign" };
      native.verifyAttestation(...given).then(() => {
        for (const name of names) {
          Object.defineProperty(Object.prototype, name, descriptor);
          Object.defineProperty(Array.prototype, name, descriptor);
        }
        const polluted = native.verifyAttestation(...given);
        for (const name of names) {
          delete Object.prototype[name];
          delete Array.prototype[name];
        }
        return polluted;
      }).then((report) => process.stdout.write(JSON.stringify({ heard, report })));`;
    const said = execFileSync(process.execPath, ["-e", script], { encoding: "utf8" });
    const { heard, report } = JSON.parse(said) as { heard: number; report: { pcrs: object; checks: object[] } };
    expect(heard).toBe(0);
    expect(Object.keys(report)).toEqual(["verified", "checks", "trust", "engine", "aik", "quote", "pcrs"]);
    expect(report).toMatchObject({ verified: true, engine: { name: "offline", verdict: "valid" } });
    expect(report.pcrs).toEqual((JSON.parse(block) as { pcr_values: object }).pcr_values);
    expect(report.checks).toHaveLength(17);
    for (const check of report.checks) expect(Object.keys(check)).toEqual(["code", "ok", "detail"]);
  });

  test.each(twice)("a right quote, the %s. time", async () => {
    expect(await verify(block, nonce, policy, null)).toMatchObject({ verified: true, trust: "self-asserted" });
  });

  test("a key whose signature was right before vouches for no other quote", async () => {
    await verify(block, nonce, policy, null);
    const { quote_b64: quote } = vector.tpm_attestation;
    const other = Buffer.from(quote, "base64");
    other[other.length - 1]! ^= 1; // the digest of the PCRs
    const forged = JSON.stringify({ ...vector.tpm_attestation, quote_b64: other.toString("base64") });
    expect(await verify(forged, nonce, policy, null)).toMatchObject({ verified: false, code: "SIGNATURE_INVALID" });
    expect(
      await verify(
        block,
        nonce.map((byte) => byte ^ 1),
        policy,
        null,
      ),
    ).toMatchObject({
      verified: false,
      code: "NONCE_MISMATCH",
    });
    expect(
      await verify(block, nonce, JSON.stringify({ version: 1, signature: { minRsaBits: 3072 } }), null),
    ).toMatchObject({ verified: false, code: "AIK_TYPE" });
    expect(await verify(block, nonce, policy, null)).toMatchObject({ verified: true });
  });

  test("a policy that cannot be read is refused also where the key is known", async () => {
    await verify(block, nonce, policy, null);
    await expect(verify(block, nonce, '{"unheard":1}', null)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
