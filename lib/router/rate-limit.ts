/** A rate limit for each API key. */
import { RateLimiter } from "../http/rate-limiter.js";
import { Refusal } from "../http/refusal.js";

/** How fast one API key may ask. */
export interface RateLimit {
  /** Requests a second, over time. */
  readonly perSecond: number;
  /** Requests at once, after a pause. */
  readonly burst: number;
}

export class RateLimits {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  /** At most one for each configured key, so it cannot grow without bound. */
  readonly #limiters = new Map<number, RateLimiter>();

  /** `now`: a monotonic clock in milliseconds. */
  constructor(limit: RateLimit, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
  }

  /** Takes one request of key number `key`; throws a 429 with `Retry-After` when there is none left. */
  take(key: number): void {
    const { perSecond, burst } = this.#limit;
    let limiter = this.#limiters.get(key);
    if (limiter === undefined) this.#limiters.set(key, (limiter = new RateLimiter(this.#limit, this.#now)));
    const wait = limiter.takeNow();
    if (wait === 0) return;
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    throw new Refusal(429, `Too many requests: ${perSecond} a second are allowed for each API key, ${burst} at once.`, {
      "retry-after": String(seconds),
    });
  }
}
