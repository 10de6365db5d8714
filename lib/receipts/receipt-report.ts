/** The verifier's report as it stands in a receipt: what has any other form is none. */
import { attestationCodes } from "../attestation/report.js";
import type { AttestationReport } from "../attestation/report.js";
import { isHex } from "../printable.js";

type Members = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

/**
 * Whether `value` has the members of a report, each of its type, and no other: what is not known here could not be
 * compared with the quote. A verdict that contradicts itself is none either.
 */
export function isReport(value: unknown): value is AttestationReport {
  if (!isReportObject(value)) return false;
  const { verified, code, fault, engine } = value as AttestationReport;
  if (!verified) return code !== undefined || fault !== undefined;
  return code === undefined && fault === undefined && ["valid", "unsupported"].includes(engine.verdict);
}

const aText: Check = (value) => typeof value === "string";
const aBoolean: Check = (value) => typeof value === "boolean";
const aCount: Check = (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const aHash: Check = (value) => typeof value === "string" && value === value.toLowerCase() && isHex(value, 64);
const aTime: Check = (value) => typeof value === "string" && value.length === 24 && Number.isFinite(Date.parse(value));

function oneOf(...allowed: readonly unknown[]): Check {
  return (value) => allowed.includes(value);
}

function either(one: Check, other: Check): Check {
  return (value) => one(value) || other(value);
}

function listOf(entry: Check): Check {
  return (value) => Array.isArray(value) && value.every(entry);
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapOf(entry: Check): Check {
  return (value) => isObject(value) && Object.values(value).every(entry);
}

/** An object with these members, perhaps those, and no others. */
function withMembers(must: Readonly<Record<string, Check>>, may: Readonly<Record<string, Check>> = {}): Check {
  const checks = new Map([...Object.entries(must), ...Object.entries(may)]);
  return (value) =>
    isObject(value) &&
    Object.keys(must).every((name) => Object.hasOwn(value, name)) &&
    Object.entries(value).every(([name, member]) => checks.get(name)?.(member) === true);
}

const isReportObject = withMembers(
  {
    verified: aBoolean,
    checks: listOf(withMembers({ code: oneOf(...attestationCodes), ok: either(aBoolean, oneOf(null)), detail: aText })),
    trust: oneOf("self-asserted", "certified"),
    engine: withMembers({
      name: oneOf("offline", "esapi"),
      verdict: oneOf("valid", "invalid", "unsupported", "not-run"),
    }),
    policyId: aHash,
    verifiedAt: aTime,
  },
  {
    code: oneOf(...attestationCodes),
    message: aText,
    fault: oneOf("TSS_MISSING", "TPM_ERROR"),
    aik: withMembers(
      { type: oneOf("rsa", "ecc"), scheme: aText, nameHex: aText, hierarchy: aText, pem: aText },
      { bits: aCount, curve: aText },
    ),
    quote: withMembers(
      { clock: aText, safe: aBoolean, qualifyingDataHex: aText, pcrSelection: aText, pcrDigestHex: aText },
      { resetCount: aCount, restartCount: aCount, firmwareVersion: aText },
    ),
    pcrs: mapOf(mapOf(aText)),
    profile: aText,
    nearest: withMembers({
      profile: aText,
      differences: listOf(
        withMembers({
          bank: aText,
          index: aCount,
          expected: either(aText, listOf(aText)),
          found: either(aText, oneOf(null)),
        }),
      ),
    }),
    expiresAt: aTime,
  },
);
