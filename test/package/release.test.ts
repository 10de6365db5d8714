/** What a release is looked at by: the checks of an addon, its bill of materials, the notices, and the workflows. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "../..");
const text = (path: string): string => readFileSync(join(root, path), "utf8");

/** The value of an expression in a module of scripts/, which are ES modules. */
const evaluate = (script: string, expression: string): unknown =>
  JSON.parse(
    execFileSync(
      process.execPath,
      [
        "--input-type=module",
        "-e",
        `import * as script from ${JSON.stringify(join(root, "scripts", script))};
         console.log(JSON.stringify(${expression}));`,
      ],
      { encoding: "utf8" },
    ),
  );

const fit = {
  symbols: [
    "   Num:    Value          Size Type    Bind   Vis      Ndx Name",
    "     1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND free@GLIBC_2.2.5 (2)",
    "     2: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND fcntl64@GLIBC_2.28 (3)",
    "     3: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND napi_create_error",
    "     4: 0000000000000000     0 NOTYPE  WEAK   DEFAULT  UND __gmon_start__",
    "     5: 0000000000001000    10 FUNC    GLOBAL DEFAULT   12 napi_register_module_v1",
  ].join("\n"),
  dynamic: " 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]\n",
  header: "  Machine:                           Advanced Micro Devices X86-64\n",
  bytes: "\0OpenSSL 3.5.9 1 Jan 2026\0-----BEGIN PRIVATE KEY-----\0",
  opensslPackage: "3.5.9-1~deb13u1",
  machine: "X86-64",
  privatePaths: ["/work/somewhere"],
};
const complaints = (changed: Partial<typeof fit>): string[] =>
  evaluate("check-prebuild.mjs", `script.complaints(${JSON.stringify({ ...fit, ...changed })})`) as string[];

describe("a prebuilt addon", () => {
  test("that is fit gets no complaint", () => {
    expect(complaints({})).toEqual([]);
  });

  test.each([
    ["a newer glibc", { symbols: fit.symbols.replace("GLIBC_2.28", "GLIBC_2.29") }, /fcntl64 needs glibc 2\.29/],
    ["glibc's next major version", { symbols: fit.symbols.replace("GLIBC_2.28", "GLIBC_3.0") }, /needs glibc 3\.0/],
    ["a symbol of nobody", { symbols: fit.symbols.replace("napi_create_error", "ZSTD_isError") }, /ZSTD_isError/],
    ["libstdc++'s symbols", { symbols: fit.symbols.replace("free@GLIBC_2.2.5", "_Znwm@GLIBCXX_3.4") }, /libstdc\+\+/],
    [
      "libstdc++ itself",
      { dynamic: `${fit.dynamic}(NEEDED) Shared library: [libstdc++.so.6]\n` },
      /libstdc\+\+\.so\.6/,
    ],
    ["a library path", { dynamic: `${fit.dynamic}(RUNPATH) Library runpath: [/opt]\n` }, /folder of its own/],
    ["another machine", { header: "  Machine: AArch64\n" }, /not for X86-64/],
    ["an older OpenSSL", { bytes: "OpenSSL 3.5.8 1 Jan 2026" }, /OpenSSL 3\.5\.9/],
    ["OpenSSL of a longer number", { bytes: "OpenSSL 3.5.90 1 Jan 2026" }, /OpenSSL 3\.5\.9/],
    ["a path of its machine", { bytes: `${fit.bytes}/work/somewhere/native/a.cc` }, /path of this machine/],
    ["a path of somebody", { bytes: `${fit.bytes}/home/someone/a.cc` }, /private path/],
    ["a key", { bytes: `${fit.bytes}-----BEGIN PRIVATE KEY-----\n${"MIIE".repeat(16)}` }, /private key/],
  ])("is refused for %s", (_, changed, complaint) => {
    expect(complaints(changed)).toEqual([expect.stringMatching(complaint)]);
  });
});

test("a release's addon is built by the command that scripts/build runs", () => {
  // tarball.test.ts packs what that one makes; node-gyp, which prebuildify starts, has binding.gyp alone.
  const [, action] = /"action": \[([^\]]*)\]/.exec(text("binding.gyp"))!;
  const command = [...action!.matchAll(/"([^"]*)"/g)].map(([, word]) => word!).slice(1);
  const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
  expect(command.join(" ").replace("node_modules/cmake-js/bin/", "")).toBe(scripts["build:native"]);
});

describe("the bill of materials", () => {
  let folder: string;
  const versions = [
    "base libc6-dev 2.31-13+deb11u11 glibc 2.31-13+deb11u11",
    "base libstdc++-10-dev 10.2.1-6 gcc-10 10.2.1-6",
    "deps libssl-dev 3.5.9-1~deb13u1 openssl 3.5.9-1~deb13u1",
    "deps zlib1g-dev 1:1.3.dfsg+really1.3.1-1+b1 zlib 1:1.3.dfsg+really1.3.1-1",
    "deps libzstd-dev 1.5.7+dfsg-1 libzstd 1.5.7+dfsg-1",
    "deps libhwy-dev 1.2.0-2+b2 highway 1.2.0-2",
    "deps nlohmann-json3-dev 3.11.3-2.1 nlohmann-json3 3.11.3-2.1",
    "deps libtss2-dev 4.1.3-1.2 tpm2-tss 4.1.3-1.2",
  ];
  const write = (path: string, content: string): void => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const print = (): string =>
    execFileSync(process.execPath, [join(root, "scripts/sbom.mjs"), folder, join(folder, "prebuilds")], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nomyo-bill-"));
    for (const arch of ["amd64", "arm64"]) write(`${arch}/packages`, `${versions.join("\n")}\n`);
    for (const arch of ["x64", "arm64"]) write(`prebuilds/linux-${arch}/nomyo-native.glibc.node`, "abc");
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("names both files with their sums, and every project with upstream's version and Debian's", () => {
    const bill = JSON.parse(print()) as {
      bomFormat: string;
      specVersion: string;
      components: { name: string; version?: string; purl?: string; hashes?: { alg: string; content: string }[] }[];
    };
    expect([bill.bomFormat, bill.specVersion]).toEqual(["CycloneDX", "1.6"]);
    // FIPS 180-4's example of SHA-256.
    const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (const arch of ["x64", "arm64"]) {
      const file = bill.components.find(({ name }) => name === `prebuilds/linux-${arch}/nomyo-native.glibc.node`);
      expect(file?.hashes).toEqual([{ alg: "SHA-256", content: sum }]);
    }
    const found = Object.fromEntries(bill.components.map(({ name, version }) => [name, version]));
    expect(found).toMatchObject({
      openssl: "3.5.9",
      zlib: "1.3.1",
      zstd: "1.5.7",
      highway: "1.2.0",
      "nlohmann-json": "3.11.3",
      "tpm2-tss": "4.1.3",
      gcc: "10.2.1",
      glibc: "2.31",
    });
    const openssl = bill.components.find(({ name }) => name === "openssl");
    expect(openssl?.purl).toBe("pkg:deb/debian/openssl@3.5.9-1~deb13u1");
  });

  test("is the same however often it is printed", () => {
    expect(print()).toBe(print());
  });

  test("is refused when a file was not made, a package is unknown, or the two machines' versions differ", () => {
    rmSync(join(folder, "prebuilds/linux-arm64"), { recursive: true });
    expect(print).toThrow(/linux-arm64/);
    write("prebuilds/linux-arm64/nomyo-native.glibc.node", "abc");
    write("arm64/packages", versions.join("\n").replaceAll("3.5.9", "3.5.8"));
    expect(print).toThrow(/libssl-dev/);
    for (const arch of ["amd64", "arm64"]) write(`${arch}/packages`, versions.slice(1).join("\n"));
    expect(print).toThrow(/libc6-dev/);
  });

  test("and the notices name the same projects", () => {
    const notices = text("THIRD-PARTY-NOTICES.md");
    for (const name of [
      "OpenSSL",
      "zlib",
      "zstd",
      "Highway",
      "JSON for Modern C++",
      "tpm2-tss",
      "GCC",
      "GNU C library",
    ]) {
      expect(notices).toContain(`[${name}`);
    }
  });
});

describe("workflows", () => {
  const files = readdirSync(join(root, ".github/workflows"));

  test.each(files)("%s takes no right that it does not name, and pins every action by its commit", (file) => {
    const workflow = text(`.github/workflows/${file}`);
    expect(workflow).toMatch(/^permissions: \{\}$/m);
    const uses = [...workflow.matchAll(/uses: (\S+)(.*)/g)];
    expect(uses.length).toBeGreaterThan(0);
    for (const [, action, remark] of uses) {
      expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
      expect(remark).toMatch(/ # v\d+\.\d+\.\d+$/);
    }
    expect(workflow).not.toMatch(/secrets\./);
  });

  test("a release is published last, and only that step may", () => {
    const jobs = text(".github/workflows/release.yml")
      .split("\njobs:\n")[1]!
      .split(/\n\n(?= {2}\w+:\n)/);
    expect(jobs.map((job) => /^ {2}(\w+):/.exec(job)?.[1])).toEqual(["build", "run", "publish"]);
    expect(jobs.map((job) => job.includes("id-token: write"))).toEqual([false, false, true]);
    expect(jobs[2]).toContain("needs: [build, run]");
    expect(jobs[0]).toContain("scripts/check-release");
    expect(jobs[0]).toContain("NOMYO_REPOSITORY_URL: ${{ github.server_url }}/${{ github.repository }} ");
  });
});

describe("the manifest of a release", () => {
  let prebuilds: string;
  beforeAll(() => {
    prebuilds = mkdtempSync(join(tmpdir(), "nomyo-manifest-"));
    mkdirSync(join(prebuilds, "linux-x64"));
    writeFileSync(join(prebuilds, "linux-x64/nomyo-native.glibc.node"), "");
  });
  afterAll(() => rmSync(prebuilds, { recursive: true }));
  const manifest = { name: "nomyo-native", scripts: { build: "make" }, devDependencies: { jest: "30.0.0" } };
  const published = (repository?: string): unknown =>
    evaluate(
      "published-manifest.mjs",
      `script.published(${JSON.stringify(manifest)}, ${JSON.stringify(prebuilds)}, ${JSON.stringify(repository)})`,
    );
  const always = { name: "nomyo-native", os: ["linux"], cpu: ["x64"], libc: ["glibc"] };

  test("names the repository that the release is made at, its documents and its issues", () => {
    expect(published("https://git.example/nomyo/nomyo-native")).toEqual({
      ...always,
      repository: { type: "git", url: "git+https://git.example/nomyo/nomyo-native.git" },
      homepage: "https://git.example/nomyo/nomyo-native#readme",
      bugs: { url: "https://git.example/nomyo/nomyo-native/issues" },
    });
  });

  test("names none where none is said", () => expect(published()).toEqual(always));

  test.each([
    "",
    "git.example/nomyo",
    "http://git.example/a/b",
    "https://git.example",
    "https://git.example/a b/c",
    "https://git.example/a/b.git",
  ])("is not made with %j for an address", (address) =>
    expect(() => published(address)).toThrow("NOMYO_REPOSITORY_URL must be like https://HOST/OWNER/NAME"),
  );
});
