import { KeyGuesses } from "../../../lib/http/key-guesses.js";

test("sixty at once are answered as such, and one more each second", () => {
  let now = 5_000;
  const guesses = new KeyGuesses(() => now);
  for (let i = 0; i < 60; i += 1) expect(guesses.count()).toBe(0);
  expect(guesses.count()).toBe(1);
  now += 999;
  expect(guesses.count()).toBe(1);
  now += 1;
  expect([guesses.count(), guesses.count()]).toEqual([0, 1]);
});
