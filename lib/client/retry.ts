/** Which failures are worth another attempt, and after how long. */
import { APIConnectionError, APIError, APIUserAbortError } from "../errors.js";

/** Back-off of the first extra attempt, in milliseconds; each further one doubles it. */
const FIRST_DELAY_MS = 1000;
/** Longest back-off: more would hide an outage from the caller for minutes. */
const LONGEST_DELAY_MS = 30_000;
/** Longest `Retry-After` that is waited for. A server in its 30-minute cool-down is reported at once instead. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** The statuses for which PROTOCOL section 4 says "retried"; a test compares them with its table. */
export const RETRIED_STATUSES: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/**
 * The wait that a `Retry-After` header asks for, in milliseconds (RFC 9110 10.2.3: seconds, or an HTTP date), 0 for a
 * date that has passed; undefined when there is none or it is neither.
 */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  // Only the three forms of an HTTP date, all of which begin with a day's name: Date.parse alone reads "5m" or "-1" as
  // dates.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/**
 * Back-off before extra attempt `retry` (1, 2, …) in milliseconds: 1 s, 2 s, 4 s …, capped, up to a quarter taken off
 * at random.
 */
export function backOff(retry: number, random: () => number = Math.random): number {
  const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (retry - 1));
  return delay * (1 - random() * 0.25);
}

/**
 * How long to wait before extra attempt `retry` after `error`, in milliseconds; undefined when it must not be retried:
 * because of its kind, or because the server asks for more patience than is bearable.
 */
export function retryDelay(error: unknown, retry: number, nowMs: number = Date.now()): number | undefined {
  if (!(error instanceof APIError) || error instanceof APIUserAbortError) return undefined;
  if (error instanceof APIConnectionError) return backOff(retry);
  if (error.statusCode === undefined || !RETRIED_STATUSES.has(error.statusCode)) return undefined;
  const asked = parseRetryAfter(error.headers?.get("retry-after") ?? null, nowMs);
  if (asked === undefined) return backOff(retry);
  return asked <= LONGEST_RETRY_AFTER_MS ? asked : undefined;
}
