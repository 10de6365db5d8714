/**
 * Wrong API keys. Each ends its connection, so a guess costs one; and of many at a time the operator sees 429s.
 *
 * Right keys are never slowed down for it: behind a proxy all clients have one address, and whoever guesses would lock
 * them out. What makes guessing hopeless is a key's length; this bounds what it costs those who do not guess.
 */
import { RateLimiter } from "./rate-limiter.js";

/** Wrong keys at once that are answered as such, and how many more each second. */
const BURST = 60;
const PER_SECOND = 1;

export class KeyGuesses {
  readonly #limiter: RateLimiter;

  /** `now`: a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#limiter = new RateLimiter({ perSecond: PER_SECOND, burst: BURST }, now);
  }

  /** Counts a wrong key. Returns 0, or in how many seconds one is answered as such again: until then 429. */
  count(): number {
    return Math.ceil(this.#limiter.takeNow() / 1000);
  }
}
