/** Verifying receipts, long after: the chain of their lines, and each quote again. */
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationStateName } from "../attestation/attestation-state.js";
import { checkPolicy, policyId } from "../attestation/policy.js";
import type { AttestationMode, CheckedPolicy } from "../attestation/policy.js";
import { qualifyingDataOf } from "../attestation/qualifying-data.js";
import { attestationCodes } from "../attestation/report.js";
import type { AttestationCode, AttestationReport } from "../attestation/report.js";
import { verify } from "../attestation/verify.js";
import { ConfigurationError } from "../errors.js";
import { linesOf } from "./receipt-files.js";
import type { FileLine } from "./receipt-files.js";
import { lineHash, NO_LINE, readLine, ReceiptFormatError } from "./receipt.js";
import type { Receipt, ReceiptChain } from "./receipt.js";

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

/** A policy that quotes were verified by, and who vouches for it. */
export interface AuditPolicy {
  readonly id: string;
  /** One that is a mode alone, one that the caller gave, or one that lay beside the receipts. */
  readonly from: "mode" | "given" | "beside";
}

export interface AuditOptions {
  /** Those that quotes may have been verified by, beside the three that are a mode alone. */
  readonly policies: readonly CheckedPolicy[];
  /**
   * Looks beside the receipts for the policy with this id; undefined when there is none. Asked for those alone that a
   * receipt names and that are not among `policies`.
   */
  readonly policyBeside?: ((id: string) => Promise<CheckedPolicy | undefined>) | undefined;
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
  /** How many answers are in which state, by the quote as it verifies now; never by what a receipt claims alone. */
  readonly states: Readonly<Record<AttestationStateName, number>>;
  /**
   * Quotes that were looked at again, and those of them that verified while their receipt says nothing else: by their
   * own policy, and by structure alone since it is not at hand.
   */
  readonly quotes: { readonly looked: number; readonly byPolicy: number; readonly byStructure: number };
  /** Those that quotes were verified by again. */
  readonly policies: readonly AuditPolicy[];
  /** Policies that were not at hand, by their ids: neither quotes nor the lack of one could be checked by them. */
  readonly missingPolicies: readonly string[];
  /** tpm2-tss is missing: no quote could be verified. */
  readonly unsupported: boolean;
  readonly matches: Readonly<Record<string, readonly AuditMatch[]>>;
}

/** So many of a kind are kept: a file of line feeds must not fill the memory. */
const MOST = 1000;

/**
 * What a policy can refuse that {@link structure} does not. A signature that is wrong is so by every policy, and a
 * quote that one policy accepts `structure` accepts too.
 */
const ofPolicy: ReadonlySet<AttestationCode> = new Set([
  "AIK_TYPE",
  "SIGNATURE_SCHEME",
  "SIGNER_NAME",
  "PCR_SELECTION",
  "PCR_BANK",
  "PCR_BASELINE",
  "AIK_CERTIFICATE",
]);

/** Demands the least that any policy does: for quotes whose own is not at hand. */
const structure = checkPolicy({ version: 1, banks: ["sha1", "sha256", "sha384", "sha512"] });

/** Reads files one after the other, as one chain. Rejects with the system's error for a file that cannot be read. */
export async function audit(files: readonly string[], options: AuditOptions): Promise<Audit> {
  const auditor = new Auditor(options);
  for (const [at, file] of files.entries()) {
    let line = 0;
    for await (const read of linesOf(file)) {
      line += 1;
      await auditor.line({ file, line }, read, at === files.length - 1);
      if (auditor.isFull) return auditor.end(file);
    }
  }
  return auditor.end(files.at(-1) ?? "");
}

type Where = Pick<AuditFault, "file" | "line">;

interface KnownPolicy {
  readonly policy: CheckedPolicy;
  readonly from: AuditPolicy["from"];
}

interface Before extends Where {
  readonly sequence: number;
  readonly hash: string;
}

class Auditor {
  readonly #options: AuditOptions;
  readonly #policies: ReadonlyMap<string, KnownPolicy>;
  /** The last one that was asked for: lines of one policy mostly follow each other. */
  #beside: { readonly id: string; readonly found: KnownPolicy | undefined } | undefined;
  readonly #used = new Map<string, AuditPolicy["from"]>();
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
  /** Of the lines that are part of a chain, the first and the last. */
  #first: ReceiptChain | undefined;
  #last: Before | undefined;
  /** A line in no chain: right while it is the only one. */
  #alone: Where | undefined;
  #counts = { answered: 0, refused: 0, looked: 0, byPolicy: 0, byStructure: 0 };
  #headSeen = false;
  #torn = false;
  #unsupported = false;

  constructor(options: AuditOptions) {
    this.#options = options;
    const modes = (["off", "report", "require"] as const).map((mode: AttestationMode) => checkPolicy(mode));
    this.#policies = new Map([
      ...options.policies.map((policy): [string, KnownPolicy] => [policyId(policy), { policy, from: "given" }]),
      ...modes.map((policy): [string, KnownPolicy] => [policyId(policy), { policy, from: "mode" }]),
    ]);
  }

  /** There are so many faults that more would say nothing. */
  get isFull(): boolean {
    return this.#faults.length > MOST;
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
    this.#counts[receipt.outcome] += 1;
    this.#lookIn(receipt);
    await this.#attestation(where, receipt);
  }

  #chain(where: Where, { chain }: Receipt, hash: string): void {
    const isFirst = this.#counts.answered + this.#counts.refused === 0;
    if (chain === null) {
      // One that a program has kept by itself: by itself it is right, and among others it is not.
      if (where.line > 1 || !isFirst) this.#fault(where, "is not part of a chain");
      else this.#alone = where;
      return;
    }
    if (this.#alone !== undefined) this.#fault(this.#alone, "is not part of a chain");
    this.#alone = undefined;
    const { sequence, previous } = chain;
    const before = this.#before;
    if (before !== undefined) this.#follows(where, before, chain);
    else if (this.#last === undefined) this.#begins(where, chain);
    else if (sequence <= this.#last.sequence) {
      this.#fault(
        where,
        `has the number ${sequence}, after number ${this.#last.sequence}: lines were put in another order`,
      );
    }
    // Not the hash that this line names as the one before it: only what is here can be told to be unchanged.
    if (hash === this.#options.head) this.#headSeen = true;
    this.#first ??= { sequence, previous };
    this.#before = { ...where, sequence, hash };
    this.#last = this.#before;
  }

  #begins(where: Where, { sequence, previous }: ReceiptChain): void {
    const { since } = this.#options;
    if (since !== undefined && previous !== since) {
      this.#fault(where, `does not follow the line with the hash that was given, but one with ${previous}`);
    }
    if (sequence === 1 && previous !== NO_LINE) this.#fault(where, "is number 1, and names a line before it");
    if (sequence > 1 && previous === NO_LINE)
      this.#fault(where, `has the number ${sequence}, and names no line before it`);
  }

  #follows(where: Where, before: Before, { sequence, previous }: ReceiptChain): void {
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
        `(number ${before.sequence}) is not the line that the next one was written after: it was changed, or the ` +
          "next was",
      );
    }
  }

  #lookIn(receipt: Receipt): void {
    for (const side of ["request", "response"] as const) {
      const made = receipt[side];
      for (const digest of [made?.sha256, made?.plaintext_hmac]) {
        if (typeof digest !== "string" || !this.#options.wanted.has(digest)) continue;
        const matches = this.#matches.get(digest) ?? [];
        this.#matches.set(digest, matches);
        if (matches.length < MOST)
          matches.push({ sequence: receipt.chain?.sequence ?? null, payload_id: receipt.payload_id, side });
      }
    }
  }

  /** The block once more, by the same verifier, with certificates as they were valid when the answer came. */
  async #attestation(where: Where, receipt: Receipt): Promise<void> {
    const { mode, policy: id, block, report } = receipt.attestation;
    const known = await this.#policy(id);
    if (report !== null && report.policyId !== id) this.#fault(where, "has a report of another policy than its own");
    if (known !== undefined && known.policy.mode !== mode) this.#fault(where, "has another mode than its policy");
    if (receipt.outcome === "answered") {
      if (mode !== "off" && report === null)
        this.#fault(where, "is an answer without a report, which its mode gives to each");
      if (mode === "require" && report?.verified !== true) {
        this.#fault(where, "is an answer that was handed on though its policy requires a quote that verifies");
      }
    }
    // Also of an answer without a report: that its policy asks for none is said by the line alone.
    const asksForIt = report !== null || receipt.outcome === "answered";
    if (known === undefined && asksForIt && this.#missing.size < MOST) this.#missing.add(id);
    if (report === null) {
      this.#count(receipt, undefined);
      return;
    }
    // A preflight's quote was made for another id, and is not in the receipt; nothing was answered then.
    if (receipt.payload_id === null || receipt.response === null) return;
    const at = Math.floor(Date.parse(receipt.ended_at) / 1000);
    let again: AttestationReport;
    try {
      const policy = withoutTpm(known?.policy ?? structure);
      again = await verify(block, qualifyingDataOf(receipt.payload_id), policy, null, at);
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      this.#fault(where, "has a policy whose certificates cannot be used");
      this.#count(receipt, undefined);
      return;
    }
    if (again.fault !== undefined) {
      this.#unsupported = true;
      this.#count(receipt, again);
      return;
    }
    const difference =
      known === undefined ? differenceOfStructure(report, again) : differenceOf(report, again, known.policy);
    if (difference !== undefined) this.#fault(where, difference);
    if (known !== undefined && this.#used.size < MOST) this.#used.set(id, known.from);
    // Without a block there is no quote; that there is none was looked at all the same.
    if (block !== null) {
      this.#counts.looked += 1;
      // A quote that a TPM refused is right by all that can be had again, and is none that verified.
      const isRight = again.verified && difference === undefined && (known === undefined || report.code === undefined);
      if (isRight) this.#counts[known === undefined ? "byStructure" : "byPolicy"] += 1;
    }
    this.#count(receipt, known !== undefined && difference === undefined ? report : again);
  }

  async #policy(id: string): Promise<KnownPolicy | undefined> {
    const known = this.#policies.get(id);
    if (known !== undefined) return known;
    if (this.#beside?.id !== id) {
      const policy = await this.#options.policyBeside?.(id);
      this.#beside = { id, found: policy === undefined ? undefined : { policy, from: "beside" } };
    }
    return this.#beside.found;
  }

  #count({ outcome }: Receipt, report: AttestationReport | undefined): void {
    if (outcome === "answered") this.#states[attestationState(report).state] += 1;
  }

  #fault({ file, line }: Where, what: string): void {
    if (this.isFull) return;
    const isLast = this.#faults.length === MOST;
    this.#faults.push({
      file,
      line,
      what: isLast ? `fails too, after ${MOST} faults: what follows was not read` : what,
    });
  }

  end(lastFile: string): Audit {
    const { head, since } = this.#options;
    const last = this.#last;
    if (since !== undefined && this.#first === undefined && this.#alone !== undefined) {
      this.#fault(this.#alone, "is not part of a chain, so that it follows no line with the hash that was given");
    }
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
      first: this.#first?.sequence ?? null,
      last: last?.sequence ?? null,
      head: last?.hash ?? null,
      since: this.#first?.previous ?? null,
      faults: this.#faults,
      torn: this.#torn,
      states: this.#states,
      quotes: {
        looked: this.#counts.looked,
        byPolicy: this.#counts.byPolicy,
        byStructure: this.#counts.byStructure,
      },
      policies: [...this.#used].map(([id, from]) => ({ id, from })),
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

/** What the report says that the verifier does not say of the same block by the same policy; undefined for nothing. */
function differenceOf(report: AttestationReport, again: AttestationReport, policy: CheckedPolicy): string | undefined {
  // What stood in the way was on the machine itself: there is no verdict to compare.
  if (report.fault !== undefined) return undefined;
  const tpmSaid = report.engine.name === "esapi";
  if (report.verified && policy.engine === "esapi" && (!tpmSaid || report.engine.verdict !== "valid"))
    return "has a report that says verified, and its policy wants a TPM's verdict, which the report does not have";
  if (report.verified !== again.verified || report.code !== again.code) {
    return tpmMayHaveRefused(report, again) ? differenceOfQuote(report, again) : contradiction(report, again);
  }
  return factsOf(report, tpmSaid) === factsOf(again, tpmSaid) ? undefined : SOMETHING_ELSE;
}

/**
 * The same where the policy is not at hand, and `again` is by {@link structure}. Of a report of failure it can be told
 * whether it failed in what no policy changes; a report of success must be right in all of that.
 */
function differenceOfStructure(report: AttestationReport, again: AttestationReport): string | undefined {
  if (report.fault !== undefined) return undefined;
  const { code } = report;
  if (code === undefined ? !again.verified : !mayFailWith(code, report, again)) return contradiction(report, again);
  return differenceOfQuote(report, again);
}

/** Of what no policy changes: the quote, its key, its values. */
function differenceOfQuote(report: AttestationReport, again: AttestationReport): string | undefined {
  const { code } = report;
  // Only values that passed the checks before are in a report.
  const hasValues = code === undefined || orderOf(code) > orderOf("PCR_DIGEST");
  const facts = (one: AttestationReport, pcrs: AttestationReport["pcrs"]): string =>
    JSON.stringify([one.aik, one.quote, pcrs]);
  return facts(report, report.pcrs) === facts(again, hasValues ? again.pcrs : undefined) ? undefined : SOMETHING_ELSE;
}

const SOMETHING_ELSE = "has a report of something else than its attestation block";

/** The first failure decides: a policy's comes first, or stands for one that comes later. */
function mayFailWith(code: AttestationCode, report: AttestationReport, again: AttestationReport): boolean {
  if (code === again.code) return true;
  return tpmMayHaveRefused(report, again) || (ofPolicy.has(code) && comesAfter(again.code, code));
}

/** A TPM was asked too, and its no cannot be had again. */
function tpmMayHaveRefused({ engine, code }: AttestationReport, again: AttestationReport): boolean {
  return engine.name === "esapi" && code === "SIGNATURE_INVALID" && comesAfter(again.code, code);
}

/** Undefined: nothing failed. */
function comesAfter(code: AttestationCode | undefined, before: AttestationCode): boolean {
  return code === undefined || orderOf(code) > orderOf(before);
}

function orderOf(code: AttestationCode): number {
  return attestationCodes.indexOf(code);
}

function contradiction(report: AttestationReport, again: AttestationReport): string {
  const said = (one: AttestationReport): string => (one.verified ? "verified" : (one.code ?? "not verified"));
  return `has a report that says ${said(report)}, and its quote is ${said(again)}`;
}

/**
 * All but the times, and the sentences, which another version may word otherwise. A TPM's verdict cannot be had again,
 * nor can what it says of the signature.
 */
function factsOf(report: AttestationReport, tpmSaid: boolean): string {
  const { aik, quote, pcrs, trust, profile, nearest, engine } = report;
  const checks = report.checks.map(({ code, ok }) => [code, tpmSaid && code === "SIGNATURE_INVALID" ? null : ok]);
  return JSON.stringify([aik, quote, pcrs, trust, profile, nearest, checks, tpmSaid ? null : engine]);
}
