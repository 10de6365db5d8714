/**
 * lib/README.md is a map: it shows every folder's every file once, and none that is not there; and each file says what
 * it holds.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const lib = join(__dirname, "../../lib");
const text = readFileSync(join(lib, "README.md"), "utf8");
const folders = readdirSync(lib, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const sources = (folder: string): string[] =>
  readdirSync(join(lib, folder)).filter((file) => file.endsWith(".ts") && !(folder === "" && file === "index.ts"));

/** The first cells of the table under the folder's heading, in their order. */
function rows(folder: string): string[] {
  const start = text.indexOf(`\n### ${folder === "" ? "lib" : folder}:`);
  if (start < 0) throw new Error(`lib/README.md has no heading for ${folder}`);
  const end = text.indexOf("\n#", start + 1);
  const section = text.slice(start, end < 0 ? undefined : end);
  return [...section.matchAll(/^\| `([\w-]+)` +\|/gm)].map(([, name]) => name!);
}

test.each(["", ...folders])("lib/%s: every file once, and nothing else", (folder) => {
  expect(rows(folder).sort()).toEqual(
    sources(folder)
      .map((file) => file.replace(/\.ts$/, ""))
      .sort(),
  );
});

test("there is no heading of a folder that is not there", () => {
  const headings = [...text.matchAll(/^### (\w+):/gm)].map(([, name]) => name);
  expect(headings.sort()).toEqual(["lib", ...folders].sort());
});

test("the picture names only files that are there", () => {
  const [, picture] = /## A prompt's way\n\n```\n([^]*?)```/.exec(text)!;
  const named = [...picture!.matchAll(/\b([a-z]+)\/([a-z-]+)/g)].map(([path]) => path);
  expect(named.length).toBeGreaterThan(5);
  const all = new Set(folders.flatMap((folder) => sources(folder).map((file) => `${folder}/${file}`)));
  expect(named.filter((path) => !all.has(`${path}.ts`))).toEqual([]);
});

test("each file begins with what it holds", () => {
  const mute = ["", ...folders].flatMap((folder) =>
    sources(folder)
      .map((file) => join(folder, file))
      .filter((file) => !/^(#!.*\n)?\/\*\*[ \n]/.test(readFileSync(join(lib, file), "utf8"))),
  );
  expect(mute).toEqual([]);
});
