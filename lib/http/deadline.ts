/** The time of one attempt: a clock and the signals that end it. */
import { setMaxListeners } from "node:events";

import { APIConnectionTimeoutError, APIUserAbortError } from "../errors.js";

/**
 * One attempt's time: ends when `timeoutMs` have passed, or when one of the given signals is aborted, whichever comes
 * first. A signal whose reason is an `APIUserAbortError` says with its message why.
 *
 * It removes its listeners from the caller's signal when it is disposed of: callers share one signal among thousands of
 * requests, and `AbortSignal.any` would keep something alive for each.
 */
export class Deadline {
  readonly #controller = new AbortController();
  #end = Infinity;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #unlisten: (() => void)[] = [];
  #over: Promise<never> | undefined;

  constructor(timeoutMs: number, signals: readonly (AbortSignal | undefined)[]) {
    this.#timeoutMs = timeoutMs;
    for (const signal of signals) {
      if (signal === undefined) continue;
      const onAbort = (): void => {
        const given: unknown = signal.reason;
        const why = given instanceof APIUserAbortError ? given.message : "The request was ended by its `signal`.";
        this.#controller.abort(new APIUserAbortError(why, { code: "ABORTED" }));
      };
      if (signal.aborted) {
        onAbort();
        break;
      }
      // Many requests may share a signal on purpose; without this Node would print a warning about it.
      if (signal instanceof EventTarget) setMaxListeners(0, signal);
      signal.addEventListener("abort", onAbort, { once: true });
      this.#unlisten.push(() => signal.removeEventListener("abort", onAbort));
    }
  }

  /** Aborted with the error that the attempt has to fail with. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts the clock. Before, only the signals count: making the client's own key is no part of an attempt's time. */
  startClock(): void {
    this.#end = performance.now() + this.#timeoutMs;
    this.#timer = setTimeout(() => this.#controller.abort(this.timeoutError()), this.#timeoutMs);
  }

  /**
   * Gives what comes after the last byte a time of its own. It ends with `error`: the server is not to blame, nor asked
   * again.
   */
  restartClock(ms: number, error: () => Error): void {
    this.stopClock();
    this.#end = performance.now() + ms;
    this.#timer = setTimeout(() => this.#controller.abort(error()), ms);
  }

  /** Milliseconds left, 0 or more; `Infinity` before the clock was started. */
  remaining(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** The error for an attempt that took too long. */
  timeoutError(detail?: string): APIConnectionTimeoutError {
    const why = detail === undefined ? "" : `: ${detail}`;
    return new APIConnectionTimeoutError(
      `The request timed out after ${Math.round(this.#timeoutMs)} ms${why}. Raise \`timeout\`, or ask for a shorter ` +
        "answer.",
      { code: "TIMEOUT" },
    );
  }

  /** The error that this deadline has ended with, if it has. */
  get error(): Error | undefined {
    return this.signal.aborted ? (this.signal.reason as Error) : undefined;
  }

  throwIfOver(): void {
    if (this.error !== undefined) throw this.error;
  }

  /** Stops the clock, not the signals. */
  stopClock(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Settles as `promise` does, or rejects as soon as the deadline is over. */
  async race<T>(promise: Promise<T>): Promise<T> {
    if (this.error !== undefined) {
      // The promise has lost already; that it may fail later is nobody's business any more.
      promise.catch(() => undefined);
      throw this.error;
    }
    this.#over ??= this.#whenOver();
    return await Promise.race([promise, this.#over]);
  }

  /** One for all races of this attempt: it and its reactions are gone with the attempt. */
  #whenOver(): Promise<never> {
    const over = new Promise<never>((_resolve, reject) => {
      this.signal.addEventListener("abort", () => reject(this.signal.reason as Error), { once: true });
    });
    // It may come to its end when nobody races any more.
    over.catch(() => undefined);
    return over;
  }

  /** Waits `ms` milliseconds, less if the deadline is over before. */
  async sleep(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.race(
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, ms);
        }),
      );
    } finally {
      clearTimeout(timer);
    }
  }

  dispose(): void {
    this.stopClock();
    for (const unlisten of this.#unlisten) unlisten();
    this.#unlisten.length = 0;
  }
}
