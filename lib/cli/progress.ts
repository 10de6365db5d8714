/** What moves at a terminal while somebody waits. A pipe gets nothing of it. */
import type { Output } from "./output.js";

const FRAMES = ["|", "/", "-", "\\"];
const FRAME_MS = 120;
/** Dots until the line begins again: it must not wrap. */
const MOST_DOTS = 20;
const DOT_MS = 500;

/** `dots`: work of this machine, whose end cannot be told. `spinner`: waiting for others. */
export type ProgressKind = "dots" | "spinner";

/** A clock that tests wind themselves. */
export interface Ticker {
  every(ms: number, tick: () => void): () => void;
}

const systemTicker: Ticker = {
  every(ms, tick) {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};

/** One line at a terminal that is drawn over and over, and is gone in the end. */
export class Progress {
  readonly #output: Output | undefined;
  readonly #ticker: Ticker;
  #stop: (() => void) | undefined;
  #ended = false;

  /** @param output - undefined, no terminal, or one that cannot move its cursor: then nothing is ever written. */
  constructor(output: Output | undefined, ticker: Ticker = systemTicker) {
    this.#output = output?.isTTY === true ? output : undefined;
    this.#ticker = ticker;
  }

  /** Shows this from now on, instead of what was shown before. After {@link end} it shows nothing. */
  show(kind: ProgressKind, text: string): void {
    const output = this.#output;
    if (output === undefined || this.#ended) return;
    this.#stop?.();
    let step = 0;
    const draw = (): void => {
      const mark = kind === "dots" ? ".".repeat((step % MOST_DOTS) + 1) : (FRAMES[step % FRAMES.length] ?? "");
      output.drawStatus(kind === "dots" ? `${text} ${mark}` : `${mark} ${text}`);
      step++;
    };
    draw();
    this.#stop = this.#ticker.every(kind === "dots" ? DOT_MS : FRAME_MS, draw);
  }

  /** Takes the line away, for good. */
  end(): void {
    this.#ended = true;
    if (this.#stop === undefined) return;
    this.#stop();
    this.#stop = undefined;
    this.#output?.drawStatus("");
  }
}
