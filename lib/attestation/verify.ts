/** Verifying the TPM quote of an answer, and looking at one. The checks themselves are in native/core/attestation. */
import { ConfigurationError, NomyoError } from "../errors.js";
import { native } from "../native.js";
import { fromNative, nativeCode } from "../native-error.js";
import { ownMembers } from "../own-members.js";
import { checkPolicy, policyId } from "./policy.js";
import type { AttestationMode, AttestationPolicy, CheckedPolicy } from "./policy.js";
import { qualifyingDataOf } from "./qualifying-data.js";
import type { AttestationReport, AttestationFault, AttestationVerdict } from "./report.js";

/**
 * Who checks the signature: our own libcrypto alone, or a TPM as well, reached by a TCTI string such as
 * `device:/dev/tpmrm0`.
 */
export type AttestationEngine = "offline" | { readonly tcti: string };

/** What a quote must have been made over: exactly one of the two. */
export type QuoteNonce =
  | {
      /** The payload id that your own request drew, never one that the server echoed. */
      readonly payloadId: string;
      readonly qualifyingData?: undefined;
    }
  | {
      /** The qualifying data itself, 1 to 64 bytes: for quotes made elsewhere. */
      readonly qualifyingData: Uint8Array;
      readonly payloadId?: undefined;
    };

/** What the quote must have been made for, what is demanded of it, and who checks its signature. */
export type VerifyOptions = QuoteNonce & {
  /** `"require"` by default: every structural check, no profile. The mode itself changes nothing here. */
  readonly policy?: AttestationPolicy | AttestationMode;
  /** `"offline"` by default. */
  readonly engine?: AttestationEngine;
};

/**
 * Verifies a server's `_metadata.tpm_attestation`. Resolves to a report whatever the block holds: look at `verified`.
 * When the verifier itself could not work (tpm2-tss is not installed, the engine's TPM does not answer) the report is
 * not verified and has a `fault`.
 *
 * With the id of a stored answer this proves consistency, not freshness: that the block was made for that id, at any
 * time. Only the client that drew the id for a request, and uses it once, knows that the quote is new.
 *
 * Rejects with a `ConfigurationError` for a wrong argument, and with a `NomyoError` when there is no memory or no place
 * in the queue.
 */
export async function verifyTpmAttestation(attestation: unknown, options: VerifyOptions): Promise<AttestationReport> {
  if (typeof options !== "object" || (options as unknown) === null) {
    throw new ConfigurationError("options", "verifyTpmAttestation needs options with payloadId or qualifyingData.");
  }
  const own = ownMembers(options);
  return await verify(
    attestation,
    expectedData(own),
    checkPolicy(own.policy ?? "require", "policy"),
    engineTcti(own.engine),
  );
}

/**
 * The same with checked arguments; `tcti` is the engine's, or null. For the client's enforcement.
 *
 * @param at - Unix seconds at which certificates must have been valid: for a quote that came then. Now without it.
 */
export async function verify(
  attestation: unknown,
  qualifyingData: Uint8Array,
  policy: CheckedPolicy,
  tcti: string | null,
  at?: number,
): Promise<AttestationReport> {
  const now = Date.now();
  const { text, id } = writtenPolicy(policy);
  const stamp = {
    policyId: id,
    verifiedAt: new Date(now).toISOString(),
  };
  const block = jsonOf(attestation);
  try {
    const report = await verdict(block, qualifyingData, text, tcti, at);
    const expires = report.verified && policy.maxAgeMs !== undefined;
    return {
      ...report,
      ...stamp,
      ...(expires ? { expiresAt: new Date(now + policy.maxAgeMs).toISOString() } : {}),
    };
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined) throw error;
    // The TPM has no opinion: our own libcrypto's is worth showing, but what was asked for did not happen.
    const offline =
      tcti === null ? undefined : await verdict(block, qualifyingData, text, null, at).catch(() => undefined);
    return {
      ...(offline ?? { checks: [], trust: "self-asserted" }),
      engine: { name: tcti === null ? "offline" : "esapi", verdict: "not-run" },
      ...stamp,
      verified: false,
      fault,
      message: offline?.message ?? (error as Error).message,
    };
  }
}

/** The policy that was written last, and its id: most programs have one. */
let lastWritten = { text: "", id: "" };

function writtenPolicy(policy: CheckedPolicy): { readonly text: string; readonly id: string } {
  const text = JSON.stringify(policy);
  if (text !== lastWritten.text) lastWritten = { text, id: policyId(policy) };
  return lastWritten;
}

async function verdict(
  block: string,
  data: Uint8Array,
  policy: string,
  tcti: string | null,
  at: number | undefined,
): Promise<AttestationVerdict> {
  try {
    return (await native.verifyAttestation(block, data, policy, tcti, at)) as AttestationVerdict;
  } catch (error) {
    // The core reads the policy again; what only it can find (a certificate's inside) is the caller's to mend.
    if (nativeCode(error) === "INVALID_ARGUMENT") throw new ConfigurationError("policy", (error as Error).message);
    throw fromNative(error, "opening");
  }
}

function faultOf(error: unknown): AttestationFault | undefined {
  const code = error instanceof NomyoError ? error.code : undefined;
  return code === "TSS_MISSING" || code === "TPM_ERROR" ? code : undefined;
}

/**
 * What is not JSON (a cycle, a BigInt, undefined) cannot have come from a server: it is judged as a block that is
 * missing.
 */
function jsonOf(attestation: unknown): string {
  try {
    const text: unknown = JSON.stringify(attestation); // its type forgets that it may be undefined
    return typeof text === "string" ? text : "null";
  } catch {
    return "null";
  }
}

function expectedData({ payloadId, qualifyingData }: VerifyOptions): Uint8Array {
  if ((payloadId === undefined) === (qualifyingData === undefined)) {
    throw new ConfigurationError("payloadId", "Give exactly one of payloadId and qualifyingData.");
  }
  if (payloadId !== undefined) {
    if (typeof payloadId !== "string" || payloadId === "") {
      throw new ConfigurationError(
        "payloadId",
        "payloadId must be the payload id of your request, a text that is not empty.",
      );
    }
    return qualifyingDataOf(payloadId);
  }
  // Not instanceof: the bytes may come from another realm.
  if (!ArrayBuffer.isView(qualifyingData) || qualifyingData.byteLength < 1 || qualifyingData.byteLength > 64) {
    throw new ConfigurationError("qualifyingData", "qualifyingData must be a Uint8Array of 1 to 64 bytes.");
  }
  return Uint8Array.from(new Uint8Array(qualifyingData.buffer, qualifyingData.byteOffset, qualifyingData.byteLength));
}

/** The TCTI string of an engine, null for offline. Throws a `ConfigurationError`. */
export function engineTcti(engine: unknown): string | null {
  if (engine === undefined || engine === "offline") return null;
  const tcti =
    typeof engine === "object" && engine !== null ? ownMembers(engine as { tcti?: unknown }).tcti : undefined;
  if (typeof tcti !== "string" || tcti === "" || Object.keys(engine as object).length !== 1) {
    throw new ConfigurationError(
      "engine",
      'engine must be "offline" or { tcti }, e.g. { tcti: "device:/dev/tpmrm0" }.',
    );
  }
  return tcti;
}

/** A block's structures, for people who look: nothing of it is verified. */
export interface ParsedTpmAttestation {
  readonly quote: {
    readonly form: "TPMS_ATTEST" | "TPM2B_ATTEST";
    readonly magicHex: string;
    readonly typeHex: string;
    readonly qualifiedSignerHex?: string;
    readonly qualifyingDataHex?: string;
    /** Milliseconds, decimal: it has 64 bits. */
    readonly clock?: string;
    readonly safe?: boolean;
    /** As the TPM wrote it; obfuscated for most keys (TPM 2.0 Part 1, 36.7). */
    readonly resetCount?: number;
    readonly restartCount?: number;
    readonly firmwareVersion?: string;
    readonly pcrSelection?: string;
    readonly pcrDigestHex?: string;
  };
  readonly signature: { readonly scheme: string; readonly bytes: number };
  readonly aik: {
    readonly type: string;
    readonly bits?: number;
    readonly curve?: string;
    readonly pem?: string;
    /** Why the key would not be accepted. */
    readonly fault?: string;
    readonly scheme: string;
    readonly nameAlg: string;
    readonly nameHex?: string;
    readonly attributesHex: string;
    readonly attributes: readonly string[];
    readonly authPolicyHex: string;
  };
  readonly pcrBanks: string;
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** How many certificates came with the AIK. */
  readonly certificates: number;
}

/**
 * Takes a block apart without believing any of it. Throws a `NomyoError` with the code `ATTESTATION_MALFORMED` when it
 * cannot be read, `TSS_MISSING` when tpm2-tss is not installed.
 */
export function parseTpmAttestation(attestation: unknown): ParsedTpmAttestation {
  try {
    return JSON.parse(native.parseAttestation(jsonOf(attestation))) as ParsedTpmAttestation;
  } catch (error) {
    if (nativeCode(error) !== "INVALID_ARGUMENT") throw fromNative(error, "opening");
    throw new NomyoError((error as Error).message, "ATTESTATION_MALFORMED");
  }
}
