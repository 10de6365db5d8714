/** No file of lib/ imports itself by way of others, types included: a circle is read, and changed, as one file. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const lib = join(__dirname, "../../lib");

/** What each file imports, or exports again, of the others. */
function importsOf(files: ReadonlyMap<string, string>): Map<string, string[]> {
  return new Map(
    [...files].map(([file, text]) => [
      file,
      [...text.matchAll(/\b(?:from |import\()"(\.[^"]+)\.js"/g)]
        .map(([, path]) => `${join(dirname(file), path!)}.ts`)
        .filter((other) => files.has(other)),
    ]),
  );
}

/** The first way back to where it came from, as the files on it; undefined when there is none. */
function circle(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const walk = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const other of imports.get(file) ?? []) {
      const found = walk(other, [...way, file]);
      if (found !== undefined) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const found = walk(file, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

test("a circle is found, of types and of exports too, and what is no circle is none", () => {
  const files = new Map([
    ["a/one.ts", 'import type { Two } from "../b/two.js";\nimport { three } from "../three.js";'],
    ["b/two.ts", 'export * from "../three.js";'],
    ["three.ts", ""],
  ]);
  expect(circle(importsOf(files))).toBeUndefined();
  files.set("three.ts", 'const load = () => import("./a/one.js");');
  expect(circle(importsOf(files))).toEqual(["a/one.ts", "b/two.ts", "three.ts", "a/one.ts"]);
});

test("lib has none", () => {
  const files = new Map(
    readdirSync(lib, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => [path, readFileSync(join(lib, path), "utf8")]),
  );
  const imports = importsOf(files);
  expect([...imports.values()].flat().length).toBeGreaterThan(500);
  expect(circle(imports)).toBeUndefined();
});
