// npm run build:ts: lib/ into dist/. tsc checks the types and writes declarations and ES modules, one of each for each
// source file; Rollup makes CommonJS of the modules.
//
// Why Rollup: as some fifty files, finding and compiling them was two thirds of the time that `import "nomyo-native"`
// took. So what the package's entry needs is one file, dist/library.js, and what the router and the proxy add to it is
// dist/router/library.js and dist/proxy/library.js. Every source still has a file of its own name, which in these cases
// only re-exports: there is one copy of every class, however it is reached.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import ts from "typescript";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// As in tsconfig.build.json.
const work = join(root, "build", "ts");
const modules = join(work, "modules");
const result = join(work, "dist");

const entry = (name) => join(modules, `${name}.js`);

/**
 * Comments stay in lib/ and in the declarations: reading them was a twentieth of what `import "nomyo-native"` takes.
 */
function withoutComments(code) {
  const { ScriptTarget, ModuleKind } = ts;
  const compilerOptions = { removeComments: true, target: ScriptTarget.ESNext, module: ModuleKind.ESNext };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}

const source = (id) => `lib/${relative(modules, id).replaceAll("\\", "/").replace(/js$/, "ts")}`;

/** The module and all that it imports, at any depth, when it is loaded (`import()` loads later). */
function reachable(id, getModuleInfo, found = new Set()) {
  if (found.has(id)) return found;
  found.add(id);
  for (const imported of getModuleInfo(id).importedIds) reachable(imported, getModuleInfo, found);
  return found;
}

/** Which of the joint files a module is in; in none of them it is a file by itself. */
function jointFile(id, { getModuleInfo }) {
  const holds = (name) => reachable(entry(name), getModuleInfo).has(id);
  // `nomyo-native --help` does without the library, and without the addon, which the library loads.
  if (holds("cli/main")) return undefined;
  // Directly in dist/: lib/native-loader.ts finds the package from the folder that its code is in.
  if (holds("index")) return "library";
  // What both have beside the library is a file by itself.
  const [router, proxy] = [holds("router/index"), holds("proxy/index")];
  if (router && proxy) return undefined;
  if (router) return "router/library";
  if (proxy) return "proxy/library";
  return undefined;
}

/** What users can import, by the names of the sources: `index`, `router/index`. */
function publicEntries() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.values(exports).flatMap((conditions) => {
    const [, name] = /^\.\/dist\/bundler\/(.+)\.mjs$/.exec(conditions.module ?? "") ?? [];
    return name === undefined ? [] : [name];
  });
}

rmSync(work, { recursive: true, force: true });
const tsc = join(root, "node_modules/typescript/bin/tsc");
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });

// Since TypeScript 5.7 typed arrays are generic, and tsc writes it so. This says the same, also to compilers that do
// not know of it.
for (const file of readdirSync(result, { recursive: true }).filter((name) => /\.d\.m?ts$/.test(name))) {
  const text = readFileSync(join(result, file), "utf8");
  const plain = text.replaceAll("Uint8Array<ArrayBuffer>", 'ReturnType<Uint8Array["slice"]>');
  if (plain !== text) writeFileSync(join(result, file), plain);
}

const names = readdirSync(modules, { recursive: true })
  .filter((file) => file.endsWith(".js"))
  .map((file) => file.slice(0, -".js".length).replaceAll("\\", "/"))
  .sort();
const options = {
  external: /^node:/,
  // Every export is somebody's, a test's at least, and every module is whole for those who read it here.
  treeshake: false,
  // At a module's top level; what tsc writes for `using` begins with it.
  context: "this",
  plugins: [
    {
      name: "source-names",
      transform: (code, id) => withoutComments(code).replace(/^(#!.*\n)?/, `$&// ---- ${source(id)}\n`),
    },
  ],
  onLog(level, log, handle) {
    // Sources with nothing but types.
    if (log.code !== "EMPTY_BUNDLE") handle("error", log);
  },
};
const bundle = await rollup({ ...options, input: Object.fromEntries(names.map((name) => [name, entry(name)])) });
const { output } = await bundle.write({
  dir: result,
  format: "cjs",
  exports: "named",
  esModule: true,
  generatedCode: { arrowFunctions: true, constBindings: true, objectShorthand: true },
  hoistTransitiveImports: false,
  manualChunks: jointFile,
  onlyExplicitManualChunks: true,
  chunkFileNames: "[name].js",
});
await bundle.close();
// The entry for `import`. With `export * from "./index.js"` Node would read the text of that file, with a parser that
// takes Node 20 and 22 2 ms to load, to find the names in it.
const { exports } = output.find(({ name }) => name === "index");
writeFileSync(
  join(result, "index.mjs"),
  `// The same objects as for \`require\`.
import { createRequire } from "node:module";
const library = createRequire(import.meta.url)("./index.js");
export const {
${exports.map((name) => `  ${name},\n`).join("")}} = library;
`,
);

// What bundlers take (the condition `module` in package.json): ES modules, so that what they make of them runs, names
// what is wrong, and says how to keep this package out of the bundle. Node never loads them: there is one copy of every
// class.
const entries = publicEntries();
const forBundlers = await rollup({ ...options, input: Object.fromEntries(entries.map((name) => [name, entry(name)])) });
await forBundlers.write({
  dir: join(result, "bundler"),
  format: "es",
  entryFileNames: "[name].mjs",
  chunkFileNames: "[name].mjs",
  generatedCode: { arrowFunctions: true, constBindings: true, objectShorthand: true },
  manualChunks: (id, { getModuleInfo }) => {
    const users = entries.filter((name) => reachable(entry(name), getModuleInfo).has(id));
    return users.length > 1 ? "shared" : undefined;
  },
});
await forBundlers.close();

// At once and last: nothing stale stays, and a build that fails leaves what was there.
rmSync(join(root, "dist"), { recursive: true, force: true });
renameSync(result, join(root, "dist"));
