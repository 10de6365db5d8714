/** PCR values as people have them: the output of tpm2_pcrread, and how they compare with the profiles of a policy. */
import { ConfigurationError } from "../errors.js";
import { bankBytes } from "./policy.js";
import type { AttestationProfile, PcrBank, PcrExpectation } from "./policy.js";

/** Bank to index to lower-case hex. */
export type PcrValues = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * Reads what `tpm2_pcrread` prints (tpm2-tools 4 and 5): a bank's name, then its lines ` 7 : 0xABCD…`. Throws a
 * `ConfigurationError` for everything else: a value that was not understood must not be missing from a baseline.
 */
export function parsePcrread(text: string, option = "pcrread"): PcrValues {
  const values: Record<string, Record<string, string>> = {};
  let bank: PcrBank | undefined;
  const refuse = (number: number, problem: string): never => {
    throw new ConfigurationError(option, `Line ${number} of ${option} is not tpm2_pcrread's output: ${problem}.`);
  };
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === "") return;
    const heading = /^\s*([a-z0-9_]+)\s*:\s*$/.exec(line)?.[1];
    if (heading !== undefined) {
      if (!Object.hasOwn(bankBytes, heading))
        refuse(i + 1, `the bank ${heading} is none of ${Object.keys(bankBytes).join(", ")}`);
      if (Object.hasOwn(values, heading)) refuse(i + 1, `the bank ${heading} is there twice`);
      bank = heading as PcrBank;
      values[bank] = {};
      return;
    }
    const [, index, hex] = /^\s*(0|[1-9]\d?)\s*:\s*0x([0-9A-Fa-f]+)\s*$/.exec(line) ?? [];
    if (bank === undefined || index === undefined || hex === undefined || Number(index) > 23) {
      return refuse(i + 1, "a bank's name, or an index and a value, was expected");
    }
    if (hex.length !== 2 * bankBytes[bank]) refuse(i + 1, `a value of ${bank} has ${2 * bankBytes[bank]} hex digits`);
    const pcrs = (values[bank] ??= {});
    if (Object.hasOwn(pcrs, index)) refuse(i + 1, `PCR ${index} is there twice`);
    pcrs[index] = hex.toLowerCase();
  });
  const read = Object.entries(values).filter(([, pcrs]) => Object.keys(pcrs).length > 0);
  if (read.length === 0) {
    throw new ConfigurationError(option, `There is no PCR in ${option}: give it the output of tpm2_pcrread.`);
  }
  return Object.fromEntries(read);
}

export function isAllZero(hex: string): boolean {
  return /^0+$/.test(hex);
}

export function isAllOnes(hex: string): boolean {
  return /^f+$/i.test(hex);
}

/** Whether a value is what was expected; the same rule as the verifier's. */
export function meets(value: string | undefined, expected: PcrExpectation): boolean {
  if (value === undefined) return false;
  if (expected === "any") return !isAllZero(value) && !isAllOnes(value);
  return (typeof expected === "string" ? [expected] : expected).includes(value);
}

/** One PCR beside a profile. */
export interface PcrComparison {
  readonly bank: string;
  readonly index: string;
  readonly actual: string | undefined;
  /** undefined: the profile says nothing about it. */
  readonly expected: PcrExpectation | undefined;
  /** Whether it fits; true for a PCR that the profile does not name. */
  readonly fits: boolean;
}

/** Every PCR of the values or of the profile, by bank and index. */
export function compare(values: PcrValues, profile: AttestationProfile): PcrComparison[] {
  const banks = [...new Set([...Object.keys(values), ...Object.keys(profile.pcrs)])].sort();
  return banks.flatMap((bank) => {
    const actual = values[bank] ?? {};
    const wanted = profile.pcrs[bank as PcrBank] ?? {};
    const indices = [...new Set([...Object.keys(actual), ...Object.keys(wanted)])].sort(
      (a, b) => Number(a) - Number(b),
    );
    return indices.map((index) => {
      const expected = wanted[index];
      const fits = expected === undefined || meets(actual[index], expected);
      return { bank, index, actual: actual[index], expected, fits };
    });
  });
}
