/** The headers of an answer: the reading half of the web's `Headers`. `new Headers(headers)` makes one of it. */
export interface ResponseHeaders extends Iterable<[string, string]> {
  /** The header's value, those of several with the same name joined by ", "; null when there is none. */
  get(name: string): string | null;
  /** Whether there is such a header; case does not matter. */
  has(name: string): boolean;
  /** Each `Set-Cookie` for itself: they cannot be joined. */
  getSetCookie(): string[];
  /** Calls `each` for all of {@link entries}. */
  forEach(each: (value: string, name: string) => void): void;
  /** Names in lower case, and values, in the order of the names. */
  entries(): IterableIterator<[string, string]>;
  /** The names of {@link entries}. */
  keys(): IterableIterator<string>;
  /** The values of {@link entries}. */
  values(): IterableIterator<string>;
}
