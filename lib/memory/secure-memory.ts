/** The option `secureMemory` of clients and of the router, and the mechanism that it may demand. */
import { ConfigurationError } from "../errors.js";
import { native } from "../native.js";
import type { Locking } from "../native.js";
import { fromNative, nativeCode } from "../native-error.js";
import { oneOf, resolveByTable } from "../option-checks.js";
import type { OptionTable } from "../option-checks.js";

/**
 * The mechanisms that can be demanded. `"memfd_secret"` (Linux): locked, and unreadable from outside the process; where
 * it cannot be had, that is a `MemoryProtectionError`. `"mlock"`: forgoes `memfd_secret`, which is then never called,
 * not even to find out whether it is there: for system call filters that end the process at that call, and for machines
 * that must be able to hibernate.
 */
export type MemoryMechanism = "memfd_secret" | "mlock";

/** The long form of the option `secureMemory`. */
export interface SecureMemoryOptions {
  /** What happens when memory cannot be locked; `"required"` by default. */
  readonly policy?: Locking | undefined;
  /**
   * Demands a mechanism. Without it the best that there is is taken, and a weaker one than `memfd_secret` on Linux is
   * reported to the logger. It is the whole process's: another client's different demand is a `ConfigurationError`, and
   * so is one that comes after memory of another mechanism is in use. `"memfd_secret"` goes with
   * `"required"` only.
   */
  readonly mechanism?: MemoryMechanism | undefined;
}

/** What happens when memory cannot be locked, `true` for `"required"`, `false` for `"off"`, or the long form. */
export type SecureMemory = Locking | boolean | SecureMemoryOptions;

/** The option, checked. */
export interface ResolvedSecureMemory {
  /** What happens when memory cannot be locked. */
  readonly locking: Locking;
  readonly mechanism: MemoryMechanism | undefined;
}

const lockings = ["required", "preferred", "off"] as const satisfies readonly Locking[];
const mechanisms = ["memfd_secret", "mlock"] as const satisfies readonly MemoryMechanism[];

const options = {
  policy: { otherwise: "required", parse: oneOf(lockings) },
  mechanism: { parse: oneOf(mechanisms) },
} satisfies OptionTable<SecureMemoryOptions>;

/** Checks the option. Nothing is locked or chosen here. */
export function resolveSecureMemory(value: SecureMemory): ResolvedSecureMemory {
  if (value === true) return { locking: "required", mechanism: undefined };
  if (value === false) return { locking: "off", mechanism: undefined };
  if (typeof value !== "object") return { locking: oneOf(lockings)(value, "secureMemory"), mechanism: undefined };
  const { policy: locking, mechanism } = resolveByTable(value, options, "secureMemory");
  if (mechanism === "memfd_secret" && locking !== "required") {
    throw new ConfigurationError(
      "secureMemory.mechanism",
      `A demand for memfd_secret cannot be met by memory that is not locked: it goes with "required", not ` +
        `"${locking}".`,
    );
  }
  return { locking, mechanism };
}

/**
 * Demands a mechanism for the whole process. Call it before the first client or `SecureBuffer` is made, where that is
 * not the option `secureMemory.mechanism` of a client.
 *
 * @throws MemoryProtectionError when this system does not have it; ConfigurationError when another one was demanded
 *   before, or memory that is in use is locked by another.
 */
export function setMemoryMechanism(mechanism: MemoryMechanism): void {
  choose("mechanism", oneOf(mechanisms)(mechanism, "mechanism"));
}

/** The same for the option of a client or the router, if it says anything. */
export function applyMechanism({ mechanism }: { readonly mechanism: MemoryMechanism | undefined }): void {
  if (mechanism !== undefined) choose("secureMemory.mechanism", mechanism);
}

/** The same for the environment variable of the command line. The library itself never reads it. */
export function applyMechanismVariable(value: string): void {
  choose(MECHANISM_VARIABLE, oneOf(mechanisms)(value, MECHANISM_VARIABLE));
}
/** What the command line reads. */
export const MECHANISM_VARIABLE = "NOMYO_MEMORY_MECHANISM";

function choose(option: string, mechanism: MemoryMechanism): void {
  try {
    native.setMemoryMechanism(mechanism);
  } catch (error) {
    const code = nativeCode(error);
    if (code === "INVALID_ARGUMENT" || code === "UNSUPPORTED") {
      throw new ConfigurationError(option, (error as Error).message);
    }
    throw fromNative(error, "opening");
  }
}
