/** A map that does not grow for ever. */
import { RecentMap } from "../../../lib/client/recent-map.js";

test("keeps the entries used most recently", () => {
  const map = new RecentMap<number>(3);
  let made = 0;
  const make = (): number => ++made;
  for (const name of ["a", "b", "c", "a", "d"]) map.get(name, make);
  expect(map.size).toBe(3);
  expect(map.get("a", make)).toBe(1);
  expect(map.get("d", make)).toBe(4);
  // "b" was not used for longest when "d" came.
  expect(map.get("b", make)).toBe(5);
  expect(map.size).toBe(3);
});
