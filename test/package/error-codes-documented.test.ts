/** docs/error-codes.md has every code that an error or an answer of this package can have, and no other. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { attestationCodes } from "../../lib/attestation/report.js";
import { nativeErrorCodes } from "../../lib/native-error.js";

const root = join(__dirname, "../..");
const page = readFileSync(join(root, "docs/error-codes.md"), "utf8");

/** The codes in the first cells of the tables. */
const documented = [...page.matchAll(/^\| (`[^|]+) *\|/gm)].flatMap(([, cell]) =>
  [...cell!.matchAll(/`([A-Z0-9_]+)`/g)].map(([, code]) => code!),
);

/** The words in capitals that a source gives to an error, or to an answer that is one. */
function codesOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const literals = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) && /^[A-Z]{4}[A-Z_]*$|^[A-Z]+(_[A-Z0-9]+)+$/.test(node.text)) found.push(node.text);
    else if (ts.isConditionalExpression(node)) [node.whenTrue, node.whenFalse].forEach(literals);
    else if (ts.isBinaryExpression(node)) [node.left, node.right].forEach(literals);
  };
  const look = (node: ts.Node): void => {
    const makes = ts.isNewExpression(node) || ts.isCallExpression(node) ? node.expression.getText(source) : "";
    // The first argument of a ConfigurationError is an option.
    if (/Error$|^super$|^errorAnswer$|^refusal$/.test(makes) && makes !== "ConfigurationError") {
      (node as ts.NewExpression | ts.CallExpression).arguments?.forEach(literals);
    }
    if (ts.isParameter(node) && node.initializer !== undefined) literals(node.initializer);
    if ((ts.isPropertyAssignment(node) || ts.isPropertyDeclaration(node)) && node.name.getText(source) === "code") {
      if (node.initializer !== undefined) literals(node.initializer);
    }
    // [Class, code, sentence], by status.
    if (ts.isArrayLiteralExpression(node) && node.elements[0]?.getText(source).endsWith("Error") === true) {
      node.elements.forEach(literals);
    }
    if (ts.isReturnStatement(node) && node.expression !== undefined && file.endsWith("proxy/error-answer.ts")) {
      literals(node.expression);
    }
    ts.forEachChild(node, look);
  };
  look(source);
  return found;
}

const sources = readdirSync(join(root, "lib"), { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".ts") && !name.startsWith("cli/") && !name.startsWith("bench/"));
const inCode = new Set([
  ...nativeErrorCodes,
  ...attestationCodes,
  ...sources.flatMap((name) => codesOf(join(root, "lib", name))),
]);

test("the search finds the codes of each kind", () => {
  expect([...inCode]).toEqual(
    expect.arrayContaining([
      ...["CONFIGURATION", "SECURITY", "MEMORY_LOCK", "KEY_FILES", "RATE_LIMIT", "SERVER_KEY_PIN", "LOCAL_TIMEOUT"],
      ...["PREFLIGHT_AGE", "LOCAL_KEY", "TOO_MANY_REQUESTS", "NOT_SEALED", "ERR_NATIVE_ADDON_NOT_LOADED"],
    ]),
  );
});

test("no code is missing", () => expect([...inCode].filter((code) => !documented.includes(code)).sort()).toEqual([]));

test("none is invented", () => expect(documented.filter((code) => !inCode.has(code))).toEqual([]));

test("each stands in one place", () => {
  expect(documented.filter((code, at) => documented.indexOf(code) !== at)).toEqual([]);
});

test("each has a cause and a remedy", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  expect(
    rows.filter((row) =>
      row
        .split("|")
        .slice(2, -1)
        .some((cell) => cell.trim() === ""),
    ),
  ).toEqual([]);
});
