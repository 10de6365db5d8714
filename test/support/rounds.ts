/**
 * How often a test that tries many random cases does so: `full` times, or a part of that where `NOMYO_TEST_ROUNDS` says
 * so (scripts/test does, on the lines of Node that are not the machine's own: all tests run there, with fewer cases
 * each). Always a multiple of `of`, for cases that come in kinds.
 */
export function rounds(full: number, of = 1): number {
  const part = Number(process.env["NOMYO_TEST_ROUNDS"] ?? 1);
  if (!(part > 0 && part <= 1)) throw new Error("NOMYO_TEST_ROUNDS must be above 0, and 1 at most");
  return Math.ceil((full * part) / of) * of;
}
