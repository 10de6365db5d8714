/** Verifying receipts, long after: the chain of their lines, and each quote again. */
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationStateName } from "../attestation/attestation-state.js";
import { checkPolicy, policyId } from "../attestation/policy.js";
import type { AttestationMode, CheckedPolicy } from "../attestation/policy.js";
import { qualifyingDataOf } from "../attestation/qualifying-data.js";
import type { AttestationCode, AttestationReport } from "../attestation/report.js";
import { verify } from "../attestation/verify.js";
import { linesOf } from "./receipt-files.js";
import type { FileLine } from "./receipt-files.js";
import { lineHash, NO_LINE, readLine, ReceiptFormatError } from "./receipt.js";
import type { Receipt } from "./receipt.js";

/** What is wrong with one line. */
export interface AuditFault {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** A sentence, without its end. */
  readonly what: string;
}

/** Where a digest that was looked for stands. */
export interface AuditMatch {
  readonly sequence: number | null;
  readonly payload_id: string | null;
  readonly side: "request" | "response";
}

export interface AuditOptions {
  /** Those that quotes may have been verified by, beside the three that are a mode alone. */
  readonly policies: readonly CheckedPolicy[];
  /** The hash of a line that must be among them: what was cut off behind it shows. */
  readonly head?: string | undefined;
  /** `previous` of the first line, where lines before it were archived. */
  readonly since?: string | undefined;
  /** Digests to look for: SHA-256 of packages, or HMACs of plaintexts. */
  readonly wanted: ReadonlySet<string>;
}

export interface Audit {
  readonly receipts: number;
  readonly answered: number;
  readonly refused: number;
  /** Sequence numbers; null for none. */
  readonly first: number | null;
  readonly last: number | null;
  /** The last line's hash, to be kept elsewhere; null for none. */
  readonly head: string | null;
  /** `previous` of the first line. */
  readonly since: string | null;
  readonly faults: readonly AuditFault[];
  /** The last line was cut off, as when a process is killed; the next writer removes it. */
  readonly torn: boolean;
  /** How many answers are in which state, by the quote as it verifies now. */
  readonly states: Readonly<Record<AttestationStateName, number>>;
  /** Quotes that were verified again: by their own policy, and by structure alone since it is not at hand. */
  readonly quotes: { readonly byPolicy: number; readonly byStructure: number };
  /** Policies that were not at hand, by their ids. */
  readonly missingPolicies: readonly string[];
  /** tpm2-tss is missing: no quote could be verified. */
  readonly unsupported: boolean;
  readonly matches: Readonly<Record<string, readonly AuditMatch[]>>;
}

/** A policy of other demands than the default one's can only differ in these. */
const ofPolicy: ReadonlySet<AttestationCode> = new Set([
  "AIK_TYPE",
  "SIGNATURE_SCHEME",
  "SIGNER_NAME",
  "SIGNATURE_INVALID",
  "PCR_SELECTION",
  "PCR_BANK",
  "PCR_BASELINE",
  "AIK_CERTIFICATE",
]);

/** Reads files one after the other, as one chain. Rejects with the system's error for a file that cannot be read. */
export async function audit(files: readonly string[], options: AuditOptions): Promise<Audit> {
  const auditor = new Auditor(options);
  for (const [at, file] of files.entries()) {
    let line = 0;
    for await (const read of linesOf(file)) {
      line += 1;
      await auditor.line({ file, line }, read, at === files.length - 1);
    }
  }
  return auditor.end(files.at(-1) ?? "");
}

type Where = Pick<AuditFault, "file" | "line">;

interface Before extends Where {
  readonly sequence: number;
  readonly hash: string;
}

class Auditor {
  readonly #options: AuditOptions;
  readonly #policies: ReadonlyMap<string, CheckedPolicy>;
  readonly #faults: AuditFault[] = [];
  readonly #missing = new Set<string>();
  readonly #matches = new Map<string, AuditMatch[]>();
  readonly #states: Record<AttestationStateName, number> = {
    verified: 0,
    "self-asserted": 0,
    refused: 0,
    missing: 0,
    "not-checked": 0,
  };
  /** Undefined at the beginning, and after a line that could not be read. */
  #before: Before | undefined;
  #first: Receipt | undefined;
  #last: Before | undefined;
  #counts = { answered: 0, refused: 0, byPolicy: 0, byStructure: 0 };
  #headSeen = false;
  #torn = false;
  #unsupported = false;

  constructor(options: AuditOptions) {
    this.#options = options;
    const modes = (["off", "report", "require"] as const).map((mode: AttestationMode) => checkPolicy(mode));
    this.#policies = new Map([...modes, ...options.policies].map((policy) => [policyId(policy), policy]));
  }

  async line(where: Where, { bytes, ended, tooLong }: FileLine, isInLastFile: boolean): Promise<void> {
    if (!ended && isInLastFile) {
      this.#torn = true;
      return;
    }
    if (!ended || tooLong) {
      this.#fault(where, ended ? "is too long to be a receipt" : "is cut off in the middle");
      this.#before = undefined;
      return;
    }
    let receipt: Receipt;
    try {
      receipt = readLine(bytes);
    } catch (error) {
      if (!(error instanceof ReceiptFormatError)) throw error;
      this.#fault(where, `cannot be read as a receipt: ${error.message}`);
      this.#before = undefined;
      return;
    }
    this.#chain(where, receipt, lineHash(bytes));
    this.#first ??= receipt;
    this.#counts[receipt.outcome] += 1;
    this.#lookIn(receipt);
    await this.#attestation(where, receipt);
  }

  #chain(where: Where, { chain }: Receipt, hash: string): void {
    if (chain === null) {
      // One that a program has kept by itself: by itself it is right, and among others it is not.
      if (where.line > 1 || this.#first !== undefined) this.#fault(where, "is not part of a chain");
      return;
    }
    const { sequence, previous } = chain;
    const before = this.#before;
    if (before !== undefined) this.#follows(where, before, chain);
    else if (this.#first === undefined) this.#begins(where, chain);
    else if (this.#last !== undefined && sequence <= this.#last.sequence) {
      this.#fault(
        where,
        `has the number ${sequence}, after number ${this.#last.sequence}: lines were put in another order`,
      );
    }
    if (hash === this.#options.head || previous === this.#options.head) this.#headSeen = true;
    this.#before = { ...where, sequence, hash };
    this.#last = this.#before;
  }

  #begins(where: Where, { sequence, previous }: NonNullable<Receipt["chain"]>): void {
    const { since } = this.#options;
    if (since !== undefined && previous !== since) {
      this.#fault(where, `does not follow the line with the hash that was given, but one with ${previous}`);
    }
    if (sequence === 1 && previous !== NO_LINE) this.#fault(where, "is number 1, and names a line before it");
  }

  #follows(where: Where, before: Before, { sequence, previous }: NonNullable<Receipt["chain"]>): void {
    const expected = before.sequence + 1;
    if (sequence > expected) {
      const which = sequence === expected + 1 ? `number ${expected} is` : `numbers ${expected} to ${sequence - 1} are`;
      this.#fault(where, `has the number ${sequence}, and ${which} missing before it`);
    } else if (sequence < expected) {
      this.#fault(
        where,
        `has the number ${sequence}, after number ${before.sequence}: lines were put in another order`,
      );
    } else if (previous !== before.hash) {
      this.#fault(
        before,
        `(number ${before.sequence}) is not the line that the next one was written after: it was changed, or the next was`,
      );
    }
  }

  #lookIn(receipt: Receipt): void {
    for (const side of ["request", "response"] as const) {
      const made = receipt[side];
      for (const digest of [made?.sha256, made?.plaintext_hmac]) {
        if (typeof digest !== "string" || !this.#options.wanted.has(digest)) continue;
        const match = { sequence: receipt.chain?.sequence ?? null, payload_id: receipt.payload_id, side };
        this.#matches.set(digest, [...(this.#matches.get(digest) ?? []), match]);
      }
    }
  }

  /** The block once more, by the same verifier, with certificates as they were valid when the answer came. */
  async #attestation(where: Where, receipt: Receipt): Promise<void> {
    const { mode, policy: id, block, report } = receipt.attestation;
    const known = this.#policies.get(id);
    if (report !== null && report.policyId !== id) this.#fault(where, "has a report of another policy than its own");
    if (known !== undefined && known.mode !== mode) this.#fault(where, "has another mode than its policy");
    if (receipt.outcome === "answered") {
      if (mode !== "off" && report === null)
        this.#fault(where, "is an answer without a report, which its mode gives to each");
      if (mode === "require" && report?.verified !== true) {
        this.#fault(where, "is an answer that was handed on though its policy requires a quote that verifies");
      }
    }
    // A preflight's quote was made for another id, and is not in the receipt.
    if (report === null || receipt.payload_id === null || receipt.response === null) {
      this.#count(receipt, report ?? undefined);
      return;
    }
    const policy = withoutTpm(known ?? checkPolicy("require"));
    const at = Math.floor(Date.parse(receipt.ended_at) / 1000);
    const again = await verify(block, qualifyingDataOf(receipt.payload_id), policy, null, at);
    if (again.fault !== undefined) {
      this.#unsupported = true;
      this.#count(receipt, again);
      return;
    }
    if (known === undefined) this.#missing.add(id);
    // Without a block there is no quote; that there is none was looked at all the same.
    if (block !== null) this.#counts[known === undefined ? "byStructure" : "byPolicy"] += 1;
    const difference = differenceOf(report, again, known !== undefined);
    if (difference !== undefined) this.#fault(where, difference);
    this.#count(receipt, difference === undefined ? report : again);
  }

  #count({ outcome }: Receipt, report: AttestationReport | undefined): void {
    if (outcome === "answered") this.#states[attestationState(report).state] += 1;
  }

  #fault({ file, line }: Where, what: string): void {
    this.#faults.push({ file, line, what });
  }

  end(lastFile: string): Audit {
    const { head } = this.#options;
    const last = this.#last;
    if (head !== undefined && !this.#headSeen) {
      this.#fault(
        { file: last?.file ?? lastFile, line: last?.line ?? 1 },
        "is the last one, and none has the hash that was given: lines were cut off behind it, or were changed",
      );
    }
    return {
      receipts: this.#counts.answered + this.#counts.refused,
      answered: this.#counts.answered,
      refused: this.#counts.refused,
      first: this.#first?.chain?.sequence ?? null,
      last: last?.sequence ?? null,
      head: last?.hash ?? null,
      since: this.#first?.chain?.previous ?? null,
      faults: this.#faults,
      torn: this.#torn,
      states: this.#states,
      quotes: { byPolicy: this.#counts.byPolicy, byStructure: this.#counts.byStructure },
      missingPolicies: [...this.#missing],
      unsupported: this.#unsupported,
      matches: Object.fromEntries(this.#matches),
    };
  }
}

/** A TPM's own verdict on the signature cannot be had again offline; all else can. */
function withoutTpm(policy: CheckedPolicy): CheckedPolicy {
  const { engine: _engine, ...rest } = policy;
  return rest;
}

/** What the report says that the verifier does not say of the same block; undefined for nothing. */
function differenceOf(report: AttestationReport, again: AttestationReport, samePolicy: boolean): string | undefined {
  // What stood in the way was on the machine itself: there is no verdict to compare.
  if (report.fault !== undefined) return undefined;
  const tpmSaid = report.engine.name === "esapi";
  if (report.verified !== again.verified || report.code !== again.code) {
    const codes = [report.code, again.code].filter((code) => code !== undefined);
    if (!samePolicy && codes.every((code) => ofPolicy.has(code))) return undefined;
    if (tpmSaid && again.verified && report.code === "SIGNATURE_INVALID") return undefined;
    const said = (one: AttestationReport): string => (one.verified ? "verified" : (one.code ?? "not verified"));
    return `has a report that says ${said(report)}, and its quote is ${said(again)}`;
  }
  const facts = (one: AttestationReport): string =>
    JSON.stringify([
      one.aik?.nameHex,
      one.aik?.pem,
      one.quote,
      one.pcrs,
      ...(samePolicy ? [one.trust, one.profile] : []),
    ]);
  return facts(report) === facts(again) ? undefined : "has a report of something else than its attestation block";
}
