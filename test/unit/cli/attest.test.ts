/** `nomyo-native attest`: what it prints and which exit code it gives, on the vectors. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runAttest } from "../../../lib/cli/attest.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import { testStreams } from "../../support/command-line.js";

const vectors = join(__dirname, "../../vectors/attestation");
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-attest-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function attest(args: readonly string[], { stdin = "", terminal = false, env = {} } = {}): Promise<Run> {
  const streams = testStreams({ input: stdin, terminal, env });
  const code = await runAttest(args, streams);
  await streams.stdout.flush();
  await streams.stderr.flush();
  return { code, out: streams.text.stdout, err: streams.text.stderr };
}

const vector = (name: string): string => join(vectors, `${name}.json`);
const good = vector("ecc-p256-ecdsa-sha256");
const read = (file: string): Record<string, unknown> =>
  JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("attest verify", () => {
  test("0: verified, with every check and the PCRs", async () => {
    const { code, out } = await attest(["verify", good]);
    expect(code).toBe(0);
    expect(out).toMatch(/^Verified\./);
    for (const check of ["AIK_ATTRIBUTES", "SIGNATURE_INVALID", "NONCE_MISMATCH", "PCR_DIGEST"])
      expect(out).toContain(check);
    expect(out).toContain("does not show that a TPM made it");
    expect(out).not.toContain("\u001b");
  });

  test("says that a saved id shows no freshness, and takes one's own id", async () => {
    expect((await attest(["verify", good])).out).toContain("not that the quote is new");
    const own = await attest(["verify", good, "--payload-id", String(read(good)["payload_id"])]);
    expect(own.code).toBe(0);
    expect(own.out).not.toContain("not that the quote is new");
  });

  test.each([
    ["sig-flip", 10, "SIGNATURE_INVALID"],
    ["quote-wrong-payload-id", 10, "NONCE_MISMATCH"],
    ["available-false", 10, "ATTESTATION_MISSING"],
    ["forged-unrestricted", 10, "AIK_ATTRIBUTES"],
    ["trailing-quote", 30, "ATTESTATION_MALFORMED"],
  ])("%s: exit code %i", async (name, code, reason) => {
    const run = await attest(["verify", vector(name)]);
    expect(run.code).toBe(code);
    expect(run.out).toContain(`Not verified (${reason})`);
    const json = await attest(["verify", vector(name), "--json"]);
    expect(json.code).toBe(code);
    expect(JSON.parse(json.out) as AttestationReport).toMatchObject({ verified: false, code: reason });
  });

  test("10: another id than the request's", async () => {
    const run = await attest(["verify", good, "--payload-id", "another"]);
    expect([run.code, run.out.includes("NONCE_MISMATCH")]).toEqual([10, true]);
  });

  test("10: an answer without attestation", async () => {
    const run = await attest(["verify", file("a.json", { choices: [], _metadata: { payload_id: "x" } })]);
    expect([run.code, run.out.includes("ATTESTATION_MISSING")]).toEqual([10, true]);
  });

  test("20: the TPM that is to verify is not there", async () => {
    const run = await attest(["verify", good, "--tcti", "swtpm:path=/nonexistent"]);
    expect(run.code).toBe(20);
    expect(run.out).toContain("Not verified (TPM_ERROR)");
  });

  test("30: not JSON", async () => {
    const run = await attest(["verify", file("x.json", "{"), "--payload-id", "x"]);
    expect([run.code, run.out]).toEqual([30, ""]);
    expect(run.err).toContain("is not JSON");
  });

  test("reads a whole answer, its _metadata, the block, and standard input", async () => {
    const { tpm_attestation: block, payload_id } = read(good);
    const id = String(payload_id);
    const answer = { choices: [], _metadata: { payload_id, tpm_attestation: block } };
    expect((await attest(["verify", file("answer.json", answer)])).code).toBe(0);
    expect((await attest(["verify", file("metadata.json", answer._metadata)])).code).toBe(0);
    expect((await attest(["verify", file("block.json", block), "--payload-id", id])).code).toBe(0);
    expect((await attest(["verify", "-"], { stdin: JSON.stringify(answer) })).code).toBe(0);
  });

  test("shows which PCRs do not fit which profile", async () => {
    const policy = file("p.json", {
      version: 1,
      profiles: [{ name: "other", pcrs: { sha256: { "0": "ab".repeat(32), "10": "any" } } }],
    });
    const run = await attest(["verify", good, "--policy", policy]);
    expect(run.code).toBe(10);
    expect(run.out).toContain("Not verified (PCR_BASELINE)");
    expect(run.out).toMatch(/sha256\s+0\s+CHANGED\s+expected (?:ab){32}\n\s+found\s+[0-9a-f]{64}/);
  });

  test("colours in a terminal only, and not with NO_COLOR", async () => {
    expect((await attest(["verify", good], { terminal: true })).out).toContain("\u001b[32m");
    expect((await attest(["verify", good], { terminal: true, env: { NO_COLOR: "1" } })).out).not.toContain("\u001b");
    expect((await attest(["verify", good], { terminal: true, env: { TERM: "dumb" } })).out).not.toContain("\u001b");
    expect((await attest(["verify", good, "--json"], { terminal: true })).out).not.toContain("\u001b");
  });
});

describe("attest show", () => {
  test("takes a quote apart without believing it", async () => {
    const run = await attest(["show", vector("sig-flip")]);
    expect(run.code).toBe(0);
    expect(run.out).toMatch(/^Nothing of this is verified\./);
    expect(JSON.parse((await attest(["show", good, "--json"])).out)).toMatchObject({ quote: { magicHex: "ff544347" } });
  });

  test("30: malformed", async () => {
    expect((await attest(["show", vector("trailing-quote")])).code).toBe(30);
  });
});

describe("attest baseline", () => {
  test("makes a policy that the same answer passes", async () => {
    const out = join(folder, "policy.json");
    const made = await attest(["baseline", good, "--name", "fw 1.41", "--out", out]);
    expect(made.code).toBe(0);
    expect(made.out).toContain('"fw 1.41"');
    expect(made.err).toContain("may be an old one");
    const verified = await attest(["verify", good, "--policy", out]);
    expect([verified.code, verified.out.split("\n")[0]]).toEqual([0, 'Verified: fits the profile "fw 1.41".']);
  });

  test("replaces no file, but adds a profile to the one that it merges", async () => {
    const out = join(folder, "policy.json");
    await attest(["baseline", good, "--name", "a", "--out", out]);
    const before = readFileSync(out, "utf8");
    await expect(attest(["baseline", good, "--name", "b", "--out", out])).rejects.toThrow("already");
    expect(readFileSync(out, "utf8")).toBe(before);
    await attest(["baseline", good, "--name", "b", "--merge", out, "--out", out]);
    expect((read(out)["profiles"] as { name: string }[]).map(({ name }) => name)).toEqual(["a", "b"]);
    await expect(attest(["baseline", good, "--name", "b", "--merge", out, "--out", out])).rejects.toThrow(
      "earlier profile",
    );
  });

  test("imports tpm2_pcrread's output", async () => {
    const pcrs = file("pcrs.txt", `sha256:\n  0 : 0x${"0".repeat(64)}\n  7 : 0x${"AB".repeat(32)}\n`);
    const run = await attest(["baseline", "--pcrread", pcrs, "--name", "imported"]);
    expect(JSON.parse(run.out)).toMatchObject({
      profiles: [{ name: "imported", pcrs: { sha256: { "7": "ab".repeat(32) } } }],
    });
    expect(run.err).toContain("PCR 0 is all zero");
  });

  test.each([
    ["sig-flip", 10],
    ["available-false", 10],
    ["trailing-quote", 30],
  ])("%s: exit code %i and no file", async (name, code) => {
    const out = join(folder, "policy.json");
    const run = await attest(["baseline", vector(name), "--out", out]);
    expect([run.code, run.out]).toEqual([code, ""]);
    expect(() => readFileSync(out)).toThrow("ENOENT");
  });
});

describe("attest diff", () => {
  test("0 when a profile fits, 10 when none does", async () => {
    const policy = join(folder, "p.json");
    await attest(["baseline", good, "--out", policy]);
    expect(await attest(["diff", good, "--policy", policy])).toMatchObject({
      code: 0,
      out: expect.stringContaining("fits"),
    });
    const changed = read(good)["tpm_attestation"] as { pcr_values: { sha256: Record<string, string> } };
    changed.pcr_values.sha256["7"] = "cd".repeat(32);
    const run = await attest(["diff", file("changed.json", changed), "--policy", policy]);
    expect(run.code).toBe(10);
    expect(run.out).toMatch(/sha256\s+0\s+same/);
    expect(run.out).toMatch(/sha256\s+7\s+CHANGED/);
    const json = JSON.parse((await attest(["diff", file("c2.json", changed), "--policy", policy, "--json"])).out) as {
      fits: boolean;
    };
    expect(json.fits).toBe(false);
  });

  test("takes the report, which is what `require` leaves of an answer", async () => {
    const policy = join(folder, "policy.json");
    await attest(["baseline", good, "--out", policy]);
    const report = file("report.json", JSON.parse((await attest(["verify", good, "--policy", policy, "--json"])).out));
    expect((await attest(["diff", report, "--policy", policy])).code).toBe(0);
    expect((await attest(["diff", report, good])).code).toBe(0);
    const refused = await attest(["diff", file("bad.json", { verified: false, checks: [] }), "--policy", policy]);
    expect([refused.code, refused.err]).toEqual([30, expect.stringMatching(/no PCRs/)]);
    const steering = { verified: false, checks: [], pcrs: { sha256: { "7": "\u001b[2J" } } };
    expect((await attest(["diff", file("steering.json", steering), "--policy", policy])).code).toBe(30);
  });

  test("compares two quotes", async () => {
    expect((await attest(["diff", good, good])).code).toBe(0);
    expect((await attest(["diff", good, vector("rsa-24-pcrs")])).code).toBe(10);
  });
});

describe("the command line", () => {
  test("teaches with --help", async () => {
    const run = await attest(["--help"]);
    expect(run.code).toBe(0);
    for (const word of ["show", "verify", "baseline", "diff", "PCR 7", "Exit codes: 0", "10", "20", "30"])
      expect(run.out).toContain(word);
  });

  test.each([
    [[], "Say which"],
    [["check", good], "Say which"],
    [["verify"], "Name one file"],
    [["verify", good, good], "Name one file"],
    [["verify", good, "--out", "x"], "no --out"],
    [["verify", good, "--payload-id", "a", "--qualifying-data", "00"], "not both"],
    [["verify", good, "--qualifying-data", "0"], "hex"],
    [["verify", good, "--unknown"], "unknown"],
    [["diff", good], "compares"],
    [["diff", good, good, "--policy", "p"], "compares"],
    [["baseline", good, "--pcrread", good], "takes the place"],
    [["verify", "/nonexistent"], "cannot be read"],
    [["verify", good, "--policy", good], "unknown key"],
  ] as [string[], string][])("refuses %j", async (args, problem) => {
    await expect(attest(args)).rejects.toThrow(problem);
  });

  test("a block alone needs an id", async () => {
    await expect(attest(["verify", file("b.json", read(good)["tpm_attestation"])])).rejects.toThrow("--payload-id");
  });
});
