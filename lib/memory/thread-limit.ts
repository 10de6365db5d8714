/** The option `threads` of clients and of the router: how many threads of its own the package may have. */
import { ConfigurationError } from "../errors.js";
import { native } from "../native.js";
import { fromNative, nativeCode } from "../native-error.js";
import { integer } from "../option-checks.js";

/** What the addon takes. */
export const threadLimit = integer(1, 64);

/**
 * Sets how many threads of its own the package may have in this process, 1 to 64. Call it before anything is opened or
 * verified and before a key is made, unless you give `threads` to the first client or the router.
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

/** What has chosen first, as far as this thread knows: who meets the conflict may not have set it. */
let chosenBy: string | undefined;

function choose(option: string, threads: number): void {
  try {
    native.setThreadLimit(threads);
    chosenBy ??= option;
  } catch (error) {
    if (nativeCode(error) !== "INVALID_ARGUMENT") throw fromNative(error, "opening");
    const first = chosenBy === undefined || chosenBy === option ? "" : ` The first choice was \`${chosenBy}\`.`;
    throw new ConfigurationError(option, `\`${option}\`: ${(error as Error).message}${first}`);
  }
}
