import { native } from "../native.js";
import type { LockPolicy } from "../native.js";
import { withMemoryErrors } from "../memory/memory-error.js";
import type { Logger } from "./logger.js";

/**
 * Locked memory in bytes without which a client could not even make its key and send a small request: a worker's stack, the numbers of a
 * key generation, the sealer's buffers. Measured: 794 624 bytes are locked after that.
 */
const LEAST_BYTES = 800 * 1024;

/** Tells early, and once, that memory cannot be locked: under `"required"` by an error, under `"preferred"` through the logger. */
export class MemoryCheck {
  readonly #policy: LockPolicy;
  readonly #logger: Logger;
  #reported = false;

  /** Throws a `MemoryProtectionError` that names the limit and how to raise it, if the policy is `"required"` and cannot be met. */
  constructor(policy: LockPolicy, logger: Logger) {
    this.#policy = policy;
    this.#logger = logger;
    if (policy === "off") return;
    // What other clients of this process have in use is there to be shared: threads and their stacks most of all.
    const missing = LEAST_BYTES - native.memoryInfo().stats.bytesInUse;
    if (missing > 0) withMemoryErrors(() => native.memoryProbe(missing, policy));
    this.report();
  }

  /** To be called after work: warns the first time that something has had to go on in memory that is not locked. */
  report(): void {
    if (this.#policy !== "preferred" || this.#reported) return;
    if (!native.memoryDegraded()) return;
    this.#reported = true;
    const { lockLimitSoft } = native.memoryInfo();
    this.#logger.warn(
      'Not all secrets are in locked memory: the limit of this process is too low, and `secureMemory` is "preferred". They are wiped ' +
        "after use all the same, but may be swapped out. Raise the limit (RLIMIT_MEMLOCK, `ulimit -l`); `nomyo-native doctor` tells how.",
      { lockLimit: lockLimitSoft ?? undefined },
    );
  }
}
