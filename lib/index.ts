/** nomyo-native: public exports only. */
export * from "./errors.js";
export type { AttestationCheck, AttestationCode, AttestationReport } from "./attestation/report.js";
export type { BuildInfo } from "./native.js";
