/** Who may use the router: API keys, held and compared only as SHA-256 hashes. */
import { bearerCredential, isHex, isPrintableWord } from "../printable.js";
import { createHash, timingSafeEqual } from "node:crypto";
import { ConfigurationError } from "../errors.js";

/** A key shorter than this can be guessed; `openssl rand -hex 32` makes a good one. */
const MIN_KEY_LENGTH = 16;

export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  /**
   * `entries` are keys, or `sha256:` and the 64 hex digits of a key's SHA-256. Throws a {@link ConfigurationError} that
   * tells the entry's number, never its text.
   */
  constructor(entries: readonly string[]) {
    this.#hashes = entries.map((entry, index) => {
      const hashed = entry.startsWith("sha256:") ? entry.slice("sha256:".length) : undefined;
      if (hashed !== undefined && isHex(hashed, 64)) return Buffer.from(hashed, "hex");
      if (!isPrintableWord(entry) || entry.length < MIN_KEY_LENGTH) {
        throw new ConfigurationError(
          "apiKeys",
          `API key number ${index + 1} is not usable: a key is ${MIN_KEY_LENGTH} or more visible ASCII characters, ` +
            `or "sha256:" and 64 hex digits. ` +
            "Make one with: openssl rand -hex 32",
        );
      }
      return digest(entry);
    });
  }

  /** Whether the router answers everyone. */
  get open(): boolean {
    return this.#hashes.length === 0;
  }

  get count(): number {
    return this.#hashes.length;
  }

  /**
   * The number of the key in an `Authorization` header; `null` when the header has none that is known. All keys are
   * compared, whatever the first ones gave, so that the time taken does not tell which one was near.
   */
  identify(authorization: string | undefined): number | null {
    const presented = bearerCredential(authorization);
    if (presented === undefined || !isPrintableWord(presented)) return null;
    const hash = digest(presented);
    let found: number | null = null;
    this.#hashes.forEach((known, index) => {
      if (timingSafeEqual(known, hash)) found = index;
    });
    return found;
  }
}

/**
 * The keys of a file or an environment variable: one a line (or between commas); empty lines and lines with `#` first
 * are skipped.
 */
export function parseApiKeys(text: string): string[] {
  return text
    .replaceAll("\r", "\n")
    .replaceAll(",", "\n")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key, "utf8").digest();
}
