/** What a client does with the attestation of an answer: nothing, report it, or believe no answer without it. */
import { AttestationError } from "./attestation-error.js";
import { ConfigurationError } from "../errors.js";
import { checkPolicy } from "./policy.js";
import type { AttestationMode, AttestationPolicy, CheckedPolicy } from "./policy.js";
import { isBoundPayloadId, qualifyingDataOf } from "./qualifying-data.js";
import type { AttestationReport } from "./report.js";
import { engineTcti, verify } from "./verify.js";
import type { AttestationEngine } from "./verify.js";

/**
 * `"off"` ignores the block, `"report"` verifies it and puts the report beside the answer, `"require"` lets no answer
 * through that does not verify. The strings stand for a policy with only that mode; `{ policy, engine }` also has a TPM
 * verify.
 */
export type AttestationOption =
  | AttestationMode
  | AttestationPolicy
  | { readonly policy: AttestationMode | AttestationPolicy; readonly engine: AttestationEngine };

/** An attestation option that has been checked. */
export interface Enforcement {
  readonly mode: AttestationMode;
  /**
   * Verify a quote before the first prompt leaves: the policy's `preflight`, in `require` only, since nothing else
   * refuses.
   */
  readonly preflight: boolean;
  /** How long a preflight's verdict holds, in milliseconds; undefined: until the server's key changes. */
  readonly maxAgeMs: number | undefined;
  /** Whether payload ids commit to both keys, and whether the server must confirm it. */
  readonly binding: "none" | "optional" | "required";
  readonly policy: CheckedPolicy;
  /** The TCTI string of the TPM that is to verify as well; null for none. */
  readonly tcti: string | null;
}

/** Checks an option. Throws a `ConfigurationError`; `option` names it there. */
export function enforcementOf(option: AttestationOption, name = "attestation"): Enforcement {
  const withEngine = isWithEngine(option);
  if (withEngine) {
    const unknown = Object.keys(option).find((key) => key !== "policy" && key !== "engine");
    if (unknown !== undefined) {
      throw new ConfigurationError(name, `${name} has the unknown key ${JSON.stringify(unknown.slice(0, 80))}.`);
    }
  }
  const policy = checkPolicy(withEngine ? option.policy : option, name);
  const tcti = withEngine && Object.hasOwn(option, "engine") ? engineTcti(option.engine) : null;
  if (policy.engine === "esapi" && tcti === null && policy.mode !== "off") {
    throw new ConfigurationError(
      name,
      `The policy wants a TPM to verify (engine "esapi"), and ${name} names none: give { policy, engine: { tcti } }.`,
    );
  }
  return {
    mode: policy.mode,
    preflight: policy.mode === "require" && policy.preflight === true,
    maxAgeMs: policy.maxAgeMs,
    binding: policy.mode === "off" ? "none" : (policy.binding ?? "none"),
    policy,
    tcti,
  };
}

/** By its own members: a polluted `Object.prototype` must not be able to name a policy. */
function isWithEngine(option: AttestationOption): option is Extract<AttestationOption, { policy: unknown }> {
  return typeof option === "object" && (option as unknown) !== null && Object.hasOwn(option, "policy");
}

/**
 * Judges the attestation of one answer.
 *
 * `block` is `_metadata.tpm_attestation` as it came, `payloadId` the id that this very attempt drew, `payloadBinding`
 * the server's `_metadata.payload_binding`. Resolves to the report, or to undefined in mode `off`. In `require` it
 * rejects with an `AttestationError`, which has the report, unless everything verified: the caller wipes the answer and
 * passes the error on.
 */
export async function enforce(
  enforcement: Enforcement,
  block: unknown,
  payloadId: string,
  payloadBinding?: unknown,
): Promise<AttestationReport | undefined> {
  if (enforcement.mode === "off") return undefined;
  const report = await verify(block, qualifyingDataOf(payloadId), enforcement.policy, enforcement.tcti);
  if (enforcement.mode === "report") return report;
  if (!report.verified) {
    const code = report.fault ?? report.code ?? "ATTESTATION_MISSING";
    const message = report.message ?? "The quote did not verify.";
    throw new AttestationError(`The server's attestation was not accepted (${code}). ${message}`, code, report);
  }
  if (enforcement.binding === "required" && !(isBoundPayloadId(payloadId) && payloadBinding === "verified")) {
    throw new AttestationError(
      "The policy requires the relay binding, and the server did not confirm that the payload id commits to both " +
        "keys " +
        "(BINDING_MISSING). Use a server that takes part, or a policy without it.",
      "BINDING_MISSING",
      report,
    );
  }
  return report;
}
