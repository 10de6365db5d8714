/**
 * How much of what could be tried is tried. All of it; where `NOMYO_TEST_ROUNDS` says a part of one, that part:
 * scripts/test does so on the lines of Node that are not the machine's own. All tests run there, with fewer cases each.
 */
function part(): number {
  const said = Number(process.env["NOMYO_TEST_ROUNDS"] ?? 1);
  if (!(said > 0 && said <= 1)) throw new Error("NOMYO_TEST_ROUNDS must be above 0, and 1 at most");
  return said;
}

/** How often a random case is tried, of `full` times. A multiple of `of`, for cases that come in kinds. */
export function rounds(full: number, of = 1): number {
  return Math.ceil((full * part()) / of) * of;
}

/** The circumstances in which the same is looked at: the last alone where not all is tried. */
export function circumstancesOf<Circumstance>(all: readonly Circumstance[]): readonly Circumstance[] {
  return part() < 1 ? all.slice(-1) : all;
}
