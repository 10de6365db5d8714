/** The option `receipts`: where receipts are written, and how. */
import { resolve } from "node:path";
import { integer, resolveByTable, text } from "../option-checks.js";
import type { OptionTable, ResolvedBy } from "../option-checks.js";
import { MAX_LINE_BYTES } from "./receipt.js";

/** Options of `receipts`. */
export interface ReceiptOptions {
  /** A folder of this client's alone: it is made (mode 0700), and no two clients or processes can write to one. */
  readonly folder: string;
  /**
   * A file (mode 0600) with 32 to 1 024 random bytes, or as much text: the key of the HMAC-SHA-256 of both plaintexts.
   * Without it receipts hold no digest of a plaintext.
   */
  readonly digestKeyFile?: string | undefined;
  /** A file that has come to so many bytes is ended, and another begun. 16 777 216 (16 MiB) by default. */
  readonly maxFileBytes?: number | undefined;
}

const receiptOptions = {
  folder: { required: true, parse: (value, name) => resolve(text(value, name)) },
  digestKeyFile: { parse: text },
  maxFileBytes: { otherwise: 16 * 1024 * 1024, parse: integer(MAX_LINE_BYTES, 2 ** 40) },
} satisfies OptionTable<ReceiptOptions>;

/** {@link ReceiptOptions}, checked. */
export type ReceiptSettings = ResolvedBy<typeof receiptOptions>;

/** Checks the option; a text is the folder. Nothing is opened. Throws a `ConfigurationError`. */
export function checkReceipts(given: string | ReceiptOptions, name: string): ReceiptSettings {
  return resolveByTable(typeof given === "string" ? { folder: given } : given, receiptOptions, name);
}
