/**
 * A map of the entries used most recently. A client may be given another `baseUrl` with each request: what is kept for
 * each of them must not grow for ever.
 */
export class RecentMap<V> {
  readonly #entries = new Map<string, V>();

  /**
   * @param most - At most so many entries; the one that was not used for longest is forgotten for a new one.
   * @param forget - Told of each entry that is forgotten.
   */
  constructor(
    private readonly most: number,
    private readonly forget: (value: V) => void = () => undefined,
  ) {}

  get size(): number {
    return this.#entries.size;
  }

  /** The entry of this name, made if there is none. */
  get(name: string, make: () => V): V {
    // Taken out and put back: a Map keeps the order in which its entries were put in.
    const value = this.#entries.has(name) ? (this.#entries.get(name) as V) : make();
    this.#entries.delete(name);
    this.#entries.set(name, value);
    for (const [oldest, forgotten] of this.#entries) {
      if (this.#entries.size <= this.most) break;
      this.#entries.delete(oldest);
      this.forget(forgotten);
    }
    return value;
  }

  /** Forgets all. */
  clear(): void {
    const forgotten = [...this.#entries.values()];
    this.#entries.clear();
    for (const value of forgotten) this.forget(value);
  }
}
