// How cost grows with size: the exponent b of cost = a · size^b.

/** By least squares on the logarithms. Points whose cost is not positive (noise has made them so) do not count. */
export function fitExponent(points) {
  const usable = points.filter(({ size, cost }) => size > 0 && cost > 0);
  const logarithms = usable.map(({ size, cost }) => [Math.log(size), Math.log(cost)]);
  const mean = (of) => logarithms.reduce((sum, pair) => sum + of(pair), 0) / logarithms.length;
  const meanX = mean(([x]) => x);
  return mean(([x, y]) => (x - meanX) * y) / mean(([x]) => (x - meanX) ** 2);
}

/**
 * For each job and contender that was measured over the sizes of growth: the exponent of the whole cost, and the exponent of what
 * depends on the size (the cost of a 2-byte request taken off, from 16 KB on, below which little is left over).
 */
export function growth(results) {
  const series = new Map();
  for (const result of results.filter(({ label, size }) => label === "growth" && size !== undefined)) {
    const key = `${result.kind} ${result.contender}`;
    series.set(key, [...(series.get(key) ?? []), result]);
  }
  return [...series.values()]
    .filter((points) => points.length >= 3)
    .map((points) => ({
      ...{ kind: points[0].kind, contender: points[0].contender },
      exponent: fitExponent(points.map(({ size, median }) => ({ size, cost: median }))),
      exponentOfVariablePart: fitExponent(
        points.filter(({ size }) => size >= 16_384).map(({ size, median, fixed }) => ({ size, cost: median - fixed })),
      ),
      points: points.map(({ size, median, fixed }) => ({ size, median, fixed })),
    }));
}
