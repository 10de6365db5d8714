/** Lines end where .editorconfig says, in every kind of source; the formatters are told the same. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryFiles, repositoryRoot as root } from "../support/repository-files.js";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const [, most] = /^\[\*\]\n(?:.*\n)*?max_line_length = (\d+)$/m.exec(read(".editorconfig"))!;
const LONGEST = Number(most);

/** Bytes that somebody else made, or a program, and data. Prose in Markdown is as long as its author's sentences. */
const exempt = /^(docs\/api|test\/vectors|native\/fuzz\/corpus)\/|\.(json|svg|tgz)$|^LICENSE$/;
const files = repositoryFiles().filter((path) => !exempt.test(path));

/** The lines that count: of a document those of its blocks of code. */
function lines(path: string, text: string): [at: number, line: string][] {
  const all = text.split("\n").map((line, index): [number, string] => [index + 1, line]);
  if (!path.endsWith(".md")) return all;
  let inBlock = false;
  return all.filter(([, line]) => {
    const isFence = line.trimStart().startsWith("```");
    if (isFence) inBlock = !inBlock;
    return inBlock && !isFence;
  });
}

/** Too long, but for a single word that nobody can break: an address, a regular expression. */
const tooLong = (line: string): boolean => line.length > LONGEST && !line.split(" ").some((word) => word.length > 90);

test("a line is as long as the formatters make it, and no longer", () => {
  const long = files.flatMap((path) =>
    lines(path, read(path))
      .filter(([, line]) => tooLong(line))
      .map(([at]) => `${path}:${at}`),
  );
  expect(long).toEqual([]);
});

test("what counts is found: code in documents, comments, strings; and not prose or a word alone", () => {
  const line = `${"word ".repeat(24)}end`;
  const document = `${line}\n\n\`\`\`sh\nshort\n${line}\n\`\`\`\n${line}\n`;
  expect(lines("a.md", document).filter(([, text]) => tooLong(text))).toEqual([[5, line]]);
  expect(lines("a.cc", `// ${line}\n`).filter(([, text]) => tooLong(text))).toHaveLength(1);
  expect(tooLong(line.slice(0, LONGEST))).toBe(false);
  expect(tooLong(`see https://example.com/${"a".repeat(100)}`)).toBe(false);
});

test("Prettier and clang-format know the same end of a line", () => {
  expect(JSON.parse(read(".prettierrc.json"))).toMatchObject({ printWidth: LONGEST });
  expect(read(".clang-format")).toContain(`\nColumnLimit: ${LONGEST}\n`);
});

test("no code is left out of the formatters", () => {
  const silenced = files.filter(
    (path) => /\.([cm]?[jt]s|cc|h)$/.test(path) && /prettier-ignore|clang-format off/.test(read(path)),
  );
  expect(silenced).toEqual(["test/package/lines.test.ts"]);
});
