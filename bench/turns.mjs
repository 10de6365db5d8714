// Everybody in turns (A B C, B C A, C A B …), so that a machine that grows slower or faster meanwhile does so for all of them.

/**
 * @template S, T
 * @param {S[]} sides
 * @param {(side: S) => Promise<T>} ask
 * @param {() => Promise<void>} [before] each round
 * @returns {Promise<T[][]>} the answers of each side, one for each round
 */
export async function inTurns(rounds, sides, ask, before) {
  const answers = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    await before?.();
    for (let step = 0; step < sides.length; step++) {
      const index = (round + step) % sides.length;
      answers[index].push(await ask(sides[index]));
    }
  }
  return answers;
}
