import { Deadline } from "../../../lib/http/deadline.js";
import { RateLimiter } from "../../../lib/http/rate-limiter.js";
import { APIConnectionTimeoutError, APIUserAbortError } from "../../../lib/errors.js";

describe("RateLimiter", () => {
  it("lets a burst through and then one each interval, in the order of asking", () => {
    const limiter = new RateLimiter({ perSecond: 2, burst: 3 }, () => 0);
    expect(Array.from({ length: 6 }, () => limiter.reserve())).toEqual([0, 0, 0, 500, 1000, 1500]);
  });

  it("gathers no more than the burst while nothing happens", () => {
    let now = 0;
    const limiter = new RateLimiter({ perSecond: 1, burst: 2 }, () => now);
    limiter.reserve();
    limiter.reserve();
    now = 3_600_000;
    expect([limiter.reserve(), limiter.reserve(), limiter.reserve()]).toEqual([0, 0, 1000]);
  });

  it("takes nothing where there is nothing now, and says how long until there is", () => {
    let now = 0;
    const limiter = new RateLimiter({ perSecond: 2, burst: 2 }, () => now);
    expect([limiter.takeNow(), limiter.takeNow(), limiter.takeNow(), limiter.takeNow()]).toEqual([0, 0, 500, 500]);
    now = 499;
    expect(limiter.takeNow()).toBeCloseTo(1);
    now = 500;
    expect([limiter.takeNow(), limiter.takeNow()]).toEqual([0, 500]);
  });

  it("waits for its turn", async () => {
    jest.useFakeTimers();
    try {
      const limiter = new RateLimiter({ perSecond: 20, burst: 1 });
      const deadline = new Deadline(10_000, []);
      deadline.startClock();
      const started = performance.now();
      const turns: number[] = [];
      for (let i = 0; i < 3; i++) void limiter.take(deadline).then(() => turns.push(performance.now() - started));
      await jest.advanceTimersByTimeAsync(1000);
      expect(turns).toEqual([0, 50, 100]);
      deadline.dispose();
    } finally {
      jest.useRealTimers();
    }
  });

  it("fails at once with the time-out error when its turn comes too late, and gives the token back", async () => {
    const limiter = new RateLimiter({ perSecond: 0.001, burst: 1 }, () => 0);
    const deadline = new Deadline(1000, []);
    deadline.startClock();
    await limiter.take(deadline);
    await expect(limiter.take(deadline)).rejects.toThrow(APIConnectionTimeoutError);
    await expect(limiter.take(deadline)).rejects.toThrow(/rate limit/);
    expect(limiter.reserve()).toBeCloseTo(1_000_000);
    deadline.dispose();
  });

  it("stops waiting when the caller's signal is aborted, and gives the token back", async () => {
    const controller = new AbortController();
    const limiter = new RateLimiter({ perSecond: 1, burst: 1 }, () => 0);
    const deadline = new Deadline(60_000, [controller.signal]);
    deadline.startClock();
    await limiter.take(deadline);
    const waiting = limiter.take(deadline);
    controller.abort();
    await expect(waiting).rejects.toThrow(APIUserAbortError);
    expect(limiter.reserve()).toBe(1000);
    deadline.dispose();
  });
});
