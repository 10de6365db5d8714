/** What `doctor` finds on the machine, before it judges. */
import { readFileSync } from "node:fs";
import { tssInfo } from "../attestation/tpm.js";
import { getBuildInfo } from "../build-info.js";
import { memoryInfo, probeMemory } from "../memory/protection.js";
import type { BuildInfo, MemoryInfo } from "../native.js";

/**
 * What `secureMemory: "required"` needs to lock for one request at a time: two job stacks (128 KiB each), keys, and the
 * buffers of sealing and of a short answer. An answer's plaintext comes on top.
 */
export const REQUIRED_BYTES = 1024 * 1024;

/** What was found on the machine. Everything that `doctor` judges by, so that tests can make up machines. */
export interface Facts {
  readonly platform: string;
  readonly arch: string;
  readonly nodeVersion: string;
  readonly build: BuildInfo;
  readonly memory: MemoryInfo;
  /** Whether a seccomp filter is in force in this process; undefined when it cannot be told. */
  readonly seccomp: boolean | undefined;
  /** Why memory for `required` could not be locked; undefined when it could. */
  readonly requiredRefused: string | undefined;
  readonly tss: ReturnType<typeof tssInfo>;
}

/** Looks at the machine. Locks about a mebibyte for a moment to see whether it can. */
export function gatherFacts(): Facts {
  let requiredRefused: string | undefined;
  try {
    probeMemory(REQUIRED_BYTES, "required");
  } catch (error) {
    requiredRefused = error instanceof Error ? error.message : String(error);
  }
  return {
    platform: process.platform,
    arch: process.arch,
    nodeVersion: process.version,
    build: getBuildInfo(),
    memory: memoryInfo(),
    seccomp: seccompFilter(),
    requiredRefused,
    tss: tssInfo(),
  };
}

function seccompFilter(): boolean | undefined {
  try {
    const mode = /^Seccomp:\s+(\d)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return mode === undefined ? undefined : mode === "2";
  } catch {
    return undefined; // no Linux, or no /proc
  }
}
