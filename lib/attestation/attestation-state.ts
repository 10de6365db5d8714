/** What a report comes to, in a word and two sentences that a user interface can show. */
import type { AttestationReport } from "./report.js";

/**
 * - `verified`: the quote is right, and a certificate says that its key is a TPM's.
 * - `self-asserted`: the quote is right, but nothing says whose TPM made it.
 * - `refused`: something in the attestation is wrong.
 * - `missing`: the server sent none.
 * - `not-checked`: the verifier could not work, or nobody asked it to.
 */
export type AttestationStateName = "verified" | "self-asserted" | "refused" | "missing" | "not-checked";

/** What a report comes to, for a user interface: one word, one sentence, one piece of advice. */
export interface AttestationState {
  readonly state: AttestationStateName;
  /** One sentence for a person. */
  readonly sentence: string;
  /** What to do about it; null when there is nothing to do. */
  readonly advice: string | null;
}

/** `undefined`: there is no report, since attestation is off or nothing was answered yet. */
export function attestationState(report: AttestationReport | undefined): AttestationState {
  if (report === undefined) {
    return {
      state: "not-checked",
      sentence: "No attestation of the server has been checked.",
      advice: "Send a request, and see that attestation is not switched off.",
    };
  }
  if (report.fault !== undefined) {
    return {
      state: "not-checked",
      sentence: `The server's attestation could not be checked on this machine (${report.fault}).`,
      advice:
        report.fault === "TSS_MISSING"
          ? "Install tpm2-tss, or use a policy without a TPM of this machine."
          : "See whether this machine's TPM answers.",
    };
  }
  if (report.code === "ATTESTATION_MISSING") {
    return {
      state: "missing",
      sentence: "The server sent no attestation: which software it runs is its own word.",
      advice: "Ask for a security tier that has attestation, or for a server with a TPM.",
    };
  }
  if (!report.verified) {
    return {
      state: "refused",
      sentence: `The server's attestation did not verify (${report.code ?? "unknown"}).`,
      advice: "Do not trust this server with anything confidential until the reason is known.",
    };
  }
  if (report.trust === "self-asserted") {
    return {
      state: "self-asserted",
      sentence:
        "The quote is genuine in itself, but nothing proves that a real TPM made it: its key came without a " +
        "certificate.",
      advice: "Name the key's certificate authorities, or its pinned name, in the attestation policy.",
    };
  }
  return {
    state: "verified",
    sentence:
      report.profile === undefined
        ? "A TPM whose key is certified has signed the server's boot state; no profile says which state is right."
        : "A TPM whose key is certified has signed the server's boot state, and it is that of the profile " +
          `"${report.profile}".`,
    advice: report.profile === undefined ? "Put the values that are right into the policy as a profile." : null,
  };
}
