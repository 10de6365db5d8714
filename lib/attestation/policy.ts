/**
 * The attestation policy: its type, its strict check, its identity. The verifier in native/ checks again what it reads
 * of it.
 */
import { nodeCrypto } from "../builtins.js";
import { ConfigurationError } from "../errors.js";
import { didYouMean, nearest } from "../nearest.js";
import { ownMembers } from "../own-members.js";
import { JsonFault, parseStrictJson } from "./strict-json.js";

/**
 * What becomes of an answer by its quote: nothing is looked at, it is reported, or the answer is refused without a good
 * one.
 */
export type AttestationMode = "off" | "report" | "require";
/** The hash algorithm of a bank of PCRs (TPM 2.0 Part 1, 17.2). A policy takes `sha1` only where it names it. */
export type PcrBank = "sha1" | "sha256" | "sha384" | "sha512";

/**
 * What a PCR may hold: one value, one of several, or `"any"`: quoted, and neither all zero nor all ones. Values are
 * hex, of exactly the bank's length.
 */
export type PcrExpectation = string | readonly string[];

/** One state of a machine that is accepted. It fits when all its PCRs do. */
export interface AttestationProfile {
  /** Unique in its policy; at most 128 characters. */
  readonly name: string;
  /** For people: when and where it was taken, who looked at it. */
  readonly note?: string;
  /** Bank to index (`"0"` to `"22"`, not 16) to what is accepted. */
  readonly pcrs: Readonly<Partial<Record<PcrBank, Readonly<Record<string, PcrExpectation>>>>>;
}

/** A policy; as a file it is the same in JSON, at most 128 KiB of UTF-8 without a byte order mark. */
export interface AttestationPolicy {
  readonly version: 1;
  /** `"require"` by default. */
  readonly mode?: AttestationMode;
  /** In `require`: verify a quote before the first prompt leaves. `false` by default. */
  readonly preflight?: boolean;
  /**
   * How long a preflight's verdict holds, in milliseconds: 1 to 2 592 000 000 (30 days). Without it, until the server's
   * key changes.
   */
  readonly maxAgeMs?: number;
  readonly signature?: {
    readonly schemes?: readonly ("rsassa" | "rsapss" | "ecdsa")[];
    readonly hashes?: readonly ("sha256" | "sha384" | "sha512")[];
    readonly minRsaBits?: 2048 | 3072 | 4096;
  };
  /** The banks that a quote may be over. All but SHA-1 by default. */
  readonly banks?: readonly PcrBank[];
  /** PCRs that a quote must cover, bank by bank: 0 to 22, not 16. */
  readonly required?: Readonly<Partial<Record<PcrBank, readonly number[]>>>;
  /** Without profiles the PCRs are verified and reported, and any value passes. */
  readonly profiles?: readonly AttestationProfile[];
  /** The AIK must be a primary key of its TPM. `false` by default. */
  readonly requirePrimary?: boolean;
  /** `"esapi"`: a TPM must have verified the signature too. `"offline"` by default. */
  readonly engine?: "offline" | "esapi";
  /** PEM certificates, one each. When given, an AIK without a certificate under one of them is refused. */
  readonly aikRoots?: readonly string[];
  /**
   * The relay binding (docs/attestation.md): `"optional"` puts the commitment to both keys into the payload id,
   * `"required"` also refuses answers of servers that do not confirm it. Without it, payload ids are plain UUIDs.
   */
  readonly binding?: "optional" | "required";
}

export const attestationModes = ["off", "report", "require"] as const satisfies readonly AttestationMode[];
const MAX_BYTES = 128 * 1024;
const MAX_AGE_MS = 30 * 86_400_000;

/** Bytes of a digest in each bank. */
export const bankBytes: Readonly<Record<PcrBank, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

/**
 * A policy that has passed the check: a frozen copy of what was given, with hex in lower case and `mode` filled in,
 * that inherits nothing.
 */
export type CheckedPolicy = AttestationPolicy & { readonly mode: AttestationMode };

/**
 * Checks a policy against the schema and returns a frozen copy. `option` names the place in the error. The strings
 * `"off"`, `"report"` and `"require"` stand for a policy with only that mode. Throws a `ConfigurationError`.
 */
export function checkPolicy(given: unknown, option = "attestation"): CheckedPolicy {
  if (given === "off" || given === "report" || given === "require") {
    return Object.freeze(ownMembers<CheckedPolicy>({ version: 1, mode: given }));
  }
  if (typeof given !== "object" || given === null) {
    throw new ConfigurationError(
      option,
      `\`${option}\` must be an object, which is a policy, or one of "off", "report" and ` +
        `"require".${didYouMean(given, attestationModes)}`,
    );
  }
  const policy = new Reader(option).policy(given);
  if (Buffer.byteLength(JSON.stringify(policy)) > MAX_BYTES) throw tooLarge(option);
  return policy;
}

/** Reads a policy file: its bytes, or its text. Throws a `ConfigurationError`; `option` names the file in it. */
export function parsePolicy(file: Uint8Array | string, option = "policy"): CheckedPolicy {
  if ((typeof file === "string" ? Buffer.byteLength(file) : file.byteLength) > MAX_BYTES) throw tooLarge(option);
  let text: string;
  try {
    text = typeof file === "string" ? file : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(file);
  } catch {
    throw new ConfigurationError(option, `The attestation policy (${option}) is not UTF-8.`);
  }
  if (text.startsWith("\uFEFF")) {
    throw new ConfigurationError(
      option,
      `The attestation policy (${option}) starts with a byte order mark; save it without.`,
    );
  }
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new ConfigurationError(option, `The attestation policy (${option}) cannot be used: ${error.message}`);
  }
  // A file is an object; the strings for a mode alone are for code.
  return new Reader(option).policy(value);
}

/**
 * SHA-256 (hex) of the policy in canonical form: JSON without white space, keys sorted by code unit, as RFC 8785 has
 * it. It changes with every demand, and not with the layout of the file.
 */
export function policyId(policy: CheckedPolicy): string {
  return nodeCrypto().createHash("sha256").update(canonicalPolicy(policy), "utf8").digest("hex");
}

/** The text that {@link policyId} is the digest of; as a file it is a policy too. */
export function canonicalPolicy(policy: CheckedPolicy): string {
  return canonical(policy);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

function tooLarge(option: string): ConfigurationError {
  return new ConfigurationError(option, `The attestation policy (${option}) is over 128 KiB.`);
}

/** Reads each member once, so that what was checked is what is used, whatever the object does. */
class Reader {
  constructor(private readonly option: string) {}

  policy(given: unknown): CheckedPolicy {
    const read = this.#members<AttestationPolicy>(given, "", {
      version: (value, at) => this.#oneOf([1] as const, value, at),
      mode: (value, at) => this.#oneOf(attestationModes, value, at),
      preflight: (value, at) => this.#boolean(value, at),
      maxAgeMs: (value, at) => this.#integer(value, at, 1, MAX_AGE_MS),
      signature: (value, at) =>
        this.#members<NonNullable<AttestationPolicy["signature"]>>(value, at, {
          schemes: (list, place) => this.#set(["rsassa", "rsapss", "ecdsa"] as const, list, place),
          hashes: (list, place) => this.#set(["sha256", "sha384", "sha512"] as const, list, place),
          minRsaBits: (bits, place) => this.#oneOf([2048, 3072, 4096] as const, bits, place),
        }),
      banks: (value, at) => this.#set(Object.keys(bankBytes) as PcrBank[], value, at),
      required: (value, at) => this.#perBank(value, at, (list, _, place) => this.#indices(list, place)),
      profiles: (value, at) => this.#profiles(value, at),
      requirePrimary: (value, at) => this.#boolean(value, at),
      engine: (value, at) => this.#oneOf(["offline", "esapi"] as const, value, at),
      aikRoots: (value, at) => this.#list(value, at).map((pem, i) => this.#certificate(pem, `${at}[${i}]`)),
      binding: (value, at) => this.#oneOf(["optional", "required"] as const, value, at),
    });
    if (read["version"] === undefined) this.#refuse("version", "must be there; it is 1");
    // In this order, since people read it.
    const policy = ownMembers({ version: 1, mode: "require", ...read }) as unknown as CheckedPolicy;
    this.#refuseContradictions(policy);
    return deepFreeze(policy);
  }

  /** What is demanded of a bank that is not allowed could never be met. */
  #refuseContradictions(policy: CheckedPolicy): void {
    const allowed = policy.banks ?? (["sha256", "sha384", "sha512"] as const);
    const demanded = [
      ...Object.keys(policy.required ?? {}).map((bank) => [bank, "required"] as const),
      ...(policy.profiles ?? []).flatMap(({ pcrs }, i) =>
        Object.keys(pcrs).map((bank) => [bank, `profiles[${i}].pcrs`] as const),
      ),
    ];
    for (const [bank, at] of demanded) {
      if (!(allowed as readonly string[]).includes(bank)) {
        this.#refuse(at, `demands the bank ${bank}, which "banks" does not allow`);
      }
    }
  }

  #profiles(given: unknown, at: string): AttestationProfile[] {
    const names = new Set<string>();
    return this.#list(given, at).map((entry, i) => {
      const place = `${at}[${i}]`;
      const profile = this.#members<AttestationProfile>(entry, place, {
        name: (value, where) => this.#text(value, where, 128),
        note: (value, where) => this.#text(value, where, 4096),
        pcrs: (value, where) =>
          this.#perBank(value, where, (pcrs, bank, inside) => this.#expectations(pcrs, bank, inside)),
      });
      for (const key of ["name", "pcrs"])
        if (profile[key] === undefined) this.#refuse(`${place}.${key}`, "must be there");
      const { name } = profile as unknown as AttestationProfile;
      if (names.has(name)) this.#refuse(`${place}.name`, "is the name of an earlier profile");
      names.add(name);
      return profile as unknown as AttestationProfile;
    });
  }

  #expectations(given: unknown, bank: PcrBank, at: string): Record<string, PcrExpectation> {
    const result: Record<string, PcrExpectation> = ownMembers({});
    for (const [index, expectation] of this.#entries(given, at)) {
      const place = `${at}.${index}`;
      if (!/^(?:0|[1-9]\d?)$/.test(index)) this.#refuse(place, "is not an index: a plain number from 0 to 22");
      this.#index(Number(index), place);
      result[index] = Array.isArray(expectation)
        ? this.#unique(
            this.#list(expectation, place).map((value, i) => this.#hex(value, bank, `${place}[${i}]`)),
            place,
          )
        : expectation === "any"
          ? "any"
          : this.#hex(expectation, bank, place);
    }
    return result;
  }

  #hex(given: unknown, bank: PcrBank, at: string): string {
    const digits = 2 * bankBytes[bank];
    if (typeof given !== "string" || given.length !== digits || !/^[0-9a-f]*$/i.test(given)) {
      this.#refuse(at, `must be "any" or ${digits} hex digits, the length of ${bank}`);
    }
    return given.toLowerCase();
  }

  #indices(given: unknown, at: string): number[] {
    return this.#unique(
      this.#list(given, at).map((index, i) => this.#index(index, `${at}[${i}]`)),
      at,
    );
  }

  #index(given: unknown, at: string): number {
    const index = this.#integer(given, at, 0, 23);
    if (index === 16 || index === 23) this.#refuse(at, "is a PCR that any program may reset, so it proves nothing");
    return index;
  }

  #certificate(given: unknown, at: string): string {
    const pem = this.#text(given, at, MAX_BYTES);
    try {
      if ((pem.match(/-----BEGIN /g) ?? []).length !== 1) throw new Error("not one PEM block");
      new (nodeCrypto().X509Certificate)(pem);
    } catch {
      this.#refuse(at, "must be one certificate in PEM");
    }
    return pem;
  }

  #perBank<T>(
    given: unknown,
    at: string,
    read: (value: unknown, bank: PcrBank, at: string) => T,
  ): Partial<Record<PcrBank, T>> {
    const result: Partial<Record<PcrBank, T>> = ownMembers({});
    for (const [bank, value] of this.#entries(given, at)) {
      const name = this.#oneOf(Object.keys(bankBytes) as PcrBank[], bank, at);
      result[name] = read(value, name, `${at}.${bank}`);
    }
    return result;
  }

  /** An object with these keys and no others, each read by its reader; not empty. */
  #members<Whole>(
    given: unknown,
    at: string,
    readers: { readonly [Key in keyof Required<Whole>]: (value: unknown, at: string) => unknown },
  ): Record<string, unknown> {
    const result: Record<string, unknown> = ownMembers({});
    for (const [key, value] of this.#entries(given, at)) {
      const read = Object.hasOwn(readers, key) ? readers[key as keyof Whole] : undefined;
      if (read === undefined) {
        const meant = nearest(key, Object.keys(readers));
        const instead = meant === undefined ? "" : `, perhaps for "${meant}"`;
        this.#refuse(at, `has the unknown key ${JSON.stringify(key.slice(0, 80))}${instead}`);
      }
      // In code an absent member may be written as undefined; JSON has none.
      if (value !== undefined) result[key] = read(value, at === "" ? key : `${at}.${key}`);
    }
    return result;
  }

  #entries(given: unknown, at: string): [string, unknown][] {
    if (typeof given !== "object" || given === null || Array.isArray(given)) this.#refuse(at, "must be an object");
    const entries = Object.entries(given);
    if (entries.length === 0) this.#refuse(at, "must not be empty");
    return entries;
  }

  #list(given: unknown, at: string): unknown[] {
    if (!Array.isArray(given) || given.length === 0) this.#refuse(at, "must be a list that is not empty");
    return [...(given as unknown[])];
  }

  #set<T>(allowed: readonly T[], given: unknown, at: string): T[] {
    return this.#unique(
      this.#list(given, at).map((value, i) => this.#oneOf(allowed, value, `${at}[${i}]`)),
      at,
    );
  }

  #unique<T>(list: T[], at: string): T[] {
    if (new Set(list).size !== list.length) this.#refuse(at, "names something twice");
    return list;
  }

  #oneOf<T>(allowed: readonly T[], given: unknown, at: string): T {
    const found = allowed.find((value) => value === given);
    if (found === undefined) this.#refuse(at, `must be ${allowed.map((value) => JSON.stringify(value)).join(" or ")}`);
    return found;
  }

  #boolean(given: unknown, at: string): boolean {
    if (typeof given !== "boolean") this.#refuse(at, "must be true or false");
    return given;
  }

  #integer(given: unknown, at: string, least: number, most: number): number {
    if (
      typeof given !== "number" ||
      !Number.isInteger(given) ||
      given < least ||
      given > most ||
      Object.is(given, -0)
    ) {
      this.#refuse(at, `must be a whole number from ${least} to ${most}`);
    }
    return given;
  }

  #text(given: unknown, at: string, most: number): string {
    if (typeof given !== "string" || given.length === 0 || given.length > most) {
      this.#refuse(at, `must be a text of 1 to ${most} characters`);
    }
    return given;
  }

  #refuse(at: string, problem: string): never {
    const place = at === "" ? "it" : at;
    throw new ConfigurationError(
      this.option,
      `The attestation policy (${this.option}) cannot be used: ${place} ${problem}.`,
    );
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
