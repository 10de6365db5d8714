/** nomyo-native: public exports only. */
export * from "./errors.js";

export { SecureChatCompletion } from "./client/secure-chat-completion.js";
export type { AttestOptions, CloseOptions } from "./client/secure-chat-completion.js";
export { SecureCompletionClient } from "./client/secure-completion-client.js";
export type { GenerateKeysOptions } from "./client/secure-completion-client.js";
export type { ApiKey, ClientOptions, RequestOptions, SecurityTier, ServerKeyOptions } from "./client/options.js";
export type { KeyPassword } from "./client/key-password.js";
export type { RateLimitOptions } from "./client/rate-limit.js";
export type { LogFields, Logger } from "./client/logger.js";
export type { DispatcherLike, FetchInit, FetchLike } from "./client/fetch-transport.js";
export { APIPromise } from "./client/api-promise.js";
export type { ResponseHeaders } from "./client/response-headers.js";
export type { ResponseInfo, WithResponse } from "./client/api-promise.js";
export type { Phase, PhaseTrace, RequestTrace, RetryTrace, ServerKeyTrace } from "./client/diagnostics.js";

export { createSecureFetch } from "./openai/secure-fetch.js";
export type { SecureFetch, SecureFetchOptions } from "./openai/secure-fetch.js";
export { ChatCompletionStream } from "./openai/chunks.js";
export type * from "./openai/chat-types.js";

export { parseTpmAttestation, verifyTpmAttestation } from "./attestation/verify.js";
export type { AttestationEngine, ParsedTpmAttestation, QuoteNonce, VerifyOptions } from "./attestation/verify.js";
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
export { SecureResponse } from "./memory/secure-response.js";
export { getMemoryProtectionInfo, hardenProcess } from "./memory/protection.js";
export type { MemoryProtectionInfo } from "./memory/protection.js";
export { getBuildInfo } from "./build-info.js";
export type { BuildInfo, LockPolicy, PoolStats } from "./native.js";
