/**
 * The outcome of verifying a quote: the same object on success, in `AttestationError.report`, and on the command line.
 */
import type { PcrBank, PcrExpectation } from "./policy.js";

/** Every check of the verifier, in the order in which it decides. */
export const attestationCodes = [
  "ATTESTATION_MISSING",
  "ATTESTATION_MALFORMED",
  "AIK_TYPE",
  "AIK_ATTRIBUTES",
  "AIK_SCHEME",
  "SIGNATURE_SCHEME",
  "SIGNATURE_INVALID",
  "QUOTE_MAGIC",
  "QUOTE_TYPE",
  "SIGNER_NAME",
  "NONCE_MISMATCH",
  "PCR_SELECTION",
  "PCR_BANK",
  "PCR_DIGEST",
  "CLOCK",
  "PCR_BASELINE",
  "AIK_CERTIFICATE",
] as const;

/** The name of a check; docs/attestation.md has what each looks at. */
export type AttestationCode = (typeof attestationCodes)[number];

/** One check of the verifier, and how it ended. */
export interface AttestationCheck {
  readonly code: AttestationCode;
  /** `null`: the check could not run, because one before it failed, or does not apply. */
  readonly ok: boolean | null;
  /** One sentence for a person. */
  readonly detail: string;
}

/** Why the verifier could not do its work: tpm2-tss is not installed, or the TPM that was to verify does not answer. */
export type AttestationFault = "TSS_MISSING" | "TPM_ERROR";

/** What verifying one block found. Look at `verified`; all else says why, and what the quote itself claims. */
export interface AttestationReport {
  readonly verified: boolean;
  /** The first failure, in the verifier's order. */
  readonly code?: AttestationCode;
  readonly message?: string;
  /** Set when the verifier itself could not work; `verified` is false then, whatever `checks` says. */
  readonly fault?: AttestationFault;
  readonly checks: readonly AttestationCheck[];
  /** `self-asserted`: the AIK came without a certificate. `certified`: its chain verified against `aikRoots`. */
  readonly trust: "self-asserted" | "certified";
  readonly engine: {
    readonly name: "offline" | "esapi";
    readonly verdict: "valid" | "invalid" | "unsupported" | "not-run";
  };
  readonly aik?: {
    readonly type: "rsa" | "ecc";
    readonly bits?: number;
    readonly curve?: "P-256" | "P-384" | "P-521";
    /** e.g. `rsassa-sha256`. */
    readonly scheme: string;
    readonly nameHex: string;
    /** `primary:owner`, `primary:endorsement`, `primary:platform`, `primary:null` or `child-or-unknown`. */
    readonly hierarchy: string;
    readonly pem: string;
  };
  readonly quote?: {
    /** Milliseconds, as the TPM counts them, as a decimal string: it has 64 bits. */
    readonly clock: string;
    readonly safe: boolean;
    readonly resetCount?: number;
    readonly restartCount?: number;
    /** 16 hex digits. */
    readonly firmwareVersion?: string;
    readonly qualifyingDataHex: string;
    /** e.g. `sha256:0,7,10`, in the quote's own order. */
    readonly pcrSelection: string;
    readonly pcrDigestHex: string;
  };
  /** The values that were verified: bank to index to lower-case hex. */
  readonly pcrs?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** The name of the profile that fits. */
  readonly profile?: string;
  /**
   * On `PCR_BASELINE`: the profile that the fewest PCRs keep from fitting (the first of several), and those PCRs.
   * `found` is lower-case hex; `null`: the quote does not have this PCR.
   */
  readonly nearest?: {
    readonly profile: string;
    readonly differences: readonly {
      readonly bank: PcrBank;
      readonly index: number;
      readonly expected: PcrExpectation;
      readonly found: string | null;
    }[];
  };
  /** SHA-256 (hex) of the policy in canonical form. */
  readonly policyId: string;
  /** ISO 8601. */
  readonly verifiedAt: string;
  /** ISO 8601; with `maxAgeMs` only. */
  readonly expiresAt?: string;
}

/** What the core says of a block: a report without what only the caller knows. */
export type AttestationVerdict = Omit<AttestationReport, "policyId" | "verifiedAt" | "expiresAt">;
