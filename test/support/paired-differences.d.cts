export function differences(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array;
export function signedRank(values: ArrayLike<number>): number;
export function upperTail(z: number): number;
export function medianInterval(
  values: ArrayLike<number>,
  random: () => number,
  draws?: number,
): { readonly median: number; readonly low: number; readonly high: number };
