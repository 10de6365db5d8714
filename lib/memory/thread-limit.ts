/** The option `threads` of clients and of the router: how many threads of its own the package may have. */
import { ConfigurationError } from "../errors.js";
import { native } from "../native.js";
import { fromNative, nativeCode } from "../native-error.js";
import { integer } from "../option-checks.js";

/** What the addon takes. */
export const threadLimit = integer(1, 64);

/**
 * Sets how many threads of its own the package may have in this process, 1 to 64. Call it before anything is opened or
 * verified and before a key is made, where that is not the option `threads` of the first client or of the router.
 *
 * @throws ConfigurationError when another number was chosen before, or more threads have started already.
 */
export function setThreadLimit(threads: number): void {
  choose("threads", threadLimit(threads, "threads"));
}

/** The same for the option of a client or the router, if it says anything. */
export function applyThreadLimit({ threads }: { readonly threads: number | undefined }): void {
  if (threads !== undefined) choose("threads", threads);
}

/** The same for the environment variable of the command line. The library itself never reads it. */
export function applyThreadsVariable(value: string): void {
  const number = Number(value);
  choose(THREADS_VARIABLE, threadLimit(String(number) === value ? number : undefined, THREADS_VARIABLE));
}

/** What the command line reads. */
export const THREADS_VARIABLE = "NOMYO_THREADS";

function choose(option: string, threads: number): void {
  try {
    native.setThreadLimit(threads);
  } catch (error) {
    if (nativeCode(error) === "INVALID_ARGUMENT") throw new ConfigurationError(option, (error as Error).message);
    throw fromNative(error, "opening");
  }
}
