/** The word that somebody probably meant. What he wrote is compared, and never shown: it may have been a secret. */

/** Nothing that is longer is a mistyped name. */
const LONGEST = 64;

/** ` Did you mean "require"?`, or nothing where no candidate is near. */
export function didYouMean(given: unknown, candidates: readonly string[], quote = '"'): string {
  const meant = nearest(given, candidates);
  return meant === undefined ? "" : ` Did you mean ${quote}${meant}${quote}?`;
}

/**
 * The candidate that is nearest to `given`: the same but for case and separators, or begun or continued by it, or at
 * most one typing mistake (a character left out, added, changed, or two swapped) for each three characters away.
 */
export function nearest(given: unknown, candidates: readonly string[]): string | undefined {
  if (typeof given !== "string" || given.length > LONGEST) return undefined;
  const word = plain(given);
  if (word.length < 2) return undefined;
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of candidates) {
    const other = plain(candidate);
    const shorter = Math.min(word.length, other.length);
    const isPart = shorter >= 3 && (other.startsWith(word) || word.startsWith(other));
    const mistakes = isPart ? Math.min(1, Math.abs(other.length - word.length)) : distance(word, other);
    if (mistakes > Math.max(1, Math.floor(shorter / 3)) || mistakes >= least) continue;
    best = candidate;
    least = mistakes;
  }
  return best;
}

/** Without what people forget: case, hyphens, underscores. One by one, since a regular expression keeps it. */
function plain(text: string): string {
  let out = "";
  for (const character of text.toLowerCase()) if (character !== "-" && character !== "_") out += character;
  return out;
}

/** Levenshtein's distance, and swapped neighbours as one mistake. */
function distance(one: string, other: string): number {
  let before: number[] = [];
  let above = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row++) {
    const here = [row];
    for (let at = 1; at <= other.length; at++) {
      const same = one[row - 1] === other[at - 1];
      let least = Math.min(
        (above[at] ?? Infinity) + 1,
        (here[at - 1] ?? Infinity) + 1,
        (above[at - 1] ?? Infinity) + (same ? 0 : 1),
      );
      if (at > 1 && row > 1 && one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1]) {
        least = Math.min(least, (before[at - 2] ?? Infinity) + 1);
      }
      here.push(least);
    }
    before = above;
    above = here;
  }
  return above[other.length] ?? Infinity;
}
