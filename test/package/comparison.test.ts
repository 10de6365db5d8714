/** The last column of docs/comparison.md, "shown by", names tests that are there; and what is here has one. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");
const rows = readFileSync(join(root, "docs/comparison.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| (?!feature )[^-]/.test(line))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
  .map((cells) => ({ feature: cells[0]!, here: cells[4]!, shownBy: cells[5]! }));

/** A file or folder under test/, of test/integration/client when it has no folder; undefined: none. */
function find(name: string): string | undefined {
  const path = join(root, "test", name.includes("/") ? name : `integration/client/${name}`);
  return [`${path}.test.ts`, `${path}.ts`, path].find((candidate) => existsSync(candidate));
}

/** What is wrong with one cell: `FILE: TITLE, TITLE; FILE, FILE`, with a remark in brackets, or a link. */
function faults(cell: string): string[] {
  // That links lead somewhere is looked at for all pages.
  if (cell === "" || /^\[[^\]]+\]\([^)]+\)$/.test(cell)) return [];
  return cell.split("; ").flatMap((piece) => {
    const [names, titles] = piece.split(": ");
    const found = names!
      .replace(/ \([^)]*\)$/, "")
      .split(", ")
      .map((name) => ({ name, path: find(name) }));
    const missing = found.filter(({ path }) => path === undefined).map(({ name }) => `no test ${name}`);
    if (titles === undefined || missing.length > 0) return missing;
    const path = found[0]!.path!;
    if (statSync(path).isDirectory()) return [`${names} is a folder, which has no titles`];
    const text = readFileSync(path, "utf8");
    return titles
      .split(", ")
      .filter((title) => !text.includes(title))
      .map((title) => `${names} has no title with "${title}"`);
  });
}

test("there are rows to look at, and what is not there is seen", () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(faults("unit/client/retry; errors: a deadline")).toEqual([]);
  expect(faults("unit/client/none, errors: no such title; unit/client: x")).toHaveLength(2);
});

test("every test that is named is there", () => {
  const wrong = rows.flatMap(({ feature, shownBy }) => faults(shownBy).map((fault) => `${feature}: ${fault}`));
  expect(wrong).toEqual([]);
});

test("what is here is shown by a test", () => {
  expect(rows.filter(({ here, shownBy }) => here.startsWith("✓") && shownBy === "")).toEqual([]);
});
