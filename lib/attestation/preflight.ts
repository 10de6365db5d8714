/** The verdict on a server before the first prompt: asked for once, shared, and asked for again when it is too old. */
import type { AttestationReport } from "./report.js";

interface Verdict {
  readonly serverKey: string;
  readonly report: Promise<AttestationReport>;
  /** Milliseconds on the monotonic clock, from when the asking began; infinite without a limit. */
  readonly expires: number;
}

/**
 * One for each server (origin). Calls at the same time share one asking, a failed one is forgotten, and a verdict ends with its age or
 * with the server's key.
 */
export class Preflight {
  #verdict: Verdict | undefined;

  /** `now`: milliseconds of a monotonic clock. */
  constructor(
    private readonly maxAgeMs: number | undefined,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Resolves when there is a verdict for this key of the server (its fingerprint) that is young enough; `attest` asks for one, and rejects
   * when the quote is not accepted. Age counts from the asking, since the quote may be as old.
   */
  async ensure(serverKey: string, attest: () => Promise<AttestationReport>): Promise<AttestationReport> {
    const former = this.#verdict;
    if (former?.serverKey === serverKey && this.now() < former.expires) return await former.report;
    const verdict: Verdict = {
      serverKey,
      expires: this.maxAgeMs === undefined ? Infinity : this.now() + this.maxAgeMs,
      report: attest(),
    };
    this.#verdict = verdict;
    try {
      return await verdict.report;
    } catch (error) {
      if (this.#verdict === verdict) this.#verdict = undefined;
      throw error;
    }
  }

  /** Forgets the verdict: the next request asks again. */
  forget(): void {
    this.#verdict = undefined;
  }
}
