/** What an attempt leaves for its receipt. */
import { AttestationError } from "../attestation/attestation-error.js";
import { policyId } from "../attestation/policy.js";
import type { AttestationReport } from "../attestation/report.js";
import { getBuildInfo } from "../build-info.js";
import { isSecurityTier } from "../chat/security-tier.js";
import { packageDigest } from "../envelope/digest.js";
import type { DigestKey } from "../envelope/digest.js";
import type { OpenedPackage } from "../envelope/open.js";
import { MemoryProtectionError, SecurityError } from "../errors.js";
import type { Receipt, ReceiptPackage } from "../receipts/receipt.js";
import type { ResolvedRequestOptions } from "./options.js";

/** A package whose digest may still be under way. */
interface Digested {
  readonly bytes: number;
  readonly sha256: Promise<string>;
  readonly hmac: string | undefined;
}

/** Collected by an attempt on its way. Digests of large packages are made meanwhile, on the package's threads. */
export class Evidence {
  readonly digestKey: DigestKey | undefined;
  payloadId: string | undefined;
  serverKey: string | undefined;
  clientKey: string | undefined;
  /** The HMAC of the plaintext, from the sealing. */
  plaintextHmac: string | undefined;
  #request: Digested | undefined;
  #response: Digested | undefined;
  #block: unknown = null;
  #givenTier: unknown;
  report: AttestationReport | undefined;

  constructor(digestKey: DigestKey | undefined) {
    this.digestKey = digestKey;
  }

  sealed(body: Uint8Array): void {
    this.#request = { bytes: body.byteLength, sha256: packageDigest(body), hmac: this.plaintextHmac };
  }

  /** A whole answer came. */
  came(body: Uint8Array): void {
    this.#response = { bytes: body.byteLength, sha256: packageDigest(body), hmac: undefined };
  }

  opened({ plaintextHmac }: OpenedPackage): void {
    if (this.#response !== undefined) this.#response = { ...this.#response, hmac: plaintextHmac };
  }

  /** The answer's `_metadata` as the server sent it, whatever it is. */
  metadata(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    const { tpm_attestation: block, security_tier: tier } = value as Readonly<Record<string, unknown>>;
    this.#block = block ?? null;
    this.#givenTier = tier;
  }

  /** @param error - What ended the request; undefined when it was answered. */
  async receipt(request: Recorded, error?: SecurityError): Promise<Receipt> {
    const { options, startedAt, attempts } = request;
    const { version, opensslVersion } = getBuildInfo();
    const report = error instanceof AttestationError ? error.report : this.report;
    return {
      version: 1,
      outcome: error === undefined ? "answered" : "refused",
      code: error?.code ?? null,
      payload_id: this.payloadId ?? null,
      started_at: new Date(startedAt).toISOString(),
      ended_at: new Date().toISOString(),
      server: options.baseUrl,
      attempts,
      tier: {
        asked: options.securityTier ?? null,
        given: isSecurityTier(this.#givenTier) ? this.#givenTier : null,
      },
      request: await settled(this.#request),
      response: await settled(this.#response),
      digest_key: this.digestKey?.id ?? null,
      keys: { server: this.serverKey ?? null, client: this.clientKey ?? null },
      attestation: {
        mode: options.attestation.mode,
        policy: policyId(options.attestation.policy),
        block: this.#block,
        report: report ?? null,
      },
      software: { package: version, openssl: opensslVersion },
      chain: null,
    };
  }
}

/** What a receipt says of the request beside its attempt. */
export interface Recorded {
  readonly options: ResolvedRequestOptions;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly attempts: number;
}

async function settled(made: Digested | undefined): Promise<ReceiptPackage | null> {
  if (made === undefined) return null;
  return { bytes: made.bytes, sha256: await made.sha256, plaintext_hmac: made.hmac ?? null };
}

/**
 * Whether an error is an outcome that an auditor wants to know of: something about the server, its answer or the way
 * there was refused. What this machine lacks, and what a server refuses, is none.
 */
export function isRefusal(error: unknown): error is SecurityError {
  return error instanceof SecurityError && !(error instanceof MemoryProtectionError);
}
