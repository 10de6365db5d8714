/**
 * Where the addon is looked for: in the package alone. What is said when it is not there, or does not load, has its
 * tests in test/integration/loader-messages.test.ts, from real causes.
 */
import { join } from "node:path";

const root = join(__dirname, "..", "..");
const built = join(root, "build", "Release", "nomyo_native.node");
const prebuilt = (name: string) => join(root, "prebuilds", `${process.platform}-${process.arch}`, name);

/**
 * Loads lib/native.ts anew, on a disk where only `files` are there, each giving what its function returns or throws,
 * and `node`.
 */
function load(
  files: Record<string, () => unknown>,
  node?: string,
): {
  native?: unknown;
  error?: Error & { code?: string };
  asked: string[];
} {
  const asked: string[] = [];
  const closed: number[] = [];
  let outcome: { native?: unknown; error?: Error } = {};
  jest.isolateModules(() => {
    jest.doMock("node:fs", () => ({
      ...jest.requireActual<object>("node:fs"),
      existsSync: (file: string) => {
        asked.push(file);
        return file in files;
      },
      openSync: (file: string) => {
        if (node === undefined || file !== process.execPath) throw new Error("EACCES");
        return 77;
      },
      readSync: (_file: number, buffer: Buffer) => buffer.write(node!, "latin1"),
      closeSync: (file: number) => closed.push(file),
    }));
    for (const [file, content] of Object.entries(files)) jest.doMock(file, content, { virtual: true });
    try {
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- jest.isolateModules waits for no import
      outcome = { native: (require("../../lib/native.js") as { native: unknown }).native };
    } catch (error) {
      outcome = { error: error as Error };
    } finally {
      jest.dontMock("node:fs");
      for (const file of Object.keys(files)) jest.dontMock(file);
    }
  });
  expect(closed).toEqual(node === undefined ? [] : [77]);
  return { ...outcome, asked };
}

const broken = () => {
  throw new Error("wrong ELF class");
};

const former = new Map<string, PropertyDescriptor>();
/** Gives `process` another property until the test's end: both are read-only, so that jest.replaceProperty cannot. */
function replace(name: "platform" | "report", value: unknown): void {
  if (!former.has(name)) former.set(name, Object.getOwnPropertyDescriptor(process, name)!);
  Object.defineProperty(process, name, { value, configurable: true, enumerable: true });
}
afterEach(() => {
  for (const [name, descriptor] of former) Object.defineProperty(process, name, descriptor);
  former.clear();
});

/** Makes `process.report` one of a process with this libc. */
function withReport(header: object, excludeNetwork?: boolean): { excludeNetwork?: boolean; seen: unknown[] } {
  const report: { excludeNetwork?: boolean; seen: unknown[]; getReport: () => unknown } = {
    ...(excludeNetwork === undefined ? {} : { excludeNetwork }),
    seen: [],
    getReport: () => {
      report.seen.push(report.excludeNetwork);
      return { header };
    },
  };
  replace("report", report);
  return report;
}
const onPlatform = (platform: NodeJS.Platform) => replace("platform", platform);

const glibc = { glibcVersionRuntime: "2.36" };

test("a local build is taken, and nothing else looked at", () => {
  onPlatform("linux");
  const report = withReport(glibc);
  const addon = { from: "build" };
  const loaded = load({ [built]: () => addon, [prebuilt("nomyo-native.glibc.node")]: broken });
  expect(loaded).toEqual({ native: addon, asked: [built] });
  expect(report.seen).toEqual([]);
});

test.each<[NodeJS.Platform, object, string]>([
  ["linux", glibc, "nomyo-native.glibc.node"],
  ["linux", {}, "nomyo-native.musl.node"],
  ["darwin", glibc, "nomyo-native.node"],
  ["win32", {}, "nomyo-native.node"],
])("on %s, with a report of %j, the prebuilt file is %s", (platform, header, name) => {
  onPlatform(platform);
  withReport(header);
  const addon = { from: name };
  expect(load({ [prebuilt(name)]: () => addon })).toEqual({ native: addon, asked: [built, prebuilt(name)] });
});

test.each<[string, string, number]>([
  ["\0\0/lib64/ld-linux-x86-64.so.2\0", "nomyo-native.glibc.node", 0],
  ["\0\0/lib/ld-linux-aarch64.so.1\0", "nomyo-native.glibc.node", 0],
  ["\0\0/lib/ld-musl-x86_64.so.1\0", "nomyo-native.musl.node", 0],
  // Linked statically, or a linker of another name: the report knows.
  ["\0\0/lib/ld64.so.1\0", "nomyo-native.musl.node", 1],
])("on Linux, with %j at the beginning of Node's file, the prebuilt file is %s", (linker, name, reports) => {
  onPlatform("linux");
  const report = withReport({});
  const addon = { from: name };
  const head = `\x7fELF${"\0".repeat(700)}${linker}`;
  expect(load({ [prebuilt(name)]: () => addon }, head)).toEqual({ native: addon, asked: [built, prebuilt(name)] });
  expect(report.seen).toHaveLength(reports);
});

test.each([[false], [undefined]])("host names are not looked up; excludeNetwork was %s", (before) => {
  onPlatform("linux");
  const report = withReport(glibc, before);
  load({});
  expect(new Set(report.seen)).toEqual(new Set([true]));
  // Where Node has the setting it is as it was; where it has not, there was nothing to restore.
  expect(report.excludeNetwork).toBe(before ?? true);
});

test("a build that cannot be loaded gives way to the prebuilt file", () => {
  onPlatform("linux");
  withReport(glibc);
  const addon = { from: "prebuilds" };
  const loaded = load({ [built]: broken, [prebuilt("nomyo-native.glibc.node")]: () => addon });
  expect(loaded.native).toBe(addon);
});

test("when none can be loaded, the error has a code, and what the system said as its cause", () => {
  onPlatform("linux");
  withReport({});
  const { error } = load({ [prebuilt("nomyo-native.musl.node")]: broken });
  expect(error).toMatchObject({ code: "ERR_NATIVE_ADDON_NOT_LOADED", cause: { message: "wrong ELF class" } });
  expect(error!.message).toContain(`(linux-${process.arch} with musl, Node ${process.version})`);
});

test("the addon that is loaded here is the package's own", () => {
  const real = jest.requireActual<{ native: { getBuildInfo(): { version: string } } }>("../../lib/native.js");
  const { version } = jest.requireActual<{ version: string }>("../../package.json");
  expect(real.native.getBuildInfo().version).toBe(version);
});
