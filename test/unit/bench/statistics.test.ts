import { quantile, summarise } from "../../../lib/bench/statistics.js";

// Expected values: Python's numpy.quantile with its default method (linear).
test("quantiles are interpolated between neighbours", () => {
  const sorted = [1, 2, 4, 8, 16, 32];
  expect(quantile(sorted, 0.5)).toBe(6);
  expect(quantile(sorted, 0.1)).toBeCloseTo(1.5, 12);
  expect(quantile(sorted, 0.9)).toBeCloseTo(24, 12);
  expect(quantile([], 0.5)).toBeNaN();
  expect(quantile([7], 0.99)).toBe(7);
});

test("a summary sorts by number and leaves the samples alone", () => {
  const samples = [10, 9, 100, 1];
  expect(summarise(samples)).toEqual({
    count: 4,
    median: 9.5,
    p10: expect.closeTo(3.4, 10),
    p90: expect.closeTo(73, 10),
    p99: expect.closeTo(97.3, 10),
    min: 1,
    max: 100,
  });
  expect(samples).toEqual([10, 9, 100, 1]);
});
