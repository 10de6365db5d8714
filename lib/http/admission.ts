/**
 * Who is served at one time.
 *
 * A request is *admitted* from when its headers are accepted until its answer has left, and *running* from when its
 * body is there until its answer is made. Running takes a slot. Receiving does not, nor does sending, since a body may
 * take its time, or never come, and an answer may never be read: of these there may be several times as many. Where
 * there is more than one API key, none of them has more than half of either: one client that floods, or stalls, leaves
 * room for the others.
 */
import { Refusal, unavailable } from "./refusal.js";

export interface AdmissionLimits {
  /** Requests that run. */
  readonly maxRequests: number;
  /** Of these, for one API key. */
  readonly maxRequestsPerKey: number;
}

/** Requests that are admitted, for each that may run. */
const ADMITTED_FOR_EACH = 4;

interface Count {
  admitted: number;
  running: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #all: Count = { admitted: 0, running: 0 };
  /** Keys that have a request admitted, and no others. */
  readonly #keys = new Map<number, Count>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Requests that are admitted now. */
  get underWay(): number {
    return this.#all.admitted;
  }

  /**
   * Admits a request of key number `key`. Throws a 503 when there are too many, a 429 when there are too many of this
   * key; also when it could not run at the moment: better said before a body is sent.
   */
  admit(key: number): Ticket {
    const { maxRequests, maxRequestsPerKey } = this.#limits;
    const own = this.#keys.get(key) ?? { admitted: 0, running: 0 };
    if (this.#all.admitted >= ADMITTED_FOR_EACH * maxRequests) throw busy();
    if (own.admitted >= ADMITTED_FOR_EACH * maxRequestsPerKey) throw tooManyOfKey();
    this.#checkRunning(own);
    this.#keys.set(key, own);
    const counts = [this.#all, own];
    for (const count of counts) count.admitted += 1;
    let state: "admitted" | "running" | "sending" | "over" = "admitted";
    return {
      run: () => {
        if (state !== "admitted") throw new Error("a request runs once");
        this.#checkRunning(own);
        state = "running";
        for (const count of counts) count.running += 1;
      },
      send: () => {
        if (state !== "running") throw new Error("an answer is sent once, after its request ran");
        state = "sending";
        for (const count of counts) count.running -= 1;
      },
      leave: () => {
        if (state === "over") return;
        for (const count of counts) {
          count.admitted -= 1;
          if (state === "running") count.running -= 1;
        }
        state = "over";
        if (own.admitted === 0) this.#keys.delete(key);
      },
    };
  }

  #checkRunning(own: Count): void {
    if (own.running >= this.#limits.maxRequestsPerKey && this.#limits.maxRequestsPerKey < this.#limits.maxRequests) {
      throw tooManyOfKey();
    }
    if (this.#all.running >= this.#limits.maxRequests) throw busy();
  }
}

/** One admitted request. */
export interface Ticket {
  /** Its body is there: takes a slot. Throws a 503 or 429 when there is none. */
  run(): void;
  /** Its answer is made: gives the slot back, and stays admitted. */
  send(): void;
  /** Gives back what it has; calling it again is harmless. */
  leave(): void;
}

function busy(): Refusal {
  return unavailable("The server is busy.", 1);
}

function tooManyOfKey(): Refusal {
  return new Refusal(429, "Too many requests of this API key are under way at one time.", { "retry-after": "1" });
}
