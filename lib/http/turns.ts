/**
 * Turns of the event loop, one for each who waits: so that who sends, or asks, without an end is looked at no more
 * often than the others, and everybody else in between.
 *
 * A server reads what the system has for it until there is no more. Clients that never stop sending would be all that
 * it reads: so a connection that has had its part waits for its turn, one connection goes on in each, and whoever wants
 * little never waits.
 */

/** So many turns, at most, until whoever waits now has had his: a crowd goes several at a time. */
const MOST_TURNS = 64;
/** What of a connection is read before others have their turn, in bytes: as much as Node reads of it at a time. */
const SHARE_BYTES = 64 * 1024;
/**
 * Milliseconds for which the connection of who was refused stays before it ends, unless he ends it. The refusal itself
 * waits for nothing; but who asks again and again, on one connection after another, makes so many fewer.
 */
export const HOLD_MS = 100;

/** Who waits for a turn, in the order in which they came. */
export class Turns {
  readonly #waiting = new Set<() => void>();
  #scheduled = false;

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** `goOn` is called in a turn of its own, behind those that waited before; once, however often it waits. */
  wait(goOn: () => void): void {
    this.#waiting.add(goOn);
    this.#schedule();
  }

  /** Who has gone away waits no more: otherwise it would be kept, and whoever comes and goes would fill the memory. */
  cancel(goOn: () => void): void {
    this.#waiting.delete(goOn);
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    let left = Math.ceil(this.#waiting.size / MOST_TURNS);
    try {
      for (const goOn of this.#waiting) {
        if (left === 0) break;
        left -= 1;
        this.#waiting.delete(goOn);
        goOn();
      }
    } finally {
      // Before it comes to the next ones, the event loop looks at everything else.
      this.#schedule();
    }
  }
}

/** What of one connection was read since its last turn. */
export class Share {
  readonly #turns: Turns;
  #bytes = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /**
   * Counts what was read. Returns true where the connection has had its part: then it is not to be read until `goOn` is
   * called, and `goOn` is to be cancelled when the connection ends.
   */
  isUsedUp(bytes: number, goOn: () => void): boolean {
    this.#bytes += bytes;
    if (this.#bytes < SHARE_BYTES) return false;
    this.#bytes = 0;
    this.#turns.wait(goOn);
    return true;
  }
}
