/** scripts/timing's statistic: it finds what is there, however noisy, and does not find what is not. */
import { differences, medianInterval, signedRank, upperTail } from "../../support/paired-differences.cjs";
import { seededRandom } from "../../support/seeded-random.js";

test("the normal distribution's tail is that of its tables", () => {
  // Abramowitz and Stegun, table 26.1, and 26.2 far out.
  expect(upperTail(0)).toBeCloseTo(0.5, 12);
  expect(upperTail(1)).toBeCloseTo(0.158655253931457, 12);
  expect(upperTail(1.959963984540054)).toBeCloseTo(0.025, 12);
  expect(upperTail(3.5) / 2.32629079035525e-4).toBeCloseTo(1, 9);
  expect(upperTail(6) / 9.865876450376946e-10).toBeCloseTo(1, 9);
});

test("the p that SciPy 1.17's wilcoxon(zero_method='pratt', correction=True, method='approx') gives", () => {
  expect(signedRank([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toBeCloseTo(0.005921537024148715, 12);
  expect(signedRank([1, -1, 2, -2, 3, -3])).toBe(1);
  expect(signedRank([0, 0, 3, -1, 4, 4, -2, 7, 8, 8, 8, -5, 0, 9])).toBeCloseTo(0.0497526745930258, 12);
  expect(signedRank([0, 0, 0])).toBe(1);
});

/** A call's time: a base, noise with a long tail, and now and then a pause of the machine. */
function times(count: number, random: () => number, more: number): Float64Array {
  return Float64Array.from({ length: count }, () => {
    const noise = -Math.log(1 - random()) * 20;
    return 2_000 + noise + (random() < 0.02 ? 50_000 * random() : 0) + more;
  });
}

test("a delay of a sixth of the noise is found under pauses a thousand times as long", () => {
  const random = seededRandom(1);
  const [plain, slower] = [times(4_000, random, 0), times(4_000, random, 3)];
  const values = differences(plain, slower);
  expect(signedRank(values)).toBeLessThan(1e-5);
  const { median, low, high } = medianInterval(values, random, 100);
  expect([low < median, median < high, low > 0.5, high < 6]).toEqual([true, true, true, true]);
});

test("where there is none, none is found: of 400 comparisons about one in twenty is below 0.05", () => {
  const random = seededRandom(2);
  let below = 0;
  for (let i = 0; i < 400; i += 1) {
    const p = signedRank(differences(times(200, random, 0), times(200, random, 0)));
    expect(p).toBeGreaterThan(1e-5);
    if (p < 0.05) below += 1;
  }
  expect(below).toBeGreaterThan(5);
  expect(below).toBeLessThan(40);
});
