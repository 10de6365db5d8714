/** The headers of an answer, without the web's `Headers`. */
import type { ResponseHeaders } from "../response-headers.js";

/**
 * Headers that came with an answer. A class of our own, because touching the global `Headers` loads undici, which needs
 * WebAssembly and much address space: neither is there under `--jitless` or `ulimit -v`.
 */
export class ReceivedHeaders implements ResponseHeaders {
  /** By lower-case name, in the order in which they came. */
  readonly #values = new Map<string, string[]>();

  /** @param pairs - Names and values by turns, as Node's `rawHeaders` has them. */
  constructor(pairs: readonly string[] = []) {
    for (let i = 0; i + 1 < pairs.length; i += 2) this.#append(pairs[i] ?? "", pairs[i + 1] ?? "");
  }

  /** The same of a `Headers`, of whatever fetch it comes. */
  static from(headers: { forEach(each: (value: string, name: string) => void): void }): ReceivedHeaders {
    const pairs: string[] = [];
    headers.forEach((value, name) => pairs.push(name, value));
    return new ReceivedHeaders(pairs);
  }

  get(name: string): string | null {
    return this.#values.get(name.toLowerCase())?.join(", ") ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase());
  }

  getSetCookie(): string[] {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  forEach(each: (value: string, name: string) => void): void {
    for (const [name, value] of this) each(value, name);
  }

  *entries(): IterableIterator<[string, string]> {
    for (const name of [...this.#values.keys()].sort()) {
      if (name === "set-cookie") for (const cookie of this.getSetCookie()) yield [name, cookie];
      else yield [name, this.get(name) ?? ""];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  #append(name: string, value: string): void {
    const key = name.toLowerCase();
    const former = this.#values.get(key);
    if (former === undefined) this.#values.set(key, [value.trim()]);
    else former.push(value.trim());
  }
}
