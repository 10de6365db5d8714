/** How `attest` prints what it found, for people. */
import { compare, isAllOnes, isAllZero } from "../attestation/pcr-values.js";
import type { PcrComparison, PcrValues } from "../attestation/pcr-values.js";
import type { AttestationProfile, PcrExpectation } from "../attestation/policy.js";
import type { AttestationCheck, AttestationReport } from "../attestation/report.js";
import type { ParsedTpmAttestation } from "../attestation/verify.js";
import { harmless } from "./output.js";
import type { Painter } from "./painter.js";

/** Names in a policy are someone's text: what would steer a terminal is shown as a replacement character. */
function plain(text: string): string {
  // Nor does it begin another line, or another column.
  return harmless(text.replaceAll("\n", "\ufffd").replaceAll("\t", "\ufffd"), "\ufffd");
}

function facts(rows: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name.padEnd(width)}  ${plain(value ?? "")}\n`)
    .join("");
}

const marks = { true: "ok  ", false: "FAIL", null: "-   " } as const;

function checkLine(check: AttestationCheck, paint: Painter): string {
  const mark = marks[String(check.ok) as keyof typeof marks];
  const colour = check.ok === null ? paint.faint : check.ok ? paint.good : paint.bad;
  return `  ${colour(mark)} ${check.code.padEnd(21)} ${plain(check.detail)}\n`;
}

export function reportText(report: AttestationReport, paint: Painter): string {
  const title = report.verified
    ? paint.good(report.profile === undefined ? "Verified." : `Verified: fits the profile "${plain(report.profile)}".`)
    : paint.bad(`Not verified (${report.fault ?? report.code ?? "not run"}). ${plain(report.message ?? "")}`);
  const trust =
    report.trust === "certified"
      ? "certified: the AIK has a certificate under the policy's aikRoots; an answer may still be relayed"
      : "self-asserted: the AIK has no certificate, so this does not show that a TPM made it";
  return (
    `${paint.strong(title)}\n` +
    report.checks.map((check) => checkLine(check, paint)).join("") +
    facts([
      ["trust", trust],
      [
        "signature checked by",
        report.engine.name === "offline" ? "libcrypto" : `libcrypto and a TPM (${report.engine.verdict})`,
      ],
      ["AIK", aikText(report.aik)],
      ["AIK name", report.aik?.nameHex],
      ["TPM clock", report.quote === undefined ? undefined : clockText(report.quote.clock, report.quote.safe)],
      ["TPM resets", report.quote?.resetCount?.toString()],
      ["TPM firmware", report.quote?.firmwareVersion],
      ["policy", report.policyId],
      ["verified at", report.verifiedAt],
      ["holds until", report.expiresAt],
    ]) +
    (report.pcrs === undefined ? "" : pcrLines(report.pcrs, paint))
  );
}

function aikText(aik: AttestationReport["aik"]): string | undefined {
  if (aik === undefined) return undefined;
  return `${aik.type} ${aik.curve ?? String(aik.bits ?? "")}, ${aik.scheme}, ${aik.hierarchy}`;
}

function clockText(milliseconds: string, safe: boolean): string {
  const hours = (Number(milliseconds) / 3_600_000).toFixed(1);
  return `${milliseconds} ms (${hours} h powered), ${safe ? "safe" : "not safe: the TPM lost power without saving it"}`;
}

export function parsedText(parsed: ParsedTpmAttestation, paint: Painter): string {
  const { quote, signature, aik } = parsed;
  return (
    `${paint.strong("Nothing of this is verified.")}\n` +
    `quote\n` +
    facts([
      ["form", quote.form],
      [
        "magic",
        `${quote.magicHex} ${quote.magicHex === "ff544347" ? "(made by a TPM, it says)" : "(not TPM_GENERATED_VALUE)"}`,
      ],
      ["type", `${quote.typeHex} ${quote.typeHex === "8018" ? "(quote)" : "(not a quote)"}`],
      ["qualifying data", quote.qualifyingDataHex],
      ["qualified signer", quote.qualifiedSignerHex],
      ["PCRs", quote.pcrSelection],
      ["PCR digest", quote.pcrDigestHex],
      ["clock", quote.clock === undefined ? undefined : clockText(quote.clock, quote.safe === true)],
      [
        "reset, restart count",
        quote.resetCount === undefined ? undefined : `${quote.resetCount}, ${String(quote.restartCount)}`,
      ],
      ["firmware version", quote.firmwareVersion],
    ]) +
    `signature\n${facts([
      ["scheme", signature.scheme],
      ["bytes", String(signature.bytes)],
    ])}` +
    `attestation key\n` +
    facts([
      ["type", `${aik.type} ${aik.curve ?? String(aik.bits ?? "")}`],
      ["scheme", aik.scheme],
      ["name", aik.nameHex],
      ["attributes", aik.attributes.join(", ")],
      ["fault", aik.fault],
      ["certificates", String(parsed.certificates)],
    ]) +
    pcrLines(parsed.pcrs, paint)
  );
}

/** What a value means by itself, where it means something. */
function remark(value: string): string {
  return isAllZero(value) ? "never extended" : isAllOnes(value) ? "reset, nothing measured" : "";
}

function pcrLines(values: PcrValues, paint: Painter): string {
  return Object.entries(values)
    .map(([bank, pcrs]) => {
      const lines = Object.entries(pcrs)
        .sort(([a], [b]) => Number(a) - Number(b))
        .map(([index, value]) => `  ${index.padStart(2)}  ${value}  ${paint.faint(remark(value))}`.trimEnd() + "\n");
      return `PCRs, ${plain(bank)}\n${lines.join("")}`;
    })
    .join("");
}

/** Values beside each profile that they might have fitted. */
export function profileTables(values: PcrValues, profiles: readonly AttestationProfile[], paint: Painter): string {
  return profiles.map((profile) => pcrTable(profile.name, compare(values, profile), paint)).join("\n");
}

function expectationText(expected: PcrExpectation): string[] {
  if (expected === "any") return ["any, but neither all zero nor all ones"];
  return typeof expected === "string" ? [expected] : [...expected];
}

/**
 * A table of PCRs: what fits on one line, what changed with both values under one another, so that they can be
 * compared.
 */
export function pcrTable(name: string, rows: readonly PcrComparison[], paint: Painter): string {
  const changed = rows.filter((row) => !row.fits).length;
  const title = changed === 0 ? paint.good("fits") : paint.bad(`${changed} of ${rows.length} PCRs differ`);
  const lines = rows.map((row) => {
    const label = `  ${row.bank.padEnd(6)} ${row.index.padStart(2)}  `;
    const indent = " ".repeat(label.length);
    const actual = row.actual ?? "(not quoted)";
    if (row.expected === undefined) return `${label}${paint.faint(`-        ${actual}  (not named)`)}\n`;
    if (row.fits) {
      return `${label}${paint.good("same   ")}  ${actual}${paint.faint(row.expected === "any" ? "  (any)" : "")}\n`;
    }
    const was = expectationText(row.expected).map(
      (value, i) => `${i === 0 ? "" : indent}${i === 0 ? paint.bad("CHANGED") : " ".repeat(7)}  expected ${value}\n`,
    );
    const note = paint.faint(row.actual === undefined ? "" : remark(actual));
    return `${`${label}${was.join("")}${indent}         found    ${actual}  ${note}`.trimEnd()}\n`;
  });
  return `${paint.strong(plain(name))}: ${title}\n${lines.join("")}`;
}
