/** One job of the addon, cancelled by a signal. */
import { native } from "../native.js";
import type { CancelToken } from "../native.js";

/**
 * Calls `work` with a token for its job; when `signal` aborts, or has before, the job is cancelled and rejects with
 * `CANCELLED`.
 */
export async function cancellable<T>(
  signal: AbortSignal | undefined,
  work: (token: CancelToken) => Promise<T>,
): Promise<T> {
  const token = native.createCancelToken();
  const cancel = (): void => native.cancel(token);
  if (signal?.aborted === true) cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await work(token);
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
