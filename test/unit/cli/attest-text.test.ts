/** What `attest` shows to people: every form of a report, of a block that was taken apart, and of a table of PCRs. */
import { parsedText, pcrTable, profileTables, reportText } from "../../../lib/cli/attest-text.js";
import { painterFor } from "../../../lib/cli/painter.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import type { ParsedTpmAttestation } from "../../../lib/attestation/verify.js";
import { testStreams } from "../../support/command-line.js";

const stdout = (isTTY: boolean) => testStreams({ terminal: isTTY }).stdout;
const bare = painterFor({ stdout: stdout(false), env: {} });
const tagged = {
  good: (text: string) => `<good ${text}>`,
  bad: (text: string) => `<bad ${text}>`,
  caution: (text: string) => `<caution ${text}>`,
  faint: (text: string) => `<faint ${text}>`,
  strong: (text: string) => text,
};

describe("colours", () => {
  test.each([
    ["at a terminal", true, {}, "\u001b[32mfine\u001b[0m"],
    ["with an empty NO_COLOR", true, { NO_COLOR: "" }, "\u001b[32mfine\u001b[0m"],
    ["not with NO_COLOR", true, { NO_COLOR: "1" }, "fine"],
    ["not at a terminal without any", true, { TERM: "dumb" }, "fine"],
    ["not in a file", false, {}, "fine"],
  ])("%s", (_where, isTTY, env, expected) => {
    expect(painterFor({ stdout: stdout(isTTY), env }).good("fine")).toBe(expected);
  });
});

const report: AttestationReport = {
  verified: true,
  checks: [
    { code: "SIGNATURE_INVALID", ok: true, detail: "The signature is good." },
    { code: "PCR_BASELINE", ok: false, detail: "PCR 7 differs." },
    { code: "AIK_CERTIFICATE", ok: null, detail: "There is none." },
  ],
  trust: "self-asserted",
  engine: { name: "offline", verdict: "not-run" },
  policyId: "ab".repeat(32),
  verifiedAt: "2026-01-02T03:04:05.000Z",
};

/** The row of one fact; undefined when there is none. */
const fact = (text: string, name: string) => new RegExp(`^ {2}${name} {2,}(.*)$`, "m").exec(text)?.[1];

describe("a report", () => {
  test("begins with the verdict, and names the profile that fits", () => {
    expect(reportText(report, tagged)).toMatch(/^<good Verified\.>\n/);
    expect(reportText({ ...report, profile: "ward\u001b[2J 3" }, tagged)).toMatch(
      /^<good Verified: fits the profile "ward\ufffd\[2J 3"\.>\n/,
    );
  });

  test.each<[Partial<AttestationReport>, string]>([
    [{ code: "NONCE_MISMATCH", message: "It is for another request." }, "(NONCE_MISMATCH). It is for another request."],
    [{ code: "NONCE_MISMATCH", fault: "TPM_ERROR", message: "No TPM." }, "(TPM_ERROR). No TPM."],
    [{}, "(not run). "],
  ])("that is not verified says why: %j", (part, why) => {
    expect(reportText({ ...report, ...part, verified: false }, tagged)).toMatch(/^<bad Not verified /);
    expect(reportText({ ...report, ...part, verified: false }, bare).split("\n")[0]).toBe(`Not verified ${why}`);
  });

  test("marks each check as passed, failed or not run", () => {
    const lines = reportText(report, tagged).split("\n").slice(1, 4);
    expect(lines).toEqual([
      "  <good ok  > SIGNATURE_INVALID     The signature is good.",
      "  <bad FAIL> PCR_BASELINE          PCR 7 differs.",
      "  <faint -   > AIK_CERTIFICATE       There is none.",
    ]);
  });

  test("does not claim more trust than there is, and says who checked the signature", () => {
    const text = reportText(report, bare);
    expect(fact(text, "trust")).toMatch(/^self-asserted: .*does not show that a TPM made it/);
    expect(fact(text, "signature checked by")).toBe("libcrypto");
    const more = reportText({ ...report, trust: "certified", engine: { name: "esapi", verdict: "unsupported" } }, bare);
    expect(fact(more, "trust")).toMatch(/^certified: /);
    expect(fact(more, "signature checked by")).toBe("libcrypto and a TPM (unsupported)");
  });

  test("leaves out what is not known, and tells what is", () => {
    for (const name of ["AIK", "AIK name", "TPM clock", "TPM resets", "TPM firmware", "holds until"])
      expect(fact(reportText(report, bare), name)).toBeUndefined();
    const aik = {
      type: "ecc",
      scheme: "ecdsa-sha256",
      nameHex: "000b00",
      hierarchy: "primary:owner",
      pem: "",
    } as const;
    const quote = { clock: "5400000", qualifyingDataHex: "", pcrSelection: "", pcrDigestHex: "" };
    const full: AttestationReport = {
      ...report,
      aik: { ...aik, curve: "P-256" },
      quote: { ...quote, safe: false, resetCount: 0, firmwareVersion: "2019102300163636" },
      expiresAt: "2026-01-02T04:04:05.000Z",
    };
    const text = reportText(full, bare);
    expect(fact(text, "AIK")).toBe("ecc P-256, ecdsa-sha256, primary:owner");
    expect(fact(text, "TPM clock")).toMatch(/^5400000 ms \(1\.5 h powered\), not safe: /);
    expect(fact(text, "TPM resets")).toBe("0");
    expect(fact(text, "TPM firmware")).toBe("2019102300163636");
    expect(fact(text, "holds until")).toBe("2026-01-02T04:04:05.000Z");
    const rsa = reportText(
      { ...full, aik: { ...aik, type: "rsa", bits: 2048 }, quote: { ...quote, safe: true } },
      bare,
    );
    expect(fact(rsa, "AIK")).toMatch(/^rsa 2048, /);
    expect(fact(rsa, "TPM clock")).toMatch(/, safe$/);
    expect(fact(reportText({ ...full, aik: { ...aik, type: "rsa" } }, bare), "AIK")).toMatch(/^rsa , /);
  });

  test("shows PCRs in the order of their numbers, with what a value means by itself", () => {
    const pcrs = { sha256: { "10": "12".repeat(32), "7": "00".repeat(32), "17": "ff".repeat(32) } };
    const lines = reportText({ ...report, pcrs }, bare)
      .split("PCRs, sha256\n")[1]!
      .split("\n");
    expect(lines).toEqual([
      `   7  ${"00".repeat(32)}  never extended`,
      `  10  ${"12".repeat(32)}`,
      `  17  ${"ff".repeat(32)}  reset, nothing measured`,
      "",
    ]);
  });
});

describe("a block that was taken apart", () => {
  const parsed: ParsedTpmAttestation = {
    quote: {
      form: "TPMS_ATTEST",
      magicHex: "ff544347",
      typeHex: "8018",
      clock: "3600000",
      safe: true,
      resetCount: 3,
      restartCount: 4,
    },
    signature: { scheme: "rsassa-sha256", bytes: 256 },
    aik: {
      type: "rsa",
      bits: 2048,
      scheme: "rsassa-sha256",
      nameAlg: "sha256",
      attributesHex: "",
      attributes: ["restricted", "sign"],
      authPolicyHex: "",
    },
    pcrBanks: "sha256",
    pcrs: {},
    certificates: 2,
  };

  test("is never called verified", () => {
    expect(parsedText(parsed, bare)).toMatch(/^Nothing of this is verified\.\n/);
  });

  test("of a quote, as it claims", () => {
    const text = parsedText(parsed, bare);
    expect(fact(text, "magic")).toBe("ff544347 (made by a TPM, it says)");
    expect(fact(text, "type")).toBe("8018 (quote)");
    expect(fact(text, "clock")).toBe("3600000 ms (1.0 h powered), safe");
    expect(fact(text, "reset, restart count")).toBe("3, 4");
    expect(text).toMatch(/^ {2}type +rsa 2048$/m);
    expect(fact(text, "attributes")).toBe("restricted, sign");
    expect(fact(text, "certificates")).toBe("2");
    expect(fact(text, "fault")).toBeUndefined();
  });

  test("of something else: what it is not, and without what such a structure does not have", () => {
    const quote = { form: "TPM2B_ATTEST", magicHex: "00000000", typeHex: "8017" } as const;
    const aik = { ...parsed.aik, type: "ecc", curve: "P-384", bits: undefined as never, fault: "It may decrypt." };
    const text = parsedText({ ...parsed, quote, aik }, bare);
    expect(fact(text, "magic")).toBe("00000000 (not TPM_GENERATED_VALUE)");
    expect(fact(text, "type")).toBe("8017 (not a quote)");
    expect(fact(text, "clock")).toBeUndefined();
    expect(fact(text, "reset, restart count")).toBeUndefined();
    expect(text).toMatch(/^ {2}type +ecc P-384$/m);
    expect(fact(text, "fault")).toBe("It may decrypt.");
    expect(parsedText({ ...parsed, aik: { ...aik, curve: undefined as never } }, bare)).toMatch(/^ {2}type +ecc $/m);
  });
});

describe("a table of PCRs", () => {
  const [one, two, zero] = ["11".repeat(32), "22".repeat(32), "00".repeat(32)];
  const row = (index: string, rest: object) => ({
    bank: "sha256",
    index,
    actual: one,
    expected: one,
    fits: true,
    ...rest,
  });

  test("that fits", () => {
    expect(pcrTable("ward 3", [row("0", {}), row("4", { expected: "any" })], tagged)).toBe(
      `ward 3: <good fits>\n` +
        `  sha256  0  <good same   >  ${one}<faint >\n` +
        `  sha256  4  <good same   >  ${one}<faint   (any)>\n`,
    );
  });

  test("with differences, one value under the other", () => {
    const rows = [
      row("0", { expected: undefined }),
      row("4", { expected: [two, zero], fits: false }),
      row("7", { expected: "any", actual: zero, fits: false }),
      row("10", { actual: undefined, expected: two, fits: false }),
    ];
    expect(pcrTable("ward 3", rows, bare).split("\n")).toEqual([
      "ward 3: 3 of 4 PCRs differ",
      `  sha256  0  -        ${one}  (not named)`,
      `  sha256  4  CHANGED  expected ${two}`,
      `                      expected ${zero}`,
      `                      found    ${one}`,
      "  sha256  7  CHANGED  expected any, but neither all zero nor all ones",
      `                      found    ${zero}  never extended`,
      `  sha256 10  CHANGED  expected ${two}`,
      "                      found    (not quoted)",
      "",
    ]);
  });

  test("for each profile, compared by the verifier's rule", () => {
    const values = { sha256: { "7": one } };
    const profiles = [
      { name: "former", pcrs: { sha256: { "7": two } } },
      { name: "present", pcrs: { sha256: { "7": one } } },
    ];
    expect(profileTables(values, profiles, bare)).toMatch(/^former: 1 of 1 PCRs differ\n[^]*\npresent: fits\n/);
  });
});
