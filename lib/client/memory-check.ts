/** Tells a client's user, once, that memory is less protected than was asked for. */
import { memoryInfo, memorySetbacks, probeMemory } from "../memory/protection.js";
import type { Locking } from "../native.js";
import { explainUnlocked, explainWeaker } from "../memory/lock-failure.js";
import { memoryChannel } from "./diagnostics.js";
import type { MemoryTrace } from "./diagnostics.js";
import type { Logger } from "./logger.js";

/**
 * Locked memory in bytes without which a client could not even make its key and send a small request: a worker's stack,
 * the numbers of a key generation, the sealer's buffers. Measured: 794 624 bytes are locked after that.
 */
const LEAST_BYTES = 800 * 1024;

/**
 * Tells early, and once, that memory cannot be locked: under `"required"` by an error, under `"preferred"` through the
 * logger. Also once, that it is locked by a weaker mechanism than the first choice. The diagnostics channel
 * `nomyo:memory` is told the same as the logger.
 */
export class MemoryCheck {
  readonly #locking: Locking;
  readonly #logger: Logger;
  #reported = false;
  #reportedWeaker = false;

  /**
   * Throws a `MemoryProtectionError` that names the limit and how to raise it, under `"required"`, if memory
   * cannot be locked.
   */
  constructor(locking: Locking, logger: Logger) {
    this.#locking = locking;
    this.#logger = logger;
    if (locking === "off") return;
    // What other clients of this process have in use is there to be shared: threads and their stacks most of all.
    const missing = LEAST_BYTES - memoryInfo().stats.bytesInUse;
    if (missing > 0) probeMemory(missing, locking);
    this.report();
  }

  /**
   * To be called after work: warns the first time that something has had to go on in memory that is less protected than
   * was hoped for.
   */
  report(): void {
    if (this.#locking === "off" || (this.#reported && this.#reportedWeaker)) return;
    const { degraded, weakerBecause } = memorySetbacks();
    if (weakerBecause !== null && !this.#reportedWeaker) {
      this.#reportedWeaker = true;
      this.#logger.warn(explainWeaker(weakerBecause), { call: weakerBecause.call, error: weakerBecause.error });
      this.#publish({ event: "weaker-mechanism", because: weakerBecause });
    }
    if (!degraded || this.#locking !== "preferred" || this.#reported) return;
    this.#reported = true;
    const { lockLimitSoft, lockRefused } = memoryInfo();
    this.#logger.warn(
      `Not all secrets are in locked memory, and \`secureMemory\` is "preferred": ${explainUnlocked(lockRefused)}. ` +
        "They are wiped after use " +
        "all the same, but may be swapped out. `nomyo-native doctor` tells more.",
      { lockLimit: lockLimitSoft ?? undefined, call: lockRefused?.call, error: lockRefused?.error },
    );
    this.#publish({ event: "not-locked", because: lockRefused });
  }

  #publish(message: Omit<MemoryTrace, "mechanism">): void {
    if (!memoryChannel.hasSubscribers) return;
    memoryChannel.publish({ ...message, mechanism: memoryInfo().mechanism } satisfies MemoryTrace);
  }
}
