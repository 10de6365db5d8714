/**
 * Turns of the event loop, one for each who waits: so that who sends, or asks, without an end is looked at no more
 * often than the others, and everybody else in between.
 *
 * A server reads what the system has for it until there is no more. Clients that never stop sending would be all that
 * it reads: so a connection that has had its part waits for its turn, one connection goes on in each, and whoever wants
 * little never waits.
 */

/**
 * Where several wait, a turn of so many milliseconds is followed by a rest of four times as long: most of the time is
 * left to whoever does not have to wait.
 */
const LONG_MS = 1;
const RESTS = 4;
const MOST_REST_MS = 250;
/** What of a connection is read before others have their turn, in bytes: as much as Node reads of it at a time. */
const SHARE_BYTES = 64 * 1024;
/**
 * Milliseconds for which the connection of who was refused stays before it ends, unless he ends it. The refusal itself
 * waits for nothing; but who asks again and again, on one connection after another, makes so many fewer.
 */
export const HOLD_MS = 100;

/** Who waits for a turn, in the order in which they came. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #taken = false;
  /** When the turn that is taken began, on the monotonic clock. */
  #began = 0;

  /** `goOn` is called in a turn of its own, behind those that waited before. It must not throw. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
    if (this.#taken) return;
    this.#taken = true;
    setImmediate(this.#turn);
  }

  /** Settles in a turn of its own. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.wait(resolve));
  }

  readonly #turn = (): void => {
    const goOn = this.#waiting.shift();
    this.#began = performance.now();
    // Before it comes to the next one, the event loop looks at everything: at what this one is to go on with, too.
    setImmediate(this.#after);
    goOn?.();
  };

  readonly #after = (): void => {
    if (this.#waiting.length === 0) {
      this.#taken = false;
      return;
    }
    const took = performance.now() - this.#began;
    if (took < LONG_MS || this.#waiting.length === 1) this.#turn();
    else setTimeout(this.#turn, Math.min(RESTS * took, MOST_REST_MS));
  };
}

/** What of one connection was read since its last turn. */
export class Share {
  readonly #turns: Turns;
  #bytes = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /**
   * Counts what was read. Returns true where the connection has had its part: then it is not to be read until `goOn`
   * is called.
   */
  isUsedUp(bytes: number, goOn: () => void): boolean {
    this.#bytes += bytes;
    if (this.#bytes < SHARE_BYTES) return false;
    this.#bytes = 0;
    this.#turns.wait(goOn);
    return true;
  }
}
