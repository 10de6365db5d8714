/** Receipts for tests: one by hand, folders, and what is in them. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Receipt } from "../../lib/receipts/receipt.js";

/** A receipt that no client has made. */
export function madeUpReceipt(change: Partial<Receipt> = {}): Receipt {
  return {
    version: 1,
    outcome: "answered",
    code: null,
    payload_id: "7f0c1d1e-6a55-4a57-9d3c-6f2d1c6f4c11",
    started_at: "2026-11-27T08:00:00.000Z",
    ended_at: "2026-11-27T08:00:01.250Z",
    server: "https://api.nomyo.ai",
    attempts: 1,
    tier: { asked: "maximum", given: "maximum" },
    request: { bytes: 10, sha256: "1".repeat(64), plaintext_hmac: null },
    response: { bytes: 20, sha256: "2".repeat(64), plaintext_hmac: "3".repeat(64) },
    digest_key: "4".repeat(16),
    keys: { server: "5".repeat(64), client: "6".repeat(64) },
    attestation: { mode: "report", policy: "7".repeat(64), block: null, report: null },
    software: { package: "0.1.0", openssl: "OpenSSL 3.5.9" },
    chain: null,
    ...change,
  };
}

/** A folder that is not there yet, in one that is: the caller removes the latter. */
export function receiptFolder(): { readonly base: string; readonly folder: string } {
  const base = mkdtempSync(join(tmpdir(), "nomyo-receipts-"));
  return { base, folder: join(base, "receipts") };
}

/** The names of the files with receipts. */
export function receiptNames(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort();
}

/** All receipts of a folder, one after the other. */
export function receiptsIn(folder: string): Receipt[] {
  return receiptNames(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Receipt),
  );
}
