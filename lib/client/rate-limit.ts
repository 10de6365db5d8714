import type { Deadline } from "../http/deadline.js";

/**
 * A token bucket on this side. The hosted service documents one to two requests a second for each API key, and short bursts of
 * twice that: `{ requestsPerSecond: 1, burst: 2 }` keeps below it always, `{ requestsPerSecond: 2, burst: 4 }` uses it fully.
 */
export interface RateLimitOptions {
  /** Tokens that come back each second; above 0. */
  readonly requestsPerSecond: number;
  /** The most tokens that gather, so the size of a burst; at least 1. Twice `requestsPerSecond` by default. */
  readonly burst?: number | undefined;
}

/** Lets attempts through at a given rate, in the order in which they asked. */
export class RateLimiter {
  readonly #perMs: number;
  readonly #burst: number;
  /** May go below zero: then the debt is what waiting attempts have reserved. */
  #tokens: number;
  #at: number;
  readonly #now: () => number;

  constructor(options: RateLimitOptions, now: () => number = () => performance.now()) {
    this.#perMs = options.requestsPerSecond / 1000;
    this.#burst = options.burst ?? Math.max(1, options.requestsPerSecond * 2);
    this.#tokens = this.#burst;
    this.#now = now;
    this.#at = now();
  }

  /** Takes one token, now or later, and returns how long to wait for it in milliseconds. */
  reserve(): number {
    const now = this.#now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    this.#tokens -= 1;
    return this.#tokens >= 0 ? 0 : -this.#tokens / this.#perMs;
  }

  /**
   * Waits for a token, as long as the deadline allows. An attempt that would have to wait past it fails at once with the deadline's
   * time-out error, and gives its token back: waiting longer could not help it.
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
}
