/**
 * Functions end within 60 lines of code, or have a reason: ESLint's rule for JavaScript and TypeScript, and the same
 * for C++, Python and Bash. Tests themselves (`TEST`, as jest's `describe`) are as long as what they tell.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryFiles, repositoryRoot as root } from "../support/repository-files.js";

const LONGEST = 60;
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Found {
  readonly name: string;
  readonly lines: number;
  readonly reason: boolean;
}

/**
 * The functions of a file that clang-format has laid out: a head that ends in `{`, and the first `}` at the head's own
 * indentation. A comment above that begins with `Long:` is a reason.
 */
function functions(source: string): Found[] {
  const lines = source.split("\n");
  const indentOf = (line: string): number => line.length - line.trimStart().length;
  return lines.flatMap((line, at) => {
    if (!/\)( (const|noexcept|override|final|-> .*))* \{$|\) : .*\{$/.test(line)) return [];
    let start = at;
    while (start > 0 && lines[start - 1]!.trim() !== "" && !/[;{}:>]$|^\s*(\/\/|#)/.test(lines[start - 1]!)) start--;
    const head = lines[start]!;
    if (/^\s*(\}|if|for|while|switch|else|do|catch|namespace)\b/.test(head) || head.trim().startsWith("}")) return [];
    const end = lines.findIndex(
      (other, index) => index > at && other.trim() !== "" && indentOf(other) <= indentOf(head),
    );
    const code = lines.slice(start, end + 1).filter((other) => !/^\s*(\/\/.*)?$/.test(other));
    let comment = start - 1;
    while (/^\s*(\/\/|template)/.test(lines[comment] ?? "")) comment--;
    const reason = lines.slice(comment + 1, start).some((other) => /\/\/ Long: ./.test(other));
    return [{ name: head.trim(), lines: code.length, reason }];
  });
}

const body = (lines: number): string => "  Call();\n".repeat(lines);

test("functions of C++ are found, with their lines of code", () => {
  const source =
    `// Says why.\nStatus Short(int a) {\n  // A comment.\n\n${body(3)}}\n\n` +
    `class Room {\n public:\n  Room(int first,\n       int second) : first_(first) {\n    Call();\n  }\n` +
    `  int Look() const override {\n    if (a) {\n      Call();\n    }\n  }\n};\n\n` +
    `// Long: a table, row by row.\nvoid Table() {\n${body(100)}}\n`;
  expect(functions(source)).toEqual([
    { name: "Status Short(int a) {", lines: 5, reason: false },
    { name: "Room(int first,", lines: 4, reason: false },
    { name: "int Look() const override {", lines: 5, reason: false },
    { name: "void Table() {", lines: 102, reason: true },
  ]);
});

test("no function of C++ is longer without a reason, but a test", () => {
  const files = repositoryFiles("native", "test").filter((path) => /\.(cc|h|c)$/.test(path));
  const all = files.flatMap((path) => functions(read(path)).map((one) => ({ path, ...one })));
  const isTest = /^(TEST(_F|_P)?|INSTANTIATE_\w+)\(/;
  expect(all.filter(({ name }) => isTest.test(name)).length).toBeGreaterThan(200);
  const own = all.filter(({ name }) => !isTest.test(name));
  expect(own.length).toBeGreaterThan(900);
  expect(own.filter(({ lines, reason }) => lines > LONGEST && !reason)).toEqual([]);
});

/** The same for what ends where its indentation does (Python's `def`), or at its own brace (Bash). */
function scripted(source: string): Found[] {
  const lines = source.split("\n");
  return lines.flatMap((line, at) => {
    const [, indent, python] = /^(\s*)(?:(?:async )?(def) \w+\(|\w+\(\) [{(]$)/.exec(line) ?? [];
    if (indent === undefined) return [];
    const ends = python === undefined ? new RegExp(`^${indent}[)}]`) : new RegExp(`^ {0,${indent.length}}[^\\s)]`);
    const end = lines.findIndex((other, index) => index > at && ends.test(other));
    const all = lines.slice(at, end < 0 ? undefined : python === undefined ? end + 1 : end);
    const code = all.filter((other) => !/^\s*(#.*)?$/.test(other));
    return [{ name: line.trim(), lines: code.length, reason: /# Long: ./.test(lines[at - 1] ?? "") }];
  });
}

test("functions of Python and Bash are found, with their lines of code", () => {
  expect(scripted("def a(\n    b,\n):\n    # Why.\n    c()\n\n\nclass D:\n    def e(self):\n        f()\n")).toEqual([
    { name: "def a(", lines: 4, reason: false },
    { name: "def e(self):", lines: 2, reason: false },
  ]);
  expect(scripted("g() {\n  if x; then\n    y\n  fi\n}\n# Long: a list.\nh() (\n  z\n)\n")).toEqual([
    { name: "g() {", lines: 5, reason: false },
    { name: "h() (", lines: 3, reason: true },
  ]);
});

test("none of Python or Bash is longer without a reason", () => {
  const files = repositoryFiles("bench", "scripts", "test", ".ci", "deploy", "examples", "docs").filter(
    (path) => path.endsWith(".py") || (!path.endsWith(".md") && /^#!.*\b(ba)?sh\b/.test(read(path).slice(0, 40))),
  );
  const all = files.flatMap((path) => scripted(read(path)).map((one) => ({ path, ...one })));
  expect(all.length).toBeGreaterThan(35);
  expect(all.filter(({ lines, reason }) => lines > LONGEST && !reason)).toEqual([]);
});

test("ESLint refuses a longer one in all JavaScript, and a silencing that silences nothing", () => {
  const long = (lines: number): string => `export function made() {\n${"  globalThis.a;\n".repeat(lines - 2)}}\n`;
  const texts = ["lib/made-up.ts", "scripts/made-up.mjs", "bench/made-up.mjs", "test/support/made-up.ts"].flatMap(
    (path) => [
      [path, long(LONGEST)],
      [path, long(LONGEST + 1)],
      [path, `// eslint-disable-next-line max-lines-per-function -- a reason\n${long(LONGEST)}`],
    ],
  );
  const program = `
    import { ESLint } from "eslint";
    const eslint = new ESLint({
      overrideConfig: { files: ["**/*.ts"], languageOptions: { parserOptions: { projectService: false } } },
      ruleFilter: ({ ruleId }) => ruleId === "max-lines-per-function",
    });
    const results = [];
    for (const [filePath, text] of ${JSON.stringify(texts)}) {
      results.push((await eslint.lintText(text, { filePath }))[0].messages.length);
    }
    console.log(JSON.stringify(results));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: root,
    encoding: "utf8",
  });
  expect(JSON.parse(output)).toEqual(texts.map((_, index) => (index % 3 === 0 ? 0 : 1)));
}, 120_000);

test("a rule is switched off with a reason", () => {
  const silenced = repositoryFiles("lib", "test", "bench", "scripts", "examples")
    .filter((path) => /\.[cm]?[jt]s$/.test(path) && !path.endsWith("functions.test.ts"))
    .flatMap((path) => [...read(path).matchAll(/eslint-disable.*/g)].map(([text]) => `${path}: ${text}`));
  expect(silenced.length).toBeGreaterThan(5);
  expect(silenced.filter((text) => !/ --( |$)/.test(text))).toEqual([]);
});
