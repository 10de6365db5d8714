/** Timing of one operation: warmed up, in batches where a single run is too short for the clock. */

import { setImmediate as turnOfTheLoop, setTimeout as sleep } from "node:timers/promises";
import { summarise } from "./statistics.js";

/** One run of what is measured. A promise is awaited within the time that counts. */
export type Operation = () => unknown;

/** Where the time comes from: the process's, or one that a test moves. */
export interface Clock {
  /** Milliseconds since any fixed moment. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

const processClock: Clock = { now: () => performance.now(), sleep };

/** Shorter than this, and the clock and the loop around the operation would show in the figure. */
const SHORTEST_SAMPLE_MS = 0.05;

export class Sampler {
  readonly #operation: Operation;
  readonly #pauseMs: number;
  readonly #clock: Clock;
  #batch = 1;

  /**
   * With a pause of over 0 ms before each run: what a program does that has something else to do meanwhile. Never in
   * batches then.
   */
  constructor(operation: Operation, pauseMs = 0, clock: Clock = processClock) {
    this.#operation = operation;
    this.#pauseMs = pauseMs;
    this.#clock = clock;
  }

  /**
   * Runs for about `milliseconds`, at least once, so that code is compiled and caches and pools are filled; then sizes
   * the batches.
   */
  async warmUp(milliseconds: number): Promise<void> {
    const times: number[] = [];
    const end = this.#clock.now() + milliseconds;
    do {
      times.push(await this.#time(1));
      await this.#pause();
    } while (this.#clock.now() < end);
    if (this.#pauseMs > 0) return;
    const typical = summarise(times).median;
    this.#batch = Math.max(1, Math.ceil(SHORTEST_SAMPLE_MS / Math.max(typical, 1e-5)));
  }

  /** Milliseconds of single runs, for about `milliseconds` in all, `maximum` at most and one at least. */
  async round(milliseconds: number, maximum = Number.POSITIVE_INFINITY): Promise<number[]> {
    const samples: number[] = [];
    const end = this.#clock.now() + milliseconds;
    do {
      samples.push((await this.#time(this.#batch)) / this.#batch);
      await this.#pause();
    } while (samples.length < maximum && this.#clock.now() < end);
    return samples;
  }

  /**
   * Outside of what is timed. Without it memory whose release waits for the event loop would pile up, as in no program.
   */
  async #pause(): Promise<void> {
    if (this.#pauseMs > 0) await this.#clock.sleep(this.#pauseMs);
    else await turnOfTheLoop();
  }

  async #time(batch: number): Promise<number> {
    const operation = this.#operation;
    const begin = this.#clock.now();
    const first = operation();
    // An `await` costs a turn of the microtask queue: only what is asynchronous pays for it.
    if (isPromise(first)) {
      await first;
      for (let i = 1; i < batch; i++) await operation();
    } else {
      for (let i = 1; i < batch; i++) operation();
    }
    return this.#clock.now() - begin;
  }
}

const isPromise = (value: unknown): boolean => typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
