import { RateLimits } from "../../../lib/router/rate-limit.js";
import type { Refusal } from "../../../lib/http/refusal.js";

function refusal(limiter: RateLimits, key: number): Refusal {
  try {
    limiter.take(key);
  } catch (error) {
    return error as Refusal;
  }
  throw new Error("was not refused");
}

describe("RateLimits", () => {
  let now = 0;
  const limiter = () => new RateLimits({ perSecond: 2, burst: 4 }, () => now);
  beforeEach(() => {
    now = 1000;
  });

  test("lets a burst through, then says when the next may come", () => {
    const it = limiter();
    for (let i = 0; i < 4; i += 1) it.take(0);
    expect(refusal(it, 0)).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
    now += 499;
    expect(refusal(it, 0).status).toBe(429);
    now += 1;
    it.take(0);
    expect(refusal(it, 0).status).toBe(429);
  });

  test("counts each key by itself", () => {
    const it = limiter();
    for (let i = 0; i < 4; i += 1) it.take(0);
    expect(refusal(it, 0).status).toBe(429);
    it.take(1);
  });

  test("never saves up more than a burst", () => {
    const it = limiter();
    now += 3_600_000;
    for (let i = 0; i < 4; i += 1) it.take(0);
    expect(refusal(it, 0).status).toBe(429);
  });

  test("a slow limit gives a long Retry-After", () => {
    const it = new RateLimits({ perSecond: 0.1, burst: 1 }, () => now);
    it.take(0);
    expect(refusal(it, 0).headers).toEqual({ "retry-after": "10" });
  });
});
