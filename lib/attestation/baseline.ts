/**
 * Baselines: from the PCRs of a verified quote to a profile of a policy, for a person to look at before it is trusted.
 */
import { AttestationError } from "./attestation-error.js";
import { ConfigurationError } from "../errors.js";
import { ownMembers } from "../own-members.js";
import { isAllOnes, isAllZero } from "./pcr-values.js";
import type { PcrValues } from "./pcr-values.js";
import { checkPolicy } from "./policy.js";
import type { AttestationPolicy, AttestationProfile, CheckedPolicy, PcrBank, PcrExpectation } from "./policy.js";
import type { AttestationReport } from "./report.js";
import { parseTpmAttestation, verifyTpmAttestation } from "./verify.js";
import type { VerifyOptions } from "./verify.js";

/** A profile that was taken from a quote or from values, and what should be looked at before it is trusted. */
export interface Baseline {
  readonly profile: AttestationProfile;
  /** A complete policy with this one profile, mode `require`. */
  readonly policy: CheckedPolicy;
  /** What the person should look into; one sentence each. */
  readonly warnings: readonly string[];
  /** The verification that it rests on; undefined for values that were imported. */
  readonly report?: AttestationReport;
}

/** How a profile is to be called, and what it says of itself. */
export interface BaselineOptions {
  /** The profile's name; `baseline` and the day by default. */
  readonly name?: string;
  readonly note?: string;
}

/** PCRs whose values change in normal operation, with the reason. */
const changing: Readonly<Record<string, string>> = {
  "1": "changes with firmware settings and hardware",
  "5": "changes with the boot order and each change of the partition table",
  "6": "changes with wake events and is vendor-specific",
};

/**
 * Makes a profile from a block, after verifying it. With `payloadId` or `qualifyingData` the quote must be the answer
 * to that request; without, it is verified against its own qualifying data, which proves that it is consistent and not
 * that it is new (a warning says so). Rejects with an `AttestationError` when it does not verify.
 */
export async function baselineFrom(
  attestation: unknown,
  options: BaselineOptions & Partial<VerifyOptions> = {},
): Promise<Baseline> {
  const { name, note, ...rest } = ownMembers(options);
  const given = ownMembers(rest);
  const fresh = given.payloadId !== undefined || given.qualifyingData !== undefined;
  const nonce = fresh ? {} : { qualifyingData: ownNonce(attestation) };
  const banks = { policy: { version: 1, mode: "require", banks: ["sha1", "sha256", "sha384", "sha512"] } } as const;
  const report = await verifyTpmAttestation(attestation, { ...banks, ...nonce, ...given } as VerifyOptions);
  if (!report.verified || report.pcrs === undefined) {
    const code = report.fault ?? report.code ?? "ATTESTATION_MISSING";
    throw new AttestationError(
      `No baseline is made from a quote that does not verify (${code}). ${report.message ?? ""}`,
      code,
      report,
    );
  }
  const made = baselineOfValues(report.pcrs, {
    ...(name === undefined ? {} : { name }),
    ...(note === undefined ? {} : { note }),
  });
  const warnings = fresh
    ? made.warnings
    : ["The quote was not checked against a request of yours: it may be an old one.", ...made.warnings];
  return { ...made, warnings, report };
}

/** The same from values that were read on the machine itself (tpm2_pcrread), which nothing signs. */
export function baselineOfValues(values: PcrValues, options: BaselineOptions = {}): Baseline {
  const warnings: string[] = [];
  const pcrs: Partial<Record<PcrBank, Record<string, PcrExpectation>>> = {};
  for (const [bank, entries] of Object.entries(values)) {
    for (const [index, value] of Object.entries(entries)) {
      const expectation = expect(`${bank} PCR ${index}`, index, value, warnings);
      if (expectation !== undefined) (pcrs[bank as PcrBank] ??= {})[index] = expectation;
    }
  }
  if (pcrs.sha1 !== undefined)
    warnings.push("SHA-1 banks can be forged with effort; use a SHA-256 bank where there is one.");
  const banks = Object.keys(pcrs) as PcrBank[];
  if (banks.length === 0) {
    throw new ConfigurationError(
      "attestation",
      "None of these PCRs can be a baseline: they were never extended, or anyone may reset them.",
    );
  }
  const profile: AttestationProfile = {
    name: options.name ?? `baseline ${new Date().toISOString().slice(0, 10)}`,
    ...(options.note === undefined ? {} : { note: options.note }),
    pcrs,
  };
  const required = Object.fromEntries(banks.map((bank) => [bank, Object.keys(pcrs[bank] ?? {}).map(Number)]));
  const policy = checkPolicy({ version: 1, mode: "require", banks, required, profiles: [profile] }, "baseline");
  return { profile: policy.profiles?.[0] ?? profile, policy, warnings };
}

/** What a profile should say about one PCR; undefined for nothing. */
function expect(what: string, index: string, value: string, warnings: string[]): PcrExpectation | undefined {
  if (index === "16" || index === "23") {
    warnings.push(`${what} is left out: any program may reset it.`);
    return undefined;
  }
  if (index === "10") {
    if (!isAllZero(value) && !isAllOnes(value)) return "any";
    warnings.push(`${what} is left out: it was never extended, so IMA does not measure on this machine.`);
    return undefined;
  }
  // PCRs 0 to 7 are the firmware's, and always extended where boot is measured. 8 to 15 are the system's, zero where it
  // does not use them; 17 to 22 are all ones until a dynamic launch.
  const ofFirmware = Number(index) <= 7;
  if (ofFirmware && isAllZero(value)) {
    warnings.push(`${what} is all zero: measured boot never ran, and the value says nothing about the machine.`);
  } else if (ofFirmware && isAllOnes(value)) {
    warnings.push(`${what} is all ones: nothing was measured into it since the last reset.`);
  }
  const reason = changing[index];
  if (reason !== undefined) warnings.push(`${what} ${reason}: expect this profile to stop fitting.`);
  return value;
}

/**
 * A policy with one more profile; everything else stays as it is, and banks that the profile needs are allowed. Throws
 * a `ConfigurationError` when a profile of this name is there already.
 */
export function mergeProfile(policy: AttestationPolicy, profile: AttestationProfile): CheckedPolicy {
  const { banks } = policy;
  const needed = Object.keys(profile.pcrs) as PcrBank[];
  return checkPolicy(
    {
      ...policy,
      ...(banks === undefined ? {} : { banks: [...new Set([...banks, ...needed])] }),
      profiles: [...(policy.profiles ?? []), profile],
    },
    "policy",
  );
}

function ownNonce(attestation: unknown): Uint8Array {
  try {
    const own = Buffer.from(parseTpmAttestation(attestation).quote.qualifyingDataHex ?? "", "hex");
    if (own.length > 0) return own;
  } catch {
    // What is wrong with the block is the report's to say.
  }
  return new Uint8Array(16);
}
