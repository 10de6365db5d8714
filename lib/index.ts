/** nomyo-native: public exports only. */
export * from "./errors.js";
export type { AttestationCheck, AttestationCode, AttestationFault, AttestationReport } from "./attestation/report.js";
export type {
  AttestationMode,
  AttestationPolicy,
  AttestationProfile,
  PcrBank,
  PcrExpectation,
} from "./attestation/policy.js";
export type { AttestationOption } from "./attestation/enforcement.js";
export { parsePolicy } from "./attestation/policy.js";
export { parseTpmAttestation, verifyTpmAttestation } from "./attestation/verify.js";
export type { AttestationEngine, ParsedTpmAttestation, QuoteNonce, VerifyOptions } from "./attestation/verify.js";
export { baselineFrom, mergeProfile } from "./attestation/baseline.js";
export type { Baseline, BaselineOptions } from "./attestation/baseline.js";
export type { BuildInfo } from "./native.js";
export { SecureBuffer } from "./memory/secure-buffer.js";
export type { SecureResponse } from "./memory/secure-response.js";
export { getMemoryProtectionInfo, hardenProcess } from "./memory/protection.js";
export type { MemoryProtectionInfo } from "./memory/protection.js";
