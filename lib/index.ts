/** nomyo-native: public exports only. */
export * from "./errors.js";
export { AttestationError } from "./attestation/attestation-error.js";

export { SecureChatCompletion } from "./client/secure-chat-completion.js";
export type { AttestOptions, CloseOptions } from "./client/secure-chat-completion.js";
export { SecureCompletionClient } from "./client/secure-completion-client.js";
export type { GenerateKeysOptions } from "./client/secure-completion-client.js";
export type { ApiKey, ClientOptions, RateLimitOptions, RequestOptions, ServerKeyOptions } from "./client/options.js";
export type { SecurityTier } from "./chat/security-tier.js";
export type { KeyPassword } from "./keys/key-password.js";
export type { LogFields, Logger } from "./client/logger.js";
export type { DispatcherLike, FetchInit, FetchLike } from "./http/fetch-transport.js";
export type { Receipt, ReceiptChain, ReceiptPackage } from "./receipts/receipt.js";
export type { ReceiptOptions } from "./receipts/receipt-options.js";
export { APIPromise } from "./client/api-promise.js";
export type { ResponseHeaders } from "./response-headers.js";
export type { ResponseInfo, WithResponse } from "./client/api-promise.js";
export type { MemoryTrace, Phase, PhaseTrace, RequestTrace, RetryTrace, ServerKeyTrace } from "./client/diagnostics.js";

export { createSecureFetch } from "./openai/secure-fetch.js";
export type { SecureFetch, SecureFetchOptions } from "./openai/secure-fetch.js";
export { ChatCompletionStream } from "./chat/chunks.js";
export type * from "./chat/chat-types.js";

export { parseTpmAttestation, verifyTpmAttestation } from "./attestation/verify.js";
export type { AttestationEngine, ParsedTpmAttestation, QuoteNonce, VerifyOptions } from "./attestation/verify.js";
export { attestationState } from "./attestation/attestation-state.js";
export type { AttestationState, AttestationStateName } from "./attestation/attestation-state.js";
export { baselineFrom, mergeProfile } from "./attestation/baseline.js";
export type { Baseline, BaselineOptions } from "./attestation/baseline.js";
export { parsePolicy } from "./attestation/policy.js";
export type {
  AttestationMode,
  AttestationPolicy,
  AttestationProfile,
  CheckedPolicy,
  PcrBank,
  PcrExpectation,
} from "./attestation/policy.js";
export type { AttestationOption } from "./attestation/enforcement.js";
export type { AttestationCheck, AttestationCode, AttestationFault, AttestationReport } from "./attestation/report.js";
export type { TpmAttestationBlock } from "./native.js";

export { SecureBuffer } from "./memory/secure-buffer.js";
export { SecureResponse } from "./client/secure-response.js";
export { getMemoryProtectionInfo, hardenProcess } from "./memory/protection.js";
export type { MemoryProtectionInfo } from "./memory/protection.js";
export { setMemoryMechanism } from "./memory/secure-memory.js";
export type { MemoryMechanism, SecureMemory, SecureMemoryOptions } from "./memory/secure-memory.js";
export { setThreadLimit } from "./memory/thread-limit.js";
export { getBuildInfo } from "./build-info.js";
export type { BuildInfo, LockFailure, LockMechanism, Locking, PoolStats } from "./native.js";
