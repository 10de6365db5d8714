// Two builds in one run: whether they differ by more than noise, which is what a build differs by from itself.
import { summarise } from "../dist/bench/statistics.js";
import { milliseconds, percentLess, ratio } from "./report/figures.mjs";

const middle = (values) => summarise(values).median;
/** A difference under one per cent is not looked at: where the linker puts a loop makes as much. */
const leastNoise = 0.01;

/** How much longer the second took, round by round, as logarithms: neighbours in time, so the machine was the same for both. */
const differences = (first, second) => first.rounds.map((time, round) => Math.log(second.rounds[round] / time));

/** Of the median of `values`; from the median deviation, which single wild rounds do not change (the factors are those of a normal distribution). */
function standardError(values) {
  const centre = middle(values);
  const deviation = 1.4826 * middle(values.map((value) => Math.abs(value - centre)));
  return (1.2533 * deviation) / Math.sqrt(values.length);
}

/**
 * For each case that was measured with this build, this build again and another one (`native`, `native@…`, `native@…`) what the other
 * one's time is beside ours. Noise is what this build differs by from itself, and three standard errors of the less certain difference.
 *
 * @returns {{case: string, own: string, other: string, difference: string, noise: string, verdict: string, met: boolean}[]} `met` is
 *   false when this build is slower by more than noise
 */
export function compared(results) {
  const cases = [...new Set(results.map((one) => one.case))];
  return cases.flatMap((name) => {
    const [own, again, other] = results.filter((one) => one.case === name && one.contender.startsWith("native"));
    if (other === undefined) return [];
    const [self, between] = [differences(own, again), differences(own, other)];
    const noise = Math.max(
      leastNoise,
      Math.abs(middle(self)) + 3 * Math.max(standardError(self), standardError(between)),
    );
    const difference = middle(between);
    const isNoise = Math.abs(difference) <= noise;
    return {
      ...{ case: name, own: milliseconds(middle(own.rounds)), other: milliseconds(middle(other.rounds)) },
      ...{ difference: ratio(Math.exp(difference)), noise: `± ${percentLess(Math.exp(noise), 1).slice(1)}` },
      verdict: isNoise ? "differs by noise" : difference > 0 ? "this build is faster" : "this build is SLOWER",
      met: isNoise || difference > 0,
    };
  });
}
