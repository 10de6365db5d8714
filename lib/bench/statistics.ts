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
  return {
    count: sorted.length,
    median: quantile(sorted, 0.5),
    p10: quantile(sorted, 0.1),
    p90: quantile(sorted, 0.9),
    p99: quantile(sorted, 0.99),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  };
}

/** The exponent b of cost = a · size^b, by least squares on the logarithms. Points whose size or cost is not positive do not count. */
export function fitExponent(points: readonly { readonly size: number; readonly cost: number }[]): number {
  const usable = points.filter(({ size, cost }) => size > 0 && cost > 0);
  const x = usable.map(({ size }) => Math.log(size));
  const y = usable.map(({ cost }) => Math.log(cost));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanX = mean(x);
  const meanY = mean(y);
  let covariance = 0;
  let variance = 0;
  x.forEach((value, index) => {
    covariance += (value - meanX) * ((y[index] ?? meanY) - meanY);
    variance += (value - meanX) ** 2;
  });
  return covariance / variance;
}
