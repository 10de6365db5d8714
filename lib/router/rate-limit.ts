/** A token bucket for each API key. */
import { Refusal } from "../http/refusal.js";

export interface RateLimit {
  /** Requests a second, over time. */
  readonly perSecond: number;
  /** Requests at once, after a pause. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  /** Milliseconds of the clock below. */
  updated: number;
}

export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  /** At most one for each configured key, so it cannot grow without bound. */
  readonly #buckets = new Map<number, Bucket>();

  /** `now`: a monotonic clock in milliseconds. */
  constructor(limit: RateLimit, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
  }

  /** Takes one request of key number `key`; throws a 429 with `Retry-After` when there is none left. */
  take(key: number): void {
    const { perSecond, burst } = this.#limit;
    const now = this.#now();
    const bucket = this.#buckets.get(key) ?? { tokens: burst, updated: now };
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.updated) / 1000) * perSecond);
    bucket.updated = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) {
      const seconds = Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
      throw new Refusal(
        429,
        `Too many requests: ${perSecond} a second are allowed for each API key, ${burst} at once.`,
        {
          "retry-after": String(seconds),
        },
      );
    }
    bucket.tokens -= 1;
  }
}
