/** Every outcome of a report, in words for people. */
import { attestationState } from "../../../lib/attestation/attestation-state.js";
import { attestationCodes } from "../../../lib/attestation/report.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import * as entry from "../../../lib/index.js";

const report = (change: Partial<AttestationReport>): AttestationReport => ({
  verified: true,
  checks: [],
  trust: "self-asserted",
  engine: { name: "offline", verdict: "valid" },
  policyId: "a".repeat(64),
  verifiedAt: "2026-11-27T08:00:00.000Z",
  ...change,
});

test("the package exports it", () => {
  expect(entry.attestationState).toBe(attestationState);
});

test.each<[string, AttestationReport | undefined, string, RegExp]>([
  ["no report", undefined, "not-checked", /not switched off/],
  ["no tpm2-tss", report({ verified: false, fault: "TSS_MISSING" }), "not-checked", /Install tpm2-tss/],
  ["a TPM that does not answer", report({ verified: false, fault: "TPM_ERROR" }), "not-checked", /TPM answers/],
  // A fault wins, whatever else the report says.
  [
    "a fault beside a verdict",
    report({ verified: true, fault: "TPM_ERROR", trust: "certified" }),
    "not-checked",
    /TPM/,
  ],
  ["no quote", report({ verified: false, code: "ATTESTATION_MISSING" }), "missing", /security tier/],
  ["a quote that nobody vouches for", report({}), "self-asserted", /certificate authorities/],
  ["the same with a profile", report({ profile: "fw 1.41" }), "self-asserted", /certificate authorities/],
  ["a certified quote without a profile", report({ trust: "certified" }), "verified", /as a profile/],
])("%s", (_what, given, state, advice) => {
  const made = attestationState(given);
  expect(made.state).toBe(state);
  expect(made.advice).toMatch(advice);
  expect(made.sentence).toMatch(/^[A-Z].*\.$/);
});

test("only a certified quote that fits a profile leaves nothing to do", () => {
  const made = attestationState(report({ trust: "certified", profile: "fw 1.41" }));
  expect(made).toMatchObject({ state: "verified", advice: null });
  expect(made.sentence).toContain("fw 1.41");
});

test.each(attestationCodes.filter((code) => code !== "ATTESTATION_MISSING"))("%s is refused, and named", (code) => {
  for (const trust of ["self-asserted", "certified"] as const) {
    const made = attestationState(report({ verified: false, code, trust }));
    expect(made.state).toBe("refused");
    expect(made.sentence).toContain(code);
  }
});
