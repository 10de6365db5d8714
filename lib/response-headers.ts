/** The headers of an answer: the reading half of the web's `Headers`. `new Headers(headers)` makes one of it. */
export interface ResponseHeaders extends Iterable<[string, string]> {
  /** The header's value, those of several with the same name joined by ", "; null when there is none. */
  get(name: string): string | null;
  has(name: string): boolean;
  /** Each `Set-Cookie` for itself: they cannot be joined. */
  getSetCookie(): string[];
  forEach(each: (value: string, name: string) => void): void;
  /** Names in lower case, and values, in the order of the names. */
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
}
