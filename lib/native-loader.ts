/**
 * Finds the addon's file and loads it; where that fails, finds out why, and says it in one sentence with the cure.
 *
 * What is looked at on the way to an addon that loads is little, since every `import` pays for it. What explains a
 * failure may read whole files.
 */
import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

const PACKAGE = "nomyo-native";

/** Why there is no addon. Everything else of the package needs it, so this has no class that users could import. */
export class AddonNotLoadedError extends Error {
  readonly code = "ERR_NATIVE_ADDON_NOT_LOADED";
  override readonly name = "AddonNotLoadedError";
  /** What stands in the way, as a part of a sentence. */
  readonly found: string;
  /** What to do, as a sentence. */
  readonly next: string;

  constructor({ found, next, cause }: Explanation) {
    const here = `${systemName()}, Node ${process.version}`;
    super(`${PACKAGE} cannot load its native addon (${here}): ${found}. ${next}`, cause === undefined ? {} : { cause });
    this.found = found;
    this.next = next;
  }
}

interface Explanation {
  readonly found: string;
  readonly next: string;
  readonly cause?: unknown;
}

/** The libc of this process, in prebuildify's words; empty where the question does not arise. */
function libcTag(): string {
  if (process.platform !== "linux") return "";
  return libcOfLinker() ?? (glibcVersion() === undefined ? "musl" : "glibc");
}

/** From the name of the dynamic linker, which stands near the beginning of Node's own file: the report takes 4 ms. */
function libcOfLinker(): string | undefined {
  try {
    const file = openSync(process.execPath, "r");
    try {
      const head = Buffer.alloc(4 * 1024);
      readSync(file, head, 0, head.length, 0);
      const name = /\/ld-(linux|musl)-/.exec(head.toString("latin1"))?.[1];
      return name === "linux" ? "glibc" : name;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

/** The glibc that runs; undefined where there is another libc. */
function glibcVersion(): string | undefined {
  const report = process.report as { excludeNetwork?: boolean } & typeof process.report;
  // Without this the report looks up host names of open sockets: slow, and none of our business.
  const former = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    return (report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime;
  } finally {
    if (former !== undefined) report.excludeNetwork = former;
  }
}

/** Where the package is: its code stands in `lib/` or `dist/`. Undefined in ES modules: only bundlers make them. */
const ROOT = typeof __dirname === "string" ? join(__dirname, "..") : undefined;

/** The result of a local build. */
const built = (root: string): string => join(root, "build", "Release", "nomyo_native.node");

/** The file of a release. Asked for second: finding out about the libc can cost some milliseconds. */
function prebuilt(root: string): string {
  const libc = libcTag();
  const name = libc === "" ? `${PACKAGE}.node` : `${PACKAGE}.${libc}.node`;
  return join(root, "prebuilds", `${process.platform}-${process.arch}`, name);
}

/**
 * Finds the addon inside this package only: the result of a local build, else the prebuilt file for this platform,
 * architecture and libc. No environment variable and no folder outside the package is looked at, since both are ways to
 * load foreign code. Throws an {@link AddonNotLoadedError}.
 */
export function loadAddon(): unknown {
  if (ROOT === undefined) throw new AddonNotLoadedError(bundled());
  let failed: { file: string; error: unknown } | undefined;
  for (const place of [built, prebuilt]) {
    const file = place(ROOT);
    if (!existsSync(file)) continue;
    try {
      // Not `require`: where this code was bundled there may be none, or one that knows only Node's own modules.
      return createRequire(file)(file);
    } catch (error) {
      // The prebuilt file is what users have; a local build only counts where there is nothing else.
      failed = { file, error };
    }
  }
  throw new AddonNotLoadedError(failed === undefined ? missing(ROOT) : notLoadable(failed.file, failed.error));
}

const FROM_CLONE = "build it from a clone of its repository with scripts/setup and scripts/build";

/** This system as a person calls it: `linux-x64 with glibc`, `macOS (darwin-arm64)`. */
function systemName(): string {
  const name = nameOf(`${process.platform}-${process.arch}`);
  const libc = libcTag();
  return libc === "" ? name : `${name} with ${libc}`;
}

function nameOf(folder: string): string {
  if (folder.startsWith("darwin-")) return `macOS (${folder})`;
  if (folder.startsWith("win32-")) return `Windows (${folder})`;
  return folder;
}

/** For which systems this package has a file. */
function available(root: string): string[] {
  const folder = join(root, "prebuilds");
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((system) =>
    readdirSync(join(folder, system))
      .filter((file) => file.endsWith(".node"))
      .map((file) => {
        const [, libc] = /\.(\w+)\.node$/.exec(file) ?? [];
        return libc === undefined ? nameOf(system) : `${nameOf(system)} with ${libc}`;
      }),
  );
}

/** Whether the folder is this package's: its code may have been copied into somebody else's. */
function isPackage(root: string): boolean {
  const manifest = join(root, "package.json");
  if (!existsSync(manifest)) return false;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { name?: unknown } | null)?.name === PACKAGE;
}

function bundled(): Explanation {
  return {
    found: `a bundler has put the code of ${PACKAGE} into another file, away from the addon`,
    next:
      `Mark ${PACKAGE} external and install it beside the bundle: \`--external:${PACKAGE}\` for esbuild, ` +
      `\`externals\` for webpack, ` +
      "`external` for Rollup, `ssr.external` for Vite, `serverExternalPackages` for Next.js (docs/bundlers.md has " +
      "the recipes).",
  };
}

/** No file: for this system, or at all. */
function missing(root: string): Explanation {
  let there: readonly string[];
  let own: boolean;
  try {
    there = available(root);
    own = isPackage(root);
  } catch (cause) {
    return {
      found: `the package's folder cannot be read (${messageOf(cause)})`,
      next: "Give this account the right to read all of it; where Node runs with --permission, by --allow-fs-read.",
      cause,
    };
  }
  if (there.length > 0) {
    const musl = libcTag() === "musl" ? "Alpine and other systems with musl are not supported yet. " : "";
    return {
      found: `this package has no file for ${systemName()}, only for ${there.join(", ")}`,
      next: `${musl}Use one of these (docs/support.md of the package), or ${FROM_CLONE}.`,
    };
  }
  if (!own) return bundled();
  return existsSync(join(root, "scripts", "build"))
    ? { found: "it is not built", next: "Run scripts/setup and scripts/build in this clone." }
    : {
        found: "this package holds no addon at all, which is so when it was installed from its repository",
        next: `Install a release from the registry (\`npm install ${PACKAGE}\`), or ${FROM_CLONE}.`,
      };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether Node runs with --permission; older types do not know it. */
const hasPermissions = (): boolean => (process as { permission?: unknown }).permission !== undefined;

/** A file is there, and does not load. */
function notLoadable(file: string, cause: unknown): Explanation {
  const said = messageOf(cause);
  if ((cause as { code?: unknown } | null)?.code === "ERR_DLOPEN_DISABLED") {
    return hasPermissions()
      ? {
          found: "Node's option --permission does not allow addons",
          next: "Add --allow-addons to Node's options.",
          cause,
        }
      : {
          found: "addons are disabled by Node's option --no-addons",
          next: "Run Node without --no-addons (look at NODE_OPTIONS, and at execArgv of worker threads too).",
          cause,
        };
  }
  return {
    ...(unreadable(file) ?? foreign(file) ?? tooNew(file, said) ?? unmappable(file, said) ?? other(file, said)),
    cause,
  };
}

function unreadable(file: string): Explanation | undefined {
  try {
    accessSync(file, constants.R_OK);
    return undefined;
  } catch {
    return {
      found: `this account may not read ${file}`,
      next: "Give it the right to read the package's folder and all that is in it.",
    };
  }
}

/** The machines of ELF that Node runs on, by the number that a file's header has (System V ABI, e_machine). */
const MACHINES: Readonly<Record<number, string>> = {
  3: "ia32",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};

/** A file for another processor, or none that the system could load: damaged, or of another system. */
function foreign(file: string): Explanation | undefined {
  if (process.platform !== "linux") return undefined;
  const head = readFileSync(file).subarray(0, 20);
  if (head.length < 20 || head.readUInt32BE(0) !== 0x7f454c46) {
    return { found: `${file} is no library of Linux, or damaged`, next: "Install the package again." };
  }
  // EI_DATA: 1 is little-endian, 2 big-endian.
  const number = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
  const machine = MACHINES[number] ?? `another processor (ELF machine ${number})`;
  if (machine === process.arch) return undefined;
  return {
    found: `${file} is for ${machine}, and this Node for ${process.arch}`,
    next:
      "Install the package again on the machine and with the Node that it runs with; do not copy node_modules " +
      "from another.",
  };
}

/** It wants a newer glibc. */
function tooNew(file: string, said: string): Explanation | undefined {
  if (!/version [`']GLIBC_[\d.]+' not found/.test(said)) return undefined;
  // The message names one version, the file all.
  const wanted = [...readFileSync(file, "latin1").matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(
    ([, major, minor]): readonly [number, number] => [Number(major), Number(minor)],
  );
  const newest = wanted.reduce((best, next) => ((next[0] - best[0] || next[1] - best[1]) > 0 ? next : best), [0, 0]);
  return {
    found: `it needs glibc ${newest.join(".")}, and this system has ${glibcVersion() ?? "another libc"}`,
    next: `Use a newer system (docs/support.md of the package), or ${FROM_CLONE} on this one.`,
  };
}

/** The kernel did not map it as code. */
function unmappable(file: string, said: string): Explanation | undefined {
  if (!said.includes("failed to map segment")) return undefined;
  const mount = mountOf(file);
  if (mount?.options.includes("noexec") === true) {
    return {
      found: `${file} is on a file system that is mounted noexec (${mount.point})`,
      next: "Install the package on one that is not, or mount it with exec.",
    };
  }
  return {
    found: `the system does not let this process run code from ${file} (${said})`,
    next:
      "Look at what its security module says (SELinux, AppArmor, fapolicyd), and at the limit of its address " +
      "space.",
  };
}

/** The mount that a file is on; undefined where that cannot be told. */
function mountOf(file: string): { point: string; options: string[] } | undefined {
  let mounts: string;
  try {
    mounts = readFileSync("/proc/self/mounts", "utf8");
  } catch {
    return undefined; // no /proc
  }
  let found: { point: string; options: string[] } | undefined;
  for (const line of mounts.split("\n")) {
    const [, written = "", , options = ""] = line.split(" ");
    const point = written.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    const within = point === "/" || file === point || file.startsWith(`${point}/`);
    // A later mount on the same folder hides the former.
    if (point !== "" && within && point.length >= (found?.point.length ?? 0))
      found = { point, options: options.split(",") };
  }
  return found;
}

function other(file: string, said: string): Explanation {
  return {
    // The loader's message begins with the file's name, as a rule.
    found: said.includes(basename(dirname(file))) ? said : `${file}: ${said}`,
    next: `Install a release of this package again, or ${FROM_CLONE}.`,
  };
}
