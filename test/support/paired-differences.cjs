/**
 * Whether one kind of call takes longer than another, by samples that were taken in blocks: one of each kind, in an
 * order that chance chose, so that whatever else the machine does meets all alike. A block's difference is what is
 * looked at, and of that its rank: a pause of the machine is one large difference among many, and weighs no more than
 * any other.
 *
 * Wilcoxon's signed-rank test (Wilcoxon 1945; Pratt's way with zeros, mid-ranks, normal approximation with the
 * correction for ties), which tlsfuzzer and the Marvin toolkit (Kario 2023) use too, beside a bootstrap interval of the
 * median difference.
 */

/** The differences of `b` from `a`, block by block. */
const differences = (a, b) => Float64Array.from(a, (value, at) => b[at] - value);

const median = (sorted) => {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** Two-sided p of the signed ranks of `values`: 1 where they are as often and as far below zero as above. */
function signedRank(values) {
  const order = Array.from(values.keys()).sort((one, other) => Math.abs(values[one]) - Math.abs(values[other]));
  let above = 0;
  let expected = 0;
  let variance = 0;
  for (let from = 0; from < order.length;) {
    const size = Math.abs(values[order[from]]);
    let to = from;
    while (to < order.length && Math.abs(values[order[to]]) === size) to += 1;
    // The mean rank of those that are equal. Zeros have their ranks, and count on neither side.
    const rank = (from + 1 + to) / 2;
    if (size > 0) {
      for (let at = from; at < to; at += 1) if (values[order[at]] > 0) above += rank;
      expected += ((to - from) * rank) / 2;
      variance += ((to - from) * rank * rank) / 4;
    }
    from = to;
  }
  if (variance === 0) return 1;
  return Math.min(1, 2 * upperTail(Math.max(0, Math.abs(above - expected) - 0.5) / Math.sqrt(variance)));
}

/** The share of the normal distribution above `z` >= 0, by its continued fraction far out and its series near zero. */
function upperTail(z) {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z > 3) {
    let fraction = 0;
    for (let n = 60; n > 0; n -= 1) fraction = n / (z + fraction);
    return density / (z + fraction);
  }
  let term = z;
  let sum = z;
  for (let n = 1; n < 60; n += 1) sum += term *= (z * z) / (2 * n + 1);
  return 0.5 - density * sum;
}

/**
 * The median of `values` and the interval that holds 95 % of the medians of as many drawn from them with repetition.
 */
function medianInterval(values, random, draws = 500) {
  const medians = Float64Array.from({ length: draws }, () =>
    median(Float64Array.from(values, () => values[Math.floor(random() * values.length)]).sort()),
  ).sort();
  return {
    median: median(Float64Array.from(values).sort()),
    low: medians[Math.floor(draws * 0.025)],
    high: medians[Math.ceil(draws * 0.975) - 1],
  };
}

module.exports = { differences, medianInterval, signedRank, upperTail };
