/** The error for a quote that was missing or did not verify. */
import { SecurityError } from "../errors.js";
import type { AttestationReport } from "./report.js";

/** Treat the server as not trustworthy until you know why: its quote was missing or did not verify. See `report`. */
export class AttestationError extends SecurityError {
  /** Every check with its outcome. */
  readonly report: AttestationReport;

  constructor(message: string, code: string, report: AttestationReport) {
    super(message, code);
    this.report = report;
  }
}
