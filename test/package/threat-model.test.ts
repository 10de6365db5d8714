/**
 * docs/threat-model.md against the tests: docs/threat-model-tests.md names, for each sentence of it, tests that are
 * there and run, or says why the sentence promises nothing.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const plain = (text: string): string => text.replace(/\s+/g, " ").trim();

const cellsOf = (line: string): string[] => line.split("|").slice(1, -1).map(plain);
const isRow = (line: string): boolean => /^\|(?! ?-)/.test(line) && !/^\| (asset|adversary|words) /.test(line);

/**
 * The sentences, and half sentences, of the threat model: of its tables, its lists and its text; headings and the first
 * lines say nothing.
 */
function sentences(): string[] {
  const blocks: string[] = [];
  const [, ...sections] = read("docs/threat-model.md").split(/^## .*$/m);
  for (const line of sections.join("\n").split("\n")) {
    if (isRow(line)) {
      const cells = cellsOf(line);
      // Of an asset the whole row is one promise, of an adversary each sentence of the outcome.
      blocks.push(cells.length === 3 ? cells.join(": ").replace(/[.;] /g, ", ") : cells.at(-1)!);
    } else if (line.startsWith("|")) continue;
    else if (/^(- |\S)/.test(line)) blocks.push(line.replace(/^- /, ""));
    else if (blocks.length > 0 && line.trim() !== "") blocks.push(`${blocks.pop()!} ${line.trim()}`);
  }
  return blocks
    .flatMap((block) => plain(block).split(/(?<=[.;](?:\*\*)?) /))
    .filter((sentence) => !/^\*\*[^*]*\.\*\*$/.test(sentence));
}

const [, promised = "", unpromised = ""] = read("docs/threat-model-tests.md").split(/^## .*$/m);
const rows = (text: string): [words: string, cell: string][] =>
  text
    .split("\n")
    .filter(isRow)
    .map((line) => [cellsOf(line)[0]!, cellsOf(line)[1]!]);
const promises = rows(promised);
const limits = rows(unpromised);
const words = [...promises, ...limits].map(([phrase]) => phrase);

const inOrder = (sentence: string): string => sentence.replace(/[.;] /g, ", ");

test("every sentence is spoken for", () => {
  expect(sentences().length).toBeGreaterThan(80);
  expect(sentences().filter((sentence) => !words.some((phrase) => sentence.includes(inOrder(phrase))))).toEqual([]);
});

test("no words stand for a sentence that is not there, or for several", () => {
  const found = words.map((phrase) => [phrase, sentences().filter((text) => text.includes(inOrder(phrase))).length]);
  expect(found.filter(([, count]) => count !== 1)).toEqual([]);
});

const listed = execFileSync(process.execPath, [join(root, "node_modules/jest/bin/jest.js"), "--listTests"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .map((path) => path.slice(root.length + 1));

/** What is wrong with the name of a test, or undefined. */
function fault(cell: string): string | undefined {
  const match = /^`([^`]+)` (- )?(?:"(.+)"|(\w+)\.(\w+))$/.exec(cell);
  if (match === null) return "is no file and name";
  const [, path = "", group, title, suite = "", name = ""] = match;
  if (!existsSync(join(root, path))) return "is not there";
  const text = read(path);
  if (title === undefined) {
    if (!/^native\/test\/\w+\/\w+_test\.cc$/.test(path)) return "is not built";
    return new RegExp(`^TEST(_F|_P)?\\(${suite}, ${name}\\)`, "m").test(text) ? undefined : "is not in its file";
  }
  if (!listed.includes(path)) return "is not run";
  const quoted = [`"${title}"`, `\`${title.replaceAll("`", "\\`")}\``, JSON.stringify(title)];
  const at = quoted.map((form) => text.indexOf(form)).find((index) => index >= 0);
  if (at === undefined) return "is not in its file";
  // The call that the title is an argument of: what stands before it, back to the last statement's end.
  const call = text.slice(Math.max(text.lastIndexOf(";\n", at), text.lastIndexOf("{\n", at), 0), at);
  if (/\b(skip|todo|failing)\b/.test(call)) return "is skipped";
  const kind = group === undefined ? /\b(test|it)\b/ : /\bdescribe\b/;
  return kind.test(text.slice(Math.max(0, at - 2_000), at)) ? undefined : "is no test";
}

test.each(promises)("%s: its tests are there, and run", (_words, cell) => {
  const named = cell.split(/; (?=`)/);
  expect(named.map((name) => [name, fault(name)]).filter(([, wrong]) => wrong !== undefined)).toEqual([]);
});

test("names of tests that are not there, or do not run, are found out", () => {
  expect(fault('`test/none.test.ts` "x"')).toBe("is not there");
  expect(fault("`native/test/crypto/rsa_test.cc` RsaOaep.None")).toBe("is not in its file");
  expect(fault('`test/unit/http/api-keys.test.ts` "no such"')).toBe("is not in its file");
  expect(fault('`test/support/subject.ts` "x"')).toBe("is not run");
  expect(fault("somewhere")).toBe("is no file and name");
});

test("what is said to be fuzzed has a target", () => {
  const targets = readdirSync(join(root, "native/fuzz")).filter((name) => name.endsWith("_fuzzer.cc"));
  expect(targets).toEqual(
    expect.arrayContaining(
      ["attestation", "base64", "body", "json", "package", "pem", "pool", "structures", "writer"].map(
        (name) => `${name}_fuzzer.cc`,
      ),
    ),
  );
});
