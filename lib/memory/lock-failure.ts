/** What a failure to lock memory means, in words: logger, doctor and router say the same. */
import type { LockFailure } from "../native.js";

/** The call and its error: `mlock: EPERM (1)`. */
export function failureText({ call, error, errno }: LockFailure): string {
  return `${call}: ${error} (${errno})`;
}

/** Why memory is locked by a weaker mechanism than the first choice. */
export function explainWeaker(failure: LockFailure): string {
  return (
    "Memory is locked by mlock, not memfd_secret: it is not swapped out and left out of core dumps, but root and " +
    "debuggers can read it " +
    `(${failureText(failure)}; ${weakerRemedy(failure)}).`
  );
}

/** What helps to have memfd_secret. */
export function weakerRemedy({ cause }: LockFailure): string {
  switch (cause) {
    case "unavailable":
      return (
        "it wants Linux 5.14 or newer, before 6.5 with `secretmem.enable=1` on the kernel's command line, and in a " +
        "container a seccomp " +
        "profile that lets the call through"
      );
    case "jail":
      return "a filter of system calls or a security module forbids it: docs/deployment.md shows how to let it through";
    case "descriptors":
      return "no file descriptor was left: close files, or raise their limit (`ulimit -n`, `LimitNOFILE=`)";
    case "limit":
    case "memory":
      return "the system had no memory or no mapping to give for it";
  }
}

/** Why memory is not locked at all; `null` when nothing is known of it. */
export function explainUnlocked(failure: LockFailure | null): string {
  if (failure === null || failure.cause === "limit") {
    return "the limit of this process is too low: raise it (RLIMIT_MEMLOCK, `ulimit -l`)";
  }
  const call = failureText(failure);
  if (failure.cause === "jail") {
    return (
      `the system refuses the call (${call}) though the lock limit is not reached: allow it in the filter of ` +
      "system calls (seccomp)"
    );
  }
  return `the system had no memory or no mapping to give (${call})`;
}
