/** An addon that cannot be loaded: each real cause, made here, is named in one sentence, with what to do. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildPackage, root } from "../support/built-package.js";
import { unprivileged } from "../support/subject.js";

const system = `linux-${process.arch}`;
const prebuilt = `prebuilds/${system}/nomyo-native.glibc.node`;
const major = Number(process.versions.node.split(".")[0]);

let folder: string;
let installed: string;

beforeAll(() => buildPackage(), 600_000);

/** The package as npm installs it: package.json, dist, one prebuilt file. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-loader-"));
  installed = join(folder, "node_modules/nomyo-native");
  cpSync(join(root, "dist"), join(installed, "dist"), { recursive: true });
  cpSync(join(root, "package.json"), join(installed, "package.json"));
  cpSync(join(root, "build/Release/nomyo_native.node"), join(installed, prebuilt));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Failure {
  readonly code: string;
  readonly message: string;
}

const LOAD = `try { require(process.argv[1]); console.log(JSON.stringify({ code: "loaded", message: "" })); }
  catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`;

/** What loading the package says, in a Node with these options. */
function load(options: readonly string[] = [], what = installed, before: readonly string[] = []): Failure {
  const [command, ...args] = [...before, process.execPath, ...options, "-e", LOAD, what];
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8", cwd: folder });
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Failure;
}

/** Replaces bytes of the addon by as many others, everywhere. */
function patch(from: string, to: string): void {
  const file = join(installed, prebuilt);
  const text = readFileSync(file, "latin1");
  expect(text).toContain(from);
  expect(to).toHaveLength(from.length);
  writeFileSync(file, text.replaceAll(from, to), "latin1");
}

const cli = (...args: string[]) =>
  spawnSync(process.execPath, [join(installed, "dist/cli/main.js"), ...args], { encoding: "utf8", cwd: folder });

test("nothing is wrong with the copy of the package", () => {
  expect(load()).toEqual({ code: "loaded", message: "" });
});

test("no file for this system: it and those that there are are named", () => {
  mkdirSync(join(installed, "prebuilds/darwin-arm64"));
  writeFileSync(join(installed, "prebuilds/darwin-arm64/nomyo-native.node"), "");
  renameSync(join(installed, `prebuilds/${system}`), join(installed, "prebuilds/linux-riscv64"));
  const { code, message } = load();
  expect(code).toBe("ERR_NATIVE_ADDON_NOT_LOADED");
  expect(message).toBe(
    `nomyo-native cannot load its native addon (${system} with glibc, Node ${process.version}): this package has no ` +
      "file for " +
      `${system} with glibc, only for macOS (darwin-arm64), linux-riscv64 with glibc. Use one of these ` +
      "(docs/support.md of the package), " +
      "or build it from a clone of its repository with scripts/setup and scripts/build.",
  );
});

test("no file at all: that is what an installation from the repository gives, and a release is named", () => {
  rmSync(join(installed, "prebuilds"), { recursive: true });
  expect(load().message).toMatch(
    /holds no addon at all.*from its repository\. Install a release.*npm install nomyo-native/,
  );
});

test("a clone that is not built says so", () => {
  rmSync(join(installed, "prebuilds"), { recursive: true });
  mkdirSync(join(installed, "scripts"));
  writeFileSync(join(installed, "scripts/build"), "");
  expect(load().message).toMatch(/it is not built\. Run scripts\/setup and scripts\/build/);
});

test("a newer glibc is needed: both versions are named", () => {
  const versions = [...readFileSync(join(installed, prebuilt), "latin1").matchAll(/GLIBC_2\.\d\d/g)];
  const newest = versions
    .map(([version]) => version)
    .sort()
    .at(-1)!;
  patch(newest, newest.replace("GLIBC_2", "GLIBC_9"));
  const { glibcVersionRuntime } = (process.report.getReport() as unknown as { header: { glibcVersionRuntime: string } })
    .header;
  expect(load().message).toContain(
    `: it needs glibc ${newest.replace("GLIBC_2", "9")}, and this system has ${glibcVersionRuntime}. Use a newer ` +
      "system",
  );
});

test("a file for another processor", () => {
  const file = join(installed, prebuilt);
  const bytes = readFileSync(file);
  bytes.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18);
  writeFileSync(file, bytes);
  const other = process.arch === "arm64" ? "x64" : "arm64";
  expect(load().message).toMatch(
    new RegExp(
      `nomyo-native\\.glibc\\.node is for ${other}, and this Node for ${process.arch}\\. .*do not copy node_modules`,
    ),
  );
});

test.each([
  [
    "cut off",
    (bytes: Buffer) => bytes.subarray(0, 40),
    /nomyo-native\.glibc\.node.*Install a release of this package again/,
  ],
  [
    "of Windows",
    (bytes: Buffer) => Buffer.concat([Buffer.from("MZ"), bytes]),
    /is no library of Linux, or damaged\. Install/,
  ],
  ["empty", () => Buffer.alloc(0), /is no library of Linux, or damaged\. Install/],
])("a file that is %s", (_, change, says) => {
  const file = join(installed, prebuilt);
  writeFileSync(file, change(readFileSync(file)));
  expect(load().message).toMatch(says);
});

test("addons that are off are blamed on --no-addons", () => {
  expect(load(["--no-addons"]).message).toMatch(/disabled by Node's option --no-addons\. Run Node without/);
});

const permission = major >= 24 ? "--permission" : "--experimental-permission";

test("--permission without --allow-addons", () => {
  const { message } = load([permission, "--allow-fs-read=*"]);
  expect(message).toMatch(/--permission does not allow addons\. Add --allow-addons/);
  // Node 20 refuses addons under its permission model, whatever is allowed.
  if (major >= 22) expect(load([permission, "--allow-fs-read=*", "--allow-addons"]).code).toBe("loaded");
});

test("code that was copied away from its package is taken for bundled, and the cure is keeping it external", () => {
  const bundle = join(folder, "out/dist");
  mkdirSync(dirname(bundle));
  cpSync(join(installed, "dist"), bundle, { recursive: true });
  const { message } = load([], join(bundle, "index.js"));
  expect(message).toMatch(/a bundler has put the code of nomyo-native into another file/);
  for (const word of ["external", "serverExternalPackages", "docs/bundlers.md"]) expect(message).toContain(word);
});

test("the modules that bundlers take say the same, from wherever they are", () => {
  const module = join(installed, "dist/bundler/index.mjs");
  const program = `import(${JSON.stringify(module)}).catch(({ message }) => console.log(message))`;
  const said = execFileSync(process.execPath, ["-e", program], { encoding: "utf8" });
  expect(said).toMatch(/a bundler has put the code of nomyo-native into another file.*Mark nomyo-native external/);
});

const asRoot = process.getuid?.() === 0;

// A mount namespace of its own, so that nothing of this machine is changed.
const mayMount = asRoot && spawnSync("unshare", ["-m", "true"]).status === 0;
(mayMount ? test : test.skip)("a file system that is mounted noexec", () => {
  const there = join(folder, "no exec");
  mkdirSync(there);
  const script = `mount -t tmpfs -o noexec tmpfs "$0" && cp -r "$1" "$0/package" && shift && exec "$@"`;
  const { message } = load([], join(there, "package"), ["unshare", "-m", "sh", "-c", script, there, installed]);
  expect(message).toContain(
    `is on a file system that is mounted noexec (${there}). Install the package on one that is not`,
  );
});

test("a file that this account may not read", () => {
  chmodSync(folder, 0o755);
  chmodSync(join(installed, prebuilt), asRoot ? 0o600 : 0);
  const node = join(folder, "node");
  cpSync(process.execPath, node, { dereference: true });
  const nobody = [...unprivileged(8 << 20), node, "-e", LOAD, installed];
  const { stdout } = spawnSync(nobody[0]!, nobody.slice(1), { encoding: "utf8", cwd: folder });
  expect((JSON.parse(stdout) as Failure).message).toMatch(/this account may not read .*\. Give it the right to read/);
});

describe("the command line, without the addon", () => {
  beforeEach(() => rmSync(join(installed, "prebuilds"), { recursive: true }));

  test("--help and --version work", () => {
    expect(cli("--help")).toMatchObject({ status: 0, stdout: expect.stringContaining("Usage: nomyo-native COMMAND") });
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(cli("--version")).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("the doctor makes it a finding, for people and for programs", () => {
    const { status, stdout, stderr } = cli("doctor");
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(stdout).toMatch(/PROBLEM {2}Native addon: .*holds no addon at all/);
    expect(stdout).toMatch(/→ Install a release/);
    const json = cli("doctor", "--json");
    expect(json.status).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      requiredMet: false,
      findings: [{ name: "Native addon", state: "problem", next: expect.stringContaining("npm install nomyo-native") }],
    });
  });

  test("the doctor says so too where a mechanism was chosen", () => {
    const said = spawnSync(process.execPath, [join(installed, "dist/cli/main.js"), "doctor"], {
      encoding: "utf8",
      env: { ...process.env, NOMYO_MEMORY_MECHANISM: "mlock" },
    });
    expect(said.stdout).toContain("PROBLEM  Native addon");
  });

  test("every other command fails with the same sentence", () => {
    const { status, stdout, stderr } = cli("keys", "generate");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^nomyo-native: nomyo-native cannot load its native addon .*Install a release/);
  });
});

test("no addon is looked for outside the package", () => {
  // A file with the right name beside Node, in the working folder and above the package loads nothing.
  rmSync(join(installed, "prebuilds"), { recursive: true });
  cpSync(join(root, "build/Release/nomyo_native.node"), join(folder, prebuilt));
  cpSync(join(root, "build/Release/nomyo_native.node"), join(folder, "build/Release/nomyo_native.node"));
  expect(existsSync(join(folder, prebuilt))).toBe(true);
  expect(load().code).toBe("ERR_NATIVE_ADDON_NOT_LOADED");
});
