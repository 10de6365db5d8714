/** Figures from samples. Medians and percentiles, because timings have a long tail on one side. */

export interface Summary {
  /** How many samples. */
  readonly count: number;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
}

/** The value below which the share `q` (0 to 1) of `sorted` lies, interpolated between neighbours. NaN of nothing. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below];
  if (low === undefined) return Number.NaN;
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

export function summarise(samples: readonly number[]): Summary {
  const sorted = Float64Array.from(samples).sort();
  const at = (q: number): number => quantile(sorted, q);
  return {
    count: sorted.length,
    ...{ median: at(0.5), p10: at(0.1), p90: at(0.9), p99: at(0.99), min: at(0), max: at(1) },
  };
}

/** Three significant digits of milliseconds, in the unit that fits. */
export function timeText(ms: number): string {
  if (ms < 1) return `${Number((ms * 1000).toPrecision(3))} µs`;
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
}
