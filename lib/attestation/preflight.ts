/**
 * The verdict on a server before a prompt goes to it: shared among its callers, and asked for again when it is too old.
 */

interface Verdict {
  readonly serverKey: string;
  /** Milliseconds on the monotonic clock, from when the asking began; infinite without a limit. */
  readonly expires: number;
}

/**
 * One for each server, policy, tier and engine; a verdict is on one key of the server.
 *
 * Callers share verdicts, and nothing else. Who finds none asks, with his own credentials and his own patience; who
 * comes meanwhile waits, with his own patience, for how that ends. A failure is the asker's alone: those who waited ask
 * for themselves, one at a time.
 */
export class Preflight {
  #verdict: Verdict | undefined;
  /** By the server's key: settles, and never rejects, when the asking has ended in one way or the other. */
  readonly #asking = new Map<string, Promise<void>>();

  /** `now`: milliseconds of a monotonic clock. */
  constructor(
    private readonly maxAgeMs: number | undefined,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether there is a verdict on this key (its fingerprint) that is young enough at this very moment. */
  covers(serverKey: string): boolean {
    return this.#verdict?.serverKey === serverKey && this.now() < this.#verdict.expires;
  }

  /**
   * Asks for a verdict on this key, unless somebody does so already: then waits for that.
   *
   * It does not say what came of it, since that may be too old by the time it is looked at: ask {@link covers}, and
   * call this again.
   *
   * @param ask - Rejects when the quote is not accepted, and with whatever else goes wrong; this call then rejects with
   *   that.
   * @param race - Waits with the caller's patience for the asking of another.
   * @returns whether this very call asked.
   */
  async ask(
    serverKey: string,
    ask: () => Promise<unknown>,
    race: (others: Promise<void>) => Promise<void>,
  ): Promise<boolean> {
    const others = this.#asking.get(serverKey);
    if (others !== undefined) {
      await race(others);
      return false;
    }
    // Age counts from here, since the quote may be as old.
    const expires = this.maxAgeMs === undefined ? Infinity : this.now() + this.maxAgeMs;
    let settled = (): void => undefined;
    this.#asking.set(serverKey, new Promise((resolve) => (settled = resolve)));
    try {
      await ask();
      this.#verdict = { serverKey, expires };
      return true;
    } finally {
      this.#asking.delete(serverKey);
      settled();
    }
  }
}
