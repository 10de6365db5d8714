/** What a receipt says, its one line of JSON, and the strict reader of such lines (docs/receipts.md). */
import type { AttestationReport } from "../attestation/report.js";
import type { AttestationMode } from "../attestation/policy.js";
import { nodeCrypto } from "../builtins.js";
import { isSecurityTier } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { isHex } from "../printable.js";
import { isReport } from "./receipt-report.js";

/** One package, and what was in it. */
export interface ReceiptPackage {
  /** Of the package, sealed. */
  readonly bytes: number;
  /** SHA-256 of the package's bytes, hex. */
  readonly sha256: string;
  /** HMAC-SHA-256 of the plaintext under the digest key, hex; null without such a key, or when it was not opened. */
  readonly plaintext_hmac: string | null;
}

/** Where a receipt stands among others. */
export interface ReceiptChain {
  /** From 1. */
  readonly sequence: number;
  /** SHA-256 of the line before, without its line end, hex; 64 zeros in the first. */
  readonly previous: string;
}

/** Which server, in which boot state, under which keys, answered a request; nothing of what was asked or answered. */
export interface Receipt {
  readonly version: 1;
  /** `answered`: the answer was believed. `refused`: something that security rests on did not hold. */
  readonly outcome: "answered" | "refused";
  /** The code of the error that refused it; null for `answered`. */
  readonly code: string | null;
  /** Null when it was refused before there was one. */
  readonly payload_id: string | null;
  /** ISO 8601 in UTC, by this machine's clock: when the request came to the client. */
  readonly started_at: string;
  /** When its outcome was known. */
  readonly ended_at: string;
  /** The base URL. */
  readonly server: string;
  readonly attempts: number;
  readonly tier: {
    readonly asked: SecurityTier | null;
    /** What the server says that it gave. */
    readonly given: SecurityTier | null;
  };
  /** Null when nothing was sealed. */
  readonly request: ReceiptPackage | null;
  /** Null when no whole answer came. */
  readonly response: ReceiptPackage | null;
  /** Which digest key `plaintext_hmac` was made with: 16 hex digits that do not tell it; null without. */
  readonly digest_key: string | null;
  /** SHA-256 of each public key's SubjectPublicKeyInfo DER, hex; null when it was refused before there was one. */
  readonly keys: { readonly server: string | null; readonly client: string | null };
  readonly attestation: {
    readonly mode: AttestationMode;
    /** SHA-256 of the policy in canonical form, hex. */
    readonly policy: string;
    /** The server's `_metadata.tpm_attestation` as it came; null when none came. */
    readonly block: unknown;
    /** What the verifier said of it; null when it was not asked. */
    readonly report: AttestationReport | null;
  };
  readonly software: { readonly package: string; readonly openssl: string };
  /** Null for a receipt that was not written into a folder. */
  readonly chain: ReceiptChain | null;
}

/** The longest line, in bytes: an answer's `_metadata` has 256 KiB at most, and the report repeats a part of it. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** Arrays and objects in each other, in a line: as deep as an answer may be of which the block is a part. */
const MAX_DEPTH = 1024;

/** `previous` of the first receipt. */
export const NO_LINE = "0".repeat(64);

/** Why a line is no receipt; for after a colon. */
export class ReceiptFormatError extends Error {}

/**
 * The line of a receipt, without its end. Throws a {@link ReceiptFormatError} for one that {@link readLine} would not
 * read.
 */
export function lineOf(receipt: Receipt): string {
  const line = textOf(ordered(receipt));
  const bytes = Buffer.from(line);
  if (bytes.length > MAX_LINE_BYTES) throw new ReceiptFormatError(`it has more than ${MAX_LINE_BYTES} bytes`);
  refuseDepth(bytes);
  return line;
}

/** What `previous` of the next receipt must be. */
export function lineHash(line: string | Uint8Array): string {
  return nodeCrypto().createHash("sha256").update(line).digest("hex");
}

/**
 * Reads a line: exactly what {@link lineOf} would write, so that nothing can be hidden in it: no other member, order,
 * white space, escape or form of a number, no name twice. Throws a {@link ReceiptFormatError}.
 */
export function readLine(line: Uint8Array): Receipt {
  if (line.byteLength > MAX_LINE_BYTES) throw new ReceiptFormatError(`it has more than ${MAX_LINE_BYTES} bytes`);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
    value = JSON.parse(text);
  } catch {
    throw new ReceiptFormatError("it is not JSON in UTF-8");
  }
  refuseDepth(line);
  const version = isObject(value) ? value["version"] : undefined;
  if (version !== 1) {
    throw new ReceiptFormatError("it is no receipt of version 1: a newer version of nomyo-native may know it");
  }
  const receipt = checked(value as Members);
  if (textOf(receipt) !== text) throw new ReceiptFormatError("it is not written as receipts are");
  return receipt;
}

function textOf(receipt: Receipt): string {
  try {
    return JSON.stringify(receipt);
  } catch {
    // A block that is nested too deeply for the stack, or none that came as JSON.
    throw tooDeep();
  }
}

/** JSON that is parsed without a stack is written, and looked at, with one: whoever reads on must not run out of it. */
function refuseDepth(json: Uint8Array): void {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inText && byte === 0x5c) at += 1;
    else if (byte === 0x22) inText = !inText;
    else if (!inText && (byte === 0x5b || byte === 0x7b)) depth += 1;
    else if (!inText && (byte === 0x5d || byte === 0x7d)) depth -= 1;
    if (depth > MAX_DEPTH) throw tooDeep();
  }
}

function tooDeep(): ReceiptFormatError {
  return new ReceiptFormatError(`it is nested more than ${MAX_DEPTH} deep`);
}

type Members = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members in the order of the format, whatever order they were given in. */
function ordered(receipt: Receipt): Receipt {
  return checked(receipt as unknown as Members);
}

type Check<T> = (value: unknown) => value is T;

const aText: Check<string> = (value): value is string => typeof value === "string" && value.length <= 4096;
const aHash: Check<string> = (value): value is string =>
  typeof value === "string" && value === value.toLowerCase() && isHex(value, 64);
const aKeyId: Check<string> = (value): value is string =>
  typeof value === "string" && value === value.toLowerCase() && isHex(value, 16);
const aCount: Check<number> = (value): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const aTime: Check<string> = (value): value is string =>
  typeof value === "string" && value.length === 24 && isoOf(Date.parse(value)) === value;
const anOutcome: Check<"answered" | "refused"> = (value): value is "answered" | "refused" =>
  value === "answered" || value === "refused";
const aMode: Check<AttestationMode> = (value): value is AttestationMode =>
  value === "off" || value === "report" || value === "require";

/** From 1970 on: certificates are verified at such times. */
function isoOf(milliseconds: number): string | undefined {
  return Number.isFinite(milliseconds) && milliseconds >= 0 ? new Date(milliseconds).toISOString() : undefined;
}

function orNull<T>(check: Check<T>): Check<T | null> {
  return (value): value is T | null => value === null || check(value);
}

function member<T>(of: Members, name: string, check: Check<T>, path = name): T {
  const value = Object.hasOwn(of, name) ? of[name] : undefined;
  if (!check(value)) throw new ReceiptFormatError(`\`${path}\` is missing, or is not what it should be`);
  return value;
}

function group(of: Members, name: string): Members {
  return member(of, name, isObject);
}

function checked(value: Members): Receipt {
  const tier = group(value, "tier");
  const keys = group(value, "keys");
  const attestation = group(value, "attestation");
  const software = group(value, "software");
  const inGroup = <T>(of: Members, prefix: string, name: string, check: Check<T>): T =>
    member(of, name, check, `${prefix}.${name}`);
  const report = inGroup(attestation, "attestation", "report", orNull(isReport));
  const receipt: Receipt = {
    version: 1,
    outcome: member(value, "outcome", anOutcome),
    code: member(value, "code", orNull(aText)),
    payload_id: member(value, "payload_id", orNull(aText)),
    started_at: member(value, "started_at", aTime),
    ended_at: member(value, "ended_at", aTime),
    server: member(value, "server", aText),
    attempts: member(value, "attempts", aCount),
    tier: {
      asked: inGroup(tier, "tier", "asked", orNull(isSecurityTier)),
      given: inGroup(tier, "tier", "given", orNull(isSecurityTier)),
    },
    request: packageIn(value, "request"),
    response: packageIn(value, "response"),
    digest_key: member(value, "digest_key", orNull(aKeyId)),
    keys: {
      server: inGroup(keys, "keys", "server", orNull(aHash)),
      client: inGroup(keys, "keys", "client", orNull(aHash)),
    },
    attestation: {
      mode: inGroup(attestation, "attestation", "mode", aMode),
      policy: inGroup(attestation, "attestation", "policy", aHash),
      block: inGroup(attestation, "attestation", "block", isPresent),
      report,
    },
    software: {
      package: inGroup(software, "software", "package", aText),
      openssl: inGroup(software, "software", "openssl", aText),
    },
    chain: chainIn(value),
  };
  if (receipt.outcome === "answered" && (receipt.request === null || receipt.response === null)) {
    throw new ReceiptFormatError("an answer without its packages is none");
  }
  if (receipt.outcome === "answered" && receipt.payload_id === null) {
    throw new ReceiptFormatError("an answer without the id that its quote would be over is none");
  }
  if (receipt.outcome === "answered" && (receipt.keys.server === null || receipt.keys.client === null)) {
    throw new ReceiptFormatError("an answer without the keys that it was sealed for is none");
  }
  if ((receipt.outcome === "answered") !== (receipt.code === null)) {
    throw new ReceiptFormatError("`code` and `outcome` contradict each other");
  }
  return receipt;
}

function packageIn(value: Members, name: string): ReceiptPackage | null {
  const given = member(value, name, orNull(isObject));
  if (given === null) return null;
  return {
    bytes: member(given, "bytes", aCount, `${name}.bytes`),
    sha256: member(given, "sha256", aHash, `${name}.sha256`),
    plaintext_hmac: member(given, "plaintext_hmac", orNull(aHash), `${name}.plaintext_hmac`),
  };
}

function chainIn(value: Members): ReceiptChain | null {
  const given = member(value, "chain", orNull(isObject));
  if (given === null) return null;
  const sequence = member(given, "sequence", aCount, "chain.sequence");
  if (sequence === 0) throw new ReceiptFormatError("`chain.sequence` is 0, and the first is 1");
  return { sequence, previous: member(given, "previous", aHash, "chain.previous") };
}

/** Of the server's block nothing is known. */
function isPresent(value: unknown): value is object | string | number | boolean | null {
  return value !== undefined;
}
