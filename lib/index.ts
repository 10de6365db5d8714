/** nomyo-native: public exports only. */
export * from "./errors.js";
export type { AttestationCheck, AttestationCode, AttestationReport } from "./attestation/report.js";
export type { BuildInfo } from "./native.js";
export { SecureBuffer } from "./memory/secure-buffer.js";
export type { SecureResponse } from "./memory/secure-response.js";
export { getMemoryProtectionInfo, hardenProcess } from "./memory/protection.js";
export type { MemoryProtectionInfo } from "./memory/protection.js";
