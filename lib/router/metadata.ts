/** The `_metadata` that the router puts into each answer (PROTOCOL 3). */
import { memoryInfo } from "../memory/protection.js";
import type { Locking, TpmAttestationBlock } from "../native.js";
import type { PayloadBinding } from "./payload-binding.js";
import type { PoolBytes } from "../memory/pool-bytes.js";
import type { SecurityTier } from "../chat/security-tier.js";

/** Room for `_metadata` at its usual size, behind an answer: adding it must not move a large one. */
export const METADATA_ROOM = 8 * 1024;

export interface Metadata {
  readonly payload_id: string;
  /** Unix seconds. */
  readonly processed_at: number;
  readonly is_encrypted: true;
  readonly encryption_algorithm: "hybrid-aes256-rsa4096";
  readonly response_status: "success";
  readonly security_tier: SecurityTier;
  readonly memory_protection: Readonly<Record<string, unknown>>;
  readonly tpm_attestation: TpmAttestationBlock;
  /**
   * Whether the payload id's commitment to both keys was there and right (the relay binding of docs/attestation.md).
   */
  readonly payload_binding: PayloadBinding;
}

/** Adds `_metadata` as the answer's last member; one that the model's server sent goes. */
export async function addMetadata(answer: PoolBytes, metadata: Metadata, maxDepth: number): Promise<void> {
  const { close, left } = await answer.scan({ find: [], blank: ["_metadata"], refuseFolded: false, maxDepth });
  const text = `${left === 0 ? "" : ","}"_metadata":${JSON.stringify(metadata)}}`;
  answer.replaceTail(close, new TextEncoder().encode(text));
}

/** What this process does for its memory, as it stands now. */
export function memoryProtection(locking: Locking): Record<string, unknown> {
  const info = memoryInfo();
  return {
    platform: process.platform,
    policy: locking,
    mechanism: info.mechanism,
    memory_locked: info.mechanism !== "none" && !info.degraded,
    bytes_locked: info.stats.bytesLocked,
    openssl_in_pool: info.opensslInPool,
    swap_enabled: info.swapEnabled,
    core_dumps_enabled: info.coreDumpsEnabled,
  };
}
