/**
 * The declarations under every compiler that docs/support.md names, in every way in which it looks for modules, nothing
 * skipped.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, root } from "../support/built-package.js";

const compilers = {
  ...Object.fromEntries(
    /^typescript_lines=\((.*)\)$/m
      .exec(readFileSync(join(root, "scripts/setup"), "utf8"))![1]!
      .split(" ")
      .map((line) => [line, join(root, `.cache/typescript-${line}`)]),
  ),
  own: root,
} as Readonly<Record<string, string>>;

let folder: string;
let declarations: string[];

beforeAll(() => {
  buildPackage();
  folder = mkdtempSync(join(tmpdir(), "nomyo-types-"));
  const installed = join(folder, "node_modules/nomyo-native");
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  cpSync(join(root, "dist"), join(installed, "dist"), { recursive: true });
  mkdirSync(join(folder, "node_modules/@types"));
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
  declarations = readdirSync(join(installed, "dist"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.d\.m?ts$/.test(name))
    .map((name) => join("node_modules/nomyo-native/dist", name));
  const program = `
    import { APIError, SecureBuffer, SecureChatCompletion, createSecureFetch } from "nomyo-native";
    import { getMemoryProtectionInfo } from "nomyo-native";
    import type { ClientOptions } from "nomyo-native";
    import { startProxy } from "nomyo-native/proxy";
    import { startRouter } from "nomyo-native/router";
    export async function main(options: ClientOptions): Promise<string> {
      const router = await startRouter({ port: 0 });
      const client = new SecureChatCompletion({ ...options, baseUrl: router.url, allowHttp: true });
      const answer = await client.create({ model: "m", messages: [{ role: "user", content: SecureBuffer.from("x") }] });
      const stream = await client.create({ model: "m", messages: [], stream: true });
      for await (const chunk of stream) console.log(chunk.choices[0]?.delta.content);
      console.log(typeof createSecureFetch(), getMemoryProtectionInfo().mechanism, new APIError("x", {}).code);
      const proxy = await startProxy({ port: 0 });
      console.log(proxy.baseUrl.length);
      await proxy.close();
      await client.close();
      await router.close();
      // @ts-expect-error: were all of it \`any\`, this would be no mistake
      answer.choices[0]?.message.nothing;
      return answer.choices[0]?.message.content ?? "";
    }`;
  writeFileSync(join(folder, "package.json"), `{ "private": true }`);
  for (const name of ["app.ts", "app.mts", "app.cts"]) writeFileSync(join(folder, name), program);
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
const modes: Readonly<Record<string, readonly string[]>> = {
  node16: ["--module", "node16", "app.mts", "app.cts"],
  nodenext: ["--module", "nodenext", ...strict, "app.mts", "app.cts"],
  bundler: ["--module", "esnext", "--moduleResolution", "bundler", ...strict, "app.ts"],
  "CommonJS without esModuleInterop": [
    "--module",
    "commonjs",
    "--moduleResolution",
    "node10",
    "--esModuleInterop",
    "false",
    "app.ts",
  ],
  "CommonJS with esModuleInterop": [
    "--module",
    "commonjs",
    "--moduleResolution",
    "node10",
    "--esModuleInterop",
    ...strict,
    "app.ts",
  ],
};

const matrix = Object.entries(compilers).flatMap(([compiler, where]) =>
  Object.keys(modes)
    // TypeScript 6 warns of this way, and 7 does not have it. What compiles the package lies between the floor and
    // those.
    .filter((mode) => !(mode.startsWith("CommonJS") && ["6.0", "7.0"].includes(compiler)))
    .filter((mode) => compiler !== "own" || mode === "nodenext")
    .map((mode) => [compiler, mode, where] as const),
);

test("the floor is the one of docs/support.md", () => {
  const [floor] = Object.keys(compilers).sort();
  expect(readFileSync(join(root, "docs/support.md"), "utf8")).toContain(`TypeScript ${floor!}`);
});

test.each(matrix)(
  "TypeScript %s, %s: no complaint about target ES2020 and every declaration",
  (_, mode, where) => {
    const args = [
      "--noEmit",
      "--strict",
      "--skipLibCheck",
      "false",
      "--target",
      "es2020",
      "--lib",
      "es2020",
      "--types",
      "node",
    ];
    const tsc = join(where, "node_modules/typescript/bin/tsc");
    const { stdout, stderr } = spawnSync(process.execPath, [tsc, ...args, ...modes[mode]!, ...declarations], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    // What @types/node wants of a compiler is its own affair.
    const ours = stdout.split("\n").filter((line) => /^(app\.|node_modules\/nomyo-native|error)/.test(line));
    expect(ours).toEqual([]);
  },
  240_000,
);
