/** The one token bucket: a client waits for its turn at it, a server refuses what comes too early. */
import type { Deadline } from "./deadline.js";

export interface Rate {
  /** Tokens that come back each second; above 0. */
  readonly perSecond: number;
  /** The most tokens that gather, so the size of a burst; at least 1. */
  readonly burst: number;
}

export class RateLimiter {
  readonly #perMs: number;
  readonly #burst: number;
  /** May go below zero: then the debt is what those who wait have reserved. */
  #tokens: number;
  #at: number;
  readonly #now: () => number;

  /** `now`: a monotonic clock in milliseconds. */
  constructor({ perSecond, burst }: Rate, now: () => number = () => performance.now()) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#now = now;
    this.#at = now();
  }

  /**
   * Takes one token, now or later, and returns how long to wait for it in milliseconds: turns come in the order of
   * asking.
   */
  reserve(): number {
    this.#refill();
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  /**
   * Takes one token if there is one, and returns 0; else takes none, and returns in how many milliseconds there will be
   * one.
   */
  takeNow(): number {
    this.#refill();
    if (this.#tokens < 1) return (1 - this.#tokens) / this.#perMs;
    this.#tokens -= 1;
    return 0;
  }

  /**
   * Waits for a token, as long as the deadline allows. An attempt that would have to wait past it fails at once with
   * the deadline's time-out error, and gives its token back: waiting longer could not help it.
   */
  async take(deadline: Deadline): Promise<void> {
    const wait = this.reserve();
    if (wait === 0) return;
    if (wait > deadline.remaining()) {
      this.#tokens += 1;
      throw deadline.timeoutError("the client's own rate limit would have let it through only after its time");
    }
    try {
      await deadline.sleep(wait);
    } catch (error) {
      this.#tokens += 1;
      throw error;
    }
  }

  #refill(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
