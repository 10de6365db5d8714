import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  RateLimitError,
  SecurityError,
} from "../../../lib/errors.js";
import { backOff, parseRetryAfter, retryDelay } from "../../../lib/client/retry.js";

describe("parseRetryAfter", () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);

  it.each([
    ["0", 0],
    ["7", 7000],
    [" 3 ", 3000],
    ["1.5", 1500],
    ["Thu, 01 Jan 2026 12:00:10 GMT", 10_000],
    ["Thursday, 01-Jan-26 12:00:10 GMT", 10_000],
    ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
  ])("reads %j as %d ms", (value, milliseconds) => {
    expect(parseRetryAfter(value, now)).toBe(milliseconds);
  });

  it.each([null, "", "soon", "-1", "5m", "1e3", "Thu, never"])("takes %j for nothing", (value) => {
    expect(parseRetryAfter(value, now)).toBeUndefined();
  });
});

describe("backOff", () => {
  it("doubles from one second and is capped at 30", () => {
    expect([1, 2, 3, 4, 10].map((retry) => backOff(retry, () => 0))).toEqual([1000, 2000, 4000, 8000, 30_000]);
  });

  it("takes at most a quarter off at random", () => {
    expect(backOff(1, () => 0.999_999)).toBeCloseTo(750, 0);
    const drawn = new Set(Array.from({ length: 20 }, () => backOff(1)));
    expect(drawn.size).toBeGreaterThan(10);
  });
});

describe("retryDelay", () => {
  const status = (statusCode: number, headers?: Record<string, string>): APIError =>
    new APIError("x", { statusCode, headers: new Headers(headers) });

  // Which statuses are retried is the protocol's to say: test/package/statuses-documented.test.ts has them all.
  it("waits for the back-off after a status that is retried, and not at all after another", () => {
    expect(retryDelay(status(500), 2)).toBeGreaterThanOrEqual(1500);
    expect(retryDelay(status(400), 2)).toBeUndefined();
  });

  it("retries lost connections and time-outs", () => {
    expect(retryDelay(new APIConnectionError("x"), 1)).toBeGreaterThanOrEqual(750);
    expect(retryDelay(new APIConnectionTimeoutError("x"), 2)).toBeGreaterThanOrEqual(1500);
  });

  it("retries neither aborts, nor security errors, nor errors of other code", () => {
    expect(retryDelay(new APIUserAbortError("x"), 1)).toBeUndefined();
    expect(retryDelay(new SecurityError("x"), 1)).toBeUndefined();
    expect(retryDelay(new TypeError("x"), 1)).toBeUndefined();
  });

  it("waits as long as Retry-After says, up to a minute, and gives up when it says more", () => {
    expect(retryDelay(status(429, { "retry-after": "60" }), 1)).toBe(60_000);
    expect(retryDelay(status(503, { "retry-after": "61" }), 1)).toBeUndefined();
    const now = Date.UTC(2026, 0, 1);
    const at = (ms: number): string => new Date(now + ms).toUTCString();
    expect(
      retryDelay(
        new RateLimitError("x", { statusCode: 429, headers: new Headers({ "retry-after": at(5000) }) }),
        1,
        now,
      ),
    ).toBe(5000);
    expect(retryDelay(status(503, { "retry-after": at(1_800_000) }), 1, now)).toBeUndefined();
  });
});
