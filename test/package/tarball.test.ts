/**
 * The package as users get it: packed, installed elsewhere, on every supported Node line, by `import` and `require`.
 */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { repositoryFiles, repositoryRoot as root } from "../support/repository-files.js";

const nodes = [
  process.execPath,
  ...(existsSync(join(root, ".cache"))
    ? readdirSync(join(root, ".cache"))
        .filter((name) => name.startsWith("node-"))
        .map((name) => join(root, ".cache", name, `node_modules/node-linux-${process.arch}/bin/node`))
    : []),
];

let folder: string;
let source: string;
let tarball: string;
let app: string;
let files: string[];

const run = (command: string, args: string[], cwd: string) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 64 << 20 });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-package-"));
  source = join(folder, "source");
  app = join(folder, "app");
  // A copy of the tree, because packing makes dist/ and prebuilds/ anew, which other tests are using.
  for (const file of repositoryFiles()) {
    mkdirSync(dirname(join(source, file)), { recursive: true });
    cpSync(join(root, file), join(source, file));
  }
  symlinkSync(join(root, "node_modules"), join(source, "node_modules"));
  // The addon is what scripts/build has made: to compile it once more took minutes, and gave the same.
  run("scripts/prebuild", ["--try", join(root, "build/Release/nomyo_native.node")], source);
  tarball = readdirSync(source).find((name) => name.endsWith(".tgz"))!;
  files = run("tar", ["tzf", tarball], source)
    .trim()
    .split("\n")
    .map((name) => name.replace(/^package\//, ""));
  // Where scripts/test has it tried by package managers.
  cpSync(join(source, tarball), join(root, "build/package", tarball));
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ private: true }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(source, tarball)], app);
}, 600_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** As scripts/build-ts.mjs makes them, beside a file for each source. */
const joint = ["dist/library.js", "dist/router/library.js", "dist/proxy/library.js", "dist/bundler/shared.mjs"];
const text = (name: string): string => readFileSync(join(app, "node_modules/nomyo-native", name), "latin1");
const manifest = (): Record<string, unknown> => JSON.parse(text("package.json")) as Record<string, unknown>;

describe("the tarball", () => {
  test("holds what `files` says, which is this", () => {
    expect(manifest()["files"]).toEqual([
      "dist",
      "docs/*.md",
      "prebuilds/*/*.node",
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "SECURITY.md",
      "SHA256SUMS",
      "THIRD-PARTY-NOTICES.md",
      "sbom.cdx.json",
    ]);
    // The sums and the bill of materials are those of a release (scripts/check-release looks for them): `--try` makes
    // neither.
    const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
    expect(files.filter((name) => !name.startsWith("dist/")).sort()).toEqual(
      [
        ...["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "THIRD-PARTY-NOTICES.md", "package.json"],
        ...pages.map((name) => `docs/${name}`),
        `prebuilds/${process.platform}-${process.arch}/nomyo-native.glibc.node`,
      ].sort(),
    );
  });

  test("has JavaScript and declarations for each source file, what is loaded together, and bundlers' modules", () => {
    const compiled = files.filter((name) => name.startsWith("dist/"));
    const expected = repositoryFiles("lib").flatMap((name) => {
      if (name === "lib/README.md") return [];
      const [, path, m] = /^lib\/(.*)\.(m?)ts$/.exec(name)!;
      return [`dist/${path}.${m}js`, `dist/${path}.d.${m}ts`];
    });
    const exported = Object.values(manifest()["exports"] as Record<string, { module?: string }>);
    const modules = exported.flatMap(({ module }) => (module === undefined ? [] : [module.slice("./".length)]));
    expect(modules.length).toBeGreaterThanOrEqual(3);
    expect(compiled.sort()).toEqual([...expected, ...modules, ...joint].sort());
  });

  test("holds nothing that node-gyp, cmake or a bundler's map would look for", () => {
    expect(files.filter((name) => /binding\.gyp|CMake|\.(cc|h|map|debug|pem|key|env|npmrc)$/i.test(name))).toEqual([]);
  });

  test.each(["the checkout", "home", "node_modules", "a private key", "a source map"])(
    "no file names or holds %s",
    (what) => {
      const forms: Readonly<Record<string, RegExp>> = {
        // The tree that the tarball was made in, the one that it was copied from, and where compilers were called.
        "the checkout": new RegExp([source, root, folder].map((path) => path.replace(/[.+]/g, "\\$&")).join("|")),
        // In documents stand examples: what a user of the package would call his own.
        home: /\/(home|Users|root)\/[\w.-]+\/[\w.-]/,
        node_modules: /\/[\w.-]+\/node_modules\//,
        "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----\r?\n[A-Za-z0-9+/]{40}/,
        "a source map": /sourceMappingURL=/,
      };
      const documents = ["home", "node_modules"].includes(what);
      const looked = files.filter((name) => !(documents && name.endsWith(".md")));
      expect(looked.length).toBeGreaterThan(100);
      expect(looked.filter((name) => forms[what]!.test(text(name)))).toEqual([]);
    },
  );

  test("is for the systems that it has a file for, and no others", () => {
    expect(manifest()).toMatchObject({ os: ["linux"], cpu: [process.arch], libc: ["glibc"] });
    expect(manifest()).not.toHaveProperty("devDependencies");
    expect(manifest()).not.toHaveProperty("scripts");
    expect(manifest()).not.toHaveProperty("gypfile");
  });

  test("every link of its README works where the README stands alone", () => {
    const page = text("README.md");
    const targets = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(" ", "-"),
    );
    expect(targets.filter((to) => !to.startsWith("https://") && !headings.includes(to.replace(/^#/, "")))).toEqual([]);
    // What it names instead is in the package.
    const named = [...page.matchAll(/\(`([\w./-]+\.md)`\)|(?<=\s)`(docs\/[\w-]+\.md)`/g)].map((m) => m[1] ?? m[2]!);
    expect(named.length + targets.length).toBeGreaterThan(10);
    const elsewhere = /^(CONTRIBUTING\.md|native\/README\.md|docs\/(api|decisions)\/README\.md)$/;
    expect(named.filter((name) => !files.includes(name) && !elsewhere.test(name))).toEqual([]);
  });

  test("publint finds nothing to say", () => {
    // A process of its own: it is an ES module, which jest loads on the newest lines of Node alone.
    const look = `import { publint } from "publint";
      const { messages } = await publint({ pkgDir: process.argv[1], strict: true, pack: false });
      console.log(JSON.stringify(messages.filter(({ type }) => type !== "suggestion")));`;
    const args = ["--input-type=module", "--eval", look, join(app, "node_modules/nomyo-native")];
    expect(JSON.parse(run(process.execPath, args, root))).toEqual([]);
  });

  test("are the types wrong? No, in no way of looking for modules", () => {
    const attw = join(root, "node_modules/@arethetypeswrong/cli/dist/index.js");
    const args = [attw, tarball, "--format", "json", "--no-definitely-typed"];
    const { problems, analysis } = JSON.parse(run(process.execPath, args, source)) as Record<string, unknown>;
    expect(problems ?? (analysis as { problems: unknown[] }).problems).toEqual({});
  });

  test("runs no install script and has no runtime dependency", () => {
    expect(manifest()).not.toHaveProperty("dependencies");
    expect(readdirSync(join(app, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["nomyo-native"]);
  });

  test("Node lines to test on are there", () => {
    expect(nodes.length).toBeGreaterThanOrEqual(4);
  });

  describe.each(nodes)("on %s", (node) => {
    test("import and require give the same names and the same classes", () => {
      writeFileSync(
        join(app, "same.mjs"),
        `import * as esm from "nomyo-native";
         import { createRequire } from "node:module";
         const cjs = createRequire(import.meta.url)("nomyo-native");
         const nodes = ["default", "module.exports", "__esModule"];
         const names = (o) => Object.keys(o).filter((k) => !nodes.includes(k)).sort();
         const differ = names(cjs).filter((k) => esm[k] !== cjs[k]);
         console.log(JSON.stringify({ esm: names(esm), cjs: names(cjs), differ }));`,
      );
      const { esm, cjs, differ } = JSON.parse(run(node, ["same.mjs"], app)) as Record<string, string[]>;
      expect(esm).toEqual(cjs);
      expect(differ).toEqual([]);
      expect(cjs).toEqual(expect.arrayContaining(["SecureChatCompletion", "SecureCompletionClient", "SecureBuffer"]));
    });

    test.each(["import", "require"])("%s loads few files, and nothing of Node's that takes long", (how) => {
      const load = how === "import" ? 'await import("nomyo-native")' : 'require("nomyo-native")';
      writeFileSync(
        join(app, "loads.mjs"),
        `import { createRequire } from "node:module";
         const require = createRequire(import.meta.url);
         const before = new Set(process.moduleLoadList);
         ${load};
         const builtins = process.moduleLoadList.filter((name) => !before.has(name));
         console.log(JSON.stringify({ files: Object.keys(require.cache), builtins }));`,
      );
      const loaded = JSON.parse(run(node, ["loads.mjs"], app)) as Record<"files" | "builtins", string[]>;
      const own = join(realpathSync(app), "node_modules/nomyo-native/");
      expect(loaded.files.map((file) => file.replace(own, "")).sort()).toEqual([
        "dist/errors.js",
        "dist/index.js",
        "dist/library.js",
        "dist/nearest.js", // with errors.js what the command line needs too, which loads no library
        `prebuilds/${process.platform}-${process.arch}/nomyo-native.glibc.node`,
      ]);
      const slow = ["crypto", "http", "https", "net", "tls", "worker_threads"].map((name) => `NativeModule ${name}`);
      expect(loaded.builtins.filter((name) => slow.includes(name))).toEqual([]);
    });

    test("a class is the same in every file that exports it", () => {
      writeFileSync(
        join(app, "classes.cjs"),
        `const library = require("nomyo-native");
         const { createRequire } = require("node:module");
         const inside = createRequire(require.resolve("nomyo-native"));
         const { startRouter } = require("nomyo-native/router");
         startRouter({ port: -1 }).catch((error) =>
           console.log(JSON.stringify([
             error instanceof library.ConfigurationError,
             inside("./errors.js").NomyoError === library.NomyoError,
             inside("./memory/secure-buffer.js").SecureBuffer === library.SecureBuffer,
             inside("./router/index.js").startRouter === startRouter,
           ])));`,
      );
      expect(JSON.parse(run(node, ["classes.cjs"], app))).toEqual([true, true, true, true]);
    });

    test("a request goes through the local router, sealed and opened", () => {
      writeFileSync(
        join(app, "request.cjs"),
        `const { SecureChatCompletion } = require("nomyo-native");
         const { startRouter } = require("nomyo-native/router");
         (async () => {
           const router = await startRouter({ port: 0 });
           const client = new SecureChatCompletion({ baseUrl: router.url, allowHttp: true, attestation: "off" });
           const answer = await client.create({ model: "echo", messages: [{ role: "user", content: "grüß 👋" }] });
           console.log(JSON.stringify(answer.choices[0].message.content));
           await client.close();
           await router.close();
         })();`,
      );
      expect(run(node, ["request.cjs"], app)).toMatch(/grüß 👋/);
    });
  });

  test("its types serve import and require", () => {
    const program = `new SecureChatCompletion({ apiKey: "k" })
      .create({ model: "m", messages: [{ role: "user", content: "x" }] })
      .then((answer) => answer.choices[0]?.message.content satisfies string | null | undefined);\n`;
    writeFileSync(join(app, "types.mts"), `import { SecureChatCompletion } from "nomyo-native";\n${program}`);
    writeFileSync(join(app, "types.cts"), `import { SecureChatCompletion } from "nomyo-native";\n${program}`);
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const flags = [
      "--noEmit",
      "--strict",
      "--target",
      "es2022",
      "--lib",
      "es2023,esnext.disposable",
      "--skipLibCheck",
      "false",
    ];
    const types = ["--module", "nodenext", "--types", "node", "--typeRoots", join(root, "node_modules/@types")];
    run(process.execPath, [tsc, ...flags, ...types, "types.mts", "types.cts"], app);
  });

  test("the command line is installed and knows its version", () => {
    const { version } = JSON.parse(
      run("node", ["-p", "JSON.stringify(require('nomyo-native/package.json'))"], app),
    ) as {
      version: string;
    };
    expect(run(join(app, "node_modules/.bin/nomyo-native"), ["--version"], app)).toContain(version);
  });
});
