/** Timing of one operation: warmed up, in batches where a single run is too short for the clock. */

import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { summarise } from "./statistics.js";

/** One run of what is measured. A promise is awaited within the time that counts. */
export type Operation = () => unknown;

/** Shorter than this, and the clock and the loop around the operation would show in the figure. */
const shortestSampleMs = 0.05;

export class Sampler {
  readonly #operation: Operation;
  #batch = 1;

  constructor(operation: Operation) {
    this.#operation = operation;
  }

  /** Runs for about `milliseconds`, at least once, so that code is compiled and caches and pools are filled; then sizes the batches. */
  async warmUp(milliseconds: number): Promise<void> {
    const times: number[] = [];
    const end = performance.now() + milliseconds;
    do {
      times.push(await this.#time(1));
      await turnOfTheLoop();
    } while (performance.now() < end);
    const typical = summarise(times).median;
    this.#batch = Math.max(1, Math.ceil(shortestSampleMs / Math.max(typical, 1e-5)));
  }

  /** Milliseconds of single runs, for about `milliseconds` in all, `maximum` at most and one at least. */
  async round(milliseconds: number, maximum = Number.POSITIVE_INFINITY): Promise<number[]> {
    const samples: number[] = [];
    const end = performance.now() + milliseconds;
    do {
      samples.push((await this.#time(this.#batch)) / this.#batch);
      // Outside of what is timed. Without it memory whose release waits for the event loop would pile up, as in no program.
      await turnOfTheLoop();
    } while (samples.length < maximum && performance.now() < end);
    return samples;
  }

  async #time(batch: number): Promise<number> {
    const operation = this.#operation;
    const begin = performance.now();
    const first = operation();
    // An `await` costs a turn of the microtask queue: only what is asynchronous pays for it.
    if (isPromise(first)) {
      await first;
      for (let i = 1; i < batch; i++) await operation();
    } else {
      for (let i = 1; i < batch; i++) operation();
    }
    return performance.now() - begin;
  }
}

const isPromise = (value: unknown): boolean => typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
