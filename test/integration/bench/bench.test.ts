import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "..", "..", "..");
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "nomyo-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const node = (...args: string[]) =>
  new Promise<Ended>((resolve) => {
    const child = execFile(process.execPath, args, { cwd: root }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
const bench = (...args: string[]) => node("bench/main.mjs", ...args);

interface Report {
  readonly results: {
    readonly case: string;
    readonly contender: string;
    readonly median: number;
    readonly p10: number;
    readonly p90: number;
  }[];
  readonly bounds: {
    readonly job: string;
    readonly bound: string;
    readonly measured: string;
    readonly verdict: string;
  }[];
  readonly [part: string]: unknown;
}

test("a case is measured for each contender, and told as table, JSON and picture", async () => {
  const json = join(folder, "report.json");
  const svg = join(folder, "report.svg");
  const { code, stdout, stderr } = await bench(
    ...[
      "--quick",
      "--rounds",
      "1",
      "--only",
      "seal ascii 1 KB",
      "--only",
      "seal variants ascii 1 KB",
      "--only",
      "attestation rsa2048",
      "--json",
      json,
      "--svg",
      svg,
    ],
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const report = JSON.parse(readFileSync(json, "utf8")) as Report;
  expect(report).toMatchObject({
    schema: 2,
    startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    quick: true,
    rounds: 1,
    machine: { cpu: expect.any(String), features: expect.any(Array), cores: expect.any(Number) },
    versions: {
      node: process.version,
      opensslNode: process.versions.openssl,
      opensslNative: expect.stringMatching(/^OpenSSL 3/),
    },
  });
  const contenders = (name: string) => report.results.filter((one) => one.case === name).map((one) => one.contender);
  expect(contenders("seal ascii 1 KB")).toEqual(expect.arrayContaining(["native", "node", "webcrypto"]));
  expect(contenders("attestation rsa2048")).toEqual(expect.arrayContaining(["native", "node"]));
  for (const { median, p10, p90 } of report.results) {
    expect(p10).toBeGreaterThan(0);
    expect(median).toBeGreaterThanOrEqual(p10);
    expect(p90).toBeGreaterThanOrEqual(median);
  }
  const bound = (job: string) => report.bounds.find((one) => one.job === job);
  expect(bound("seal, 1 KB")).toMatchObject({
    measured: expect.stringMatching(/^[\d.]+ × \(.*, node:(whole|pieces|strings)\)$/),
    verdict: expect.stringMatching(/^(met|NOT MET|noisy)$/),
  });
  expect(bound("memory")).toMatchObject({ verdict: "not shown", measured: "not measured" });
  // The verdicts come first.
  expect(stdout).toMatch(/^Promised bounds: /);
  expect(stdout).toMatch(/seal, 1 KB +not slower than the fastest pure-Node pipeline +[\d.]+ ×/);
  expect(readFileSync(svg, "utf8")).toMatch(/^<svg [^>]*>[^]*Web Crypto, as nomyo-js[^]*<\/svg>\s*$/);

  // The same report from the file, judged anew: an old verdict is not believed.
  const { bounds } = report;
  writeFileSync(
    json,
    JSON.stringify({ ...report, bounds: bounds.map((one) => ({ ...one, verdict: "met", measured: "forged" })) }),
  );
  expect(await bench("--from", json)).toEqual({ code: 0, stdout, stderr: "" });
}, 180_000);

/** A report of the cases that the picture shows, each contender as fast as `speed` says (MB/s). */
function drawn(speed: Readonly<Record<string, number>>): string {
  const results = ["seal", "open"].flatMap((kind) =>
    ["ascii", "latin1", "cjk", "tools"].flatMap((content) =>
      [1024, 32 * 1024, 1024 * 1024, 9 * 1024 * 1024].flatMap((size) =>
        Object.entries(speed).map(([contender, mbps]) => {
          const median = size / mbps / 1000;
          const figures = { median, p10: median, p90: median, rounds: [{ median, p90: median, fixed: 0 }], fixed: 0 };
          return { case: `${kind} ${content} ${size}`, kind, content, size, contender, ...figures };
        }),
      ),
    ),
  );
  return reportOf(results);
}

/** A file as --json writes it. */
function reportOf(results: readonly unknown[]): string {
  const machine = {
    cpu: "a processor",
    features: [],
    cores: 2,
    memoryBytes: 1,
    system: "",
    loadAtStart: 0,
    memoryLocking: "",
  };
  const about = { schema: 2, startedAt: "2026-01-01T00:00:00Z", seconds: 1, quick: false, rounds: 1 };
  const file = join(folder, "report-of.json");
  writeFileSync(file, JSON.stringify({ ...about, machine, versions: {}, results }));
  return file;
}

describe("the picture", () => {
  let svg: string;
  beforeAll(async () => {
    const file = join(folder, "drawn.svg");
    // Neighbours of very different length: a short bar's label stands beside a long bar.
    const { stderr } = await bench(
      "--from",
      drawn({ native: 1100, node: 100, webcrypto: 8, python: 40 }),
      "--svg",
      file,
    );
    expect(stderr).toBe("");
    svg = readFileSync(file, "utf8");
  });
  const texts = () =>
    [...svg.matchAll(/<text [^>]*font-size:(\d+)px[^>]*translate\(([\d.]+) ([\d.]+)\)[^>]*>([^<]*)</g)].map((match) => {
      const [size, x, y] = match.slice(1, 4).map(Number) as [number, number, number];
      return { size, x, y, text: match[4]! };
    });

  test("says that its scales are logarithmic, and its axis has marks at the four sizes and ends at the largest", () => {
    const all = texts().map(({ text }) => text);
    expect(all.filter((text) => text.includes("logarithmic scale"))).toHaveLength(4);
    // The right edges of the two panels.
    const marks = texts().filter(({ text }) => /^\d+ [KM]B$/.test(text));
    expect(marks.map(({ text }) => text)).toEqual([...marks.slice(0, 4), ...marks.slice(0, 4)].map(({ text }) => text));
    expect(marks.slice(0, 4).map(({ text }) => text)).toEqual(["1 KB", "32 KB", "1 MB", "9 MB"]);
    expect(marks.filter(({ text }) => text === "9 MB").map(({ x }) => x)).toEqual([540, 1140]);
  });

  test("no label of a bar, its white outline and a pixel of air included, touches another bar", () => {
    // Those that begin at an axis; the legend has some, too.
    const bars = [...svg.matchAll(/<path d="M(90|690) ([\d.]+)l([\d.]+) 0l0 ([\d.]+)l-[\d.]+ 0Z" fill="#/g)].map(
      (match) => {
        const [left, top, width, height] = match.slice(1, 5).map(Number) as [number, number, number, number];
        return { left, right: left + width, top, bottom: top + height };
      },
    );
    const labels = texts().filter(({ text }) => ["1100", "100", "8.0", "40"].includes(text));
    expect([bars.length, labels.length]).toEqual([32, 32]);
    const over = labels.flatMap(({ x, y, size, text }) =>
      bars.filter(
        ({ left, right, top, bottom }) =>
          x < right && x + size * text.length > left && y + size / 2 + 2 > top && y - size / 2 - 2 < bottom,
      ),
    );
    expect(over).toEqual([]);
  });
});

test("the document has the bounds, the picture and one table", async () => {
  const text = (await evaluated(`
    import { readFileSync } from "node:fs";
    import { judged } from "./bench/bounds.mjs";
    import { document } from "./bench/report/pages.mjs";
    const report = JSON.parse(readFileSync(${JSON.stringify(drawn({ native: 1100, node: 100, webcrypto: 8 }))}));
    const bounds = judged(report.results);
    console.log(JSON.stringify(await document({ ...report, builds: [], bounds })));`)) as string;
  expect([...text.matchAll(/^## (.*)$/gm)].map((match) => match[1])).toEqual(["Promised bounds", "Times", "Method"]);
  expect(text).toContain("(benchmarks.svg)");
  expect(text).toMatch(/^\| seal ascii 1048576 +\| nomyo-native +\| .*Node, fastest 10.5 ms \(11.0 ×\)/m);
}, 60_000);

test("--from refuses what is no report", async () => {
  for (const file of ["package.json", "README.md", "no-such-file.json"]) {
    const { code, stdout, stderr } = await bench("--from", file);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--from takes a file that --json has written");
  }
});

test.each([
  ["seal", { content: "ascii", size: 1024 }, "{ file: `${folder.path}/package-cjk-1024.json` }"],
  ["open", { content: "ascii", size: 1024 }, '{ sha256: "00" }'],
  ["rsa", {}, '{ key: "00".repeat(32) }'],
  ["base64", { size: 1024 }, '{ sha256: "00" }'],
  ["attestation", {}, "{ valid: true, forged: true }"],
])(
  "a wrong result of %s ends the run",
  async (kind, item, evidence) => {
    const script = `
    import { check, WrongResult } from "./bench/check.mjs";
    import { WorkFolder } from "./bench/work-folder.mjs";
    const folder = new WorkFolder();
    folder.add({ content: "cjk", size: 1024 });
    try {
      await check({ name: "case", kind: "${kind}", ...${JSON.stringify(item)} }, "webcrypto", ${evidence}, folder.path);
    } catch (error) {
      if (!(error instanceof WrongResult)) throw error;
      console.log(error.message);
    } finally {
      folder.remove();
    }`;
    const { stdout, stderr } = await node("--input-type=module", "--eval", script);
    expect({ stdout, stderr }).toMatchObject({ stdout: expect.stringMatching(/^case: webcrypto gave a wrong result/) });
  },
  60_000,
);

/** What a script of the folder's modules prints, as JSON. */
const evaluated = async (script: string): Promise<unknown> => {
  const { stdout, stderr } = await node("--input-type=module", "--eval", script);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
};

test("every way to seal with Node's crypto is opened by every way to open", async () => {
  const opened = await evaluated(`
    import { readFileSync } from "node:fs";
    import { isDeepStrictEqual } from "node:util";
    import { opener, privateKey, publicKey, sealer } from "./bench/contenders/node.mjs";
    import { chatRequest } from "./dist/bench/payload.js";
    const pem = readFileSync("test/vectors/keys/client_private.pem");
    const right = [];
    for (const way of ["whole", "pieces", "strings", "escaped"]) {
      for (const content of ["ascii", "cjk", "tools"]) {
        const request = { ...chatRequest(content, 100_001), controls: String.fromCharCode(0, 31, 34, 92).repeat(100) };
        const body = sealer(way)(publicKey(pem), request);
        for (const other of ["whole", "pieces", "parsed"]) {
          right.push(isDeepStrictEqual(opener(other)(privateKey(pem), body), request));
        }
      }
    }
    console.log(JSON.stringify(right));`);
  expect(opened).toEqual(Array.from({ length: 4 * 3 * 3 }, () => true));
}, 60_000);

test("the exponent of cost = 3 · size^b is found, and costs that noise has made negative do not count", async () => {
  const exponents = [0.5, 1, 1.05, 2];
  const found = await evaluated(`
    import { fitExponent } from "./bench/bounds.mjs";
    const sizes = [1024, 65_536, 1_048_576, 9_437_184];
    const fit = (b) => fitExponent([...sizes.map((size) => ({ size, cost: 3 * size ** b })), { size: 5, cost: -1 }]);
    console.log(JSON.stringify(${JSON.stringify(exponents)}.map(fit)));`);
  expect(found).toEqual(exponents.map((exponent) => expect.closeTo(exponent, 10)));
}, 60_000);

describe("the judge", () => {
  /** Rounds of each contender of the case that the bound of attestation is judged in: at most 1.5 × `openssl speed`. */
  const judge = async (contenders: Readonly<Record<string, readonly number[]>>) => {
    const results = Object.entries(contenders).map(([contender, rounds]) => ({
      case: "attestation rsa2048",
      contender,
      rounds: rounds.map((median) => ({ median })),
    }));
    const bounds = (await evaluated(`
      import { judged } from "./bench/bounds.mjs";
      console.log(JSON.stringify(judged(${JSON.stringify(results)})));`)) as Report["bounds"];
    return bounds.find(({ job }) => job === "attestation, rsa2048");
  };
  const openssl = [10, 10.01, 9.99, 10.02, 9.98];
  const times = (factor: number) => openssl.map((time) => time * factor);

  test.each([
    ["met", 1.3, 1.301],
    ["NOT MET", 1.7, 1.701],
    // Nearer to the bound than to itself, on either side of it.
    ["noisy", 1.45, 1.6],
    ["noisy", 1.55, 1.4],
  ])("says %s at %p × with %p × of the same contender again", async (verdict, own, again) => {
    expect(await judge({ native: times(own), "native:again": times(again), openssl })).toMatchObject({ verdict });
  });

  test("says noisy of rounds that differ by more than what is to be shown", async () => {
    const wild = [7, 14, 21, 13, 9];
    expect(await judge({ native: wild, "native:again": wild, openssl })).toMatchObject({ verdict: "noisy" });
  });

  test("shows nothing where a contender is missing", async () => {
    expect(await judge({ native: times(1) })).toMatchObject({ measured: "not measured", verdict: "not shown" });
  });

  test("gives --strict its exit codes: 3 for a bound that is not met, 4 where noise hides it", async () => {
    const strict = async (own: number, again: number) => {
      const result = (contender: string, median: number) => {
        const figures = { median, p10: median, p90: median, rounds: [{ median }, { median }] };
        return { case: "attestation rsa2048", kind: "attestation", label: "rsa2048", contender, ...figures };
      };
      const results = [result("native", own), result("native:again", again), result("openssl", 10)];
      return (await bench("--strict", "--from", reportOf(results))).code;
    };
    expect([await strict(13, 13), await strict(17, 17), await strict(14.9, 13)]).toEqual([0, 3, 4]);
  }, 60_000);
});

describe("two builds in one run", () => {
  /** The verdicts on cases of rounds: this build's, its own again, the other's. */
  const verdicts = async (rounds: Readonly<Record<string, readonly (readonly number[])[]>>) => {
    const results = Object.entries(rounds).flatMap(([name, sides]) =>
      sides.map((times, side) => ({
        case: name,
        contender: ["native", "native:again", "native@there"][side],
        rounds: times.map((median) => ({ median })),
      })),
    );
    const rows = (await evaluated(`
      import { compared } from "./bench/bounds.mjs";
      console.log(JSON.stringify(compared(${JSON.stringify(results)})));`)) as {
      case: string;
      verdict: string;
      met: boolean;
    }[];
    return rows.map(({ case: name, verdict, met }) => [name, verdict, met]);
  };
  const steady = [10, 10.01, 9.99, 10.02, 9.98, 10];
  const wild = [10, 13, 8, 11, 9, 12];
  const times = (values: readonly number[], factor: number) => values.map((value) => value * factor);

  test("a difference beyond what the build differs by from itself is one, and a smaller one is noise", async () => {
    expect(
      await verdicts({
        same: [steady, times(steady, 1.001), times(steady, 0.999)],
        faster: [steady, times(steady, 1.001), times(steady, 1.1)],
        slower: [steady, times(steady, 1.001), times(steady, 0.9)],
        // The same tenth, on a machine whose rounds differ by more.
        lost: [wild, [...wild].reverse(), times(wild, 0.9)],
        // This build differs by a tenth from itself: so may the other.
        unlike: [steady, times(steady, 0.9), times(steady, 0.92)],
        // Not a comparison: no other build took part.
        alone: [steady, steady],
      }),
    ).toEqual([
      ["same", "differs by noise", true],
      ["faster", "this build is faster", true],
      ["slower", "this build is SLOWER", false],
      ["lost", "differs by noise", true],
      ["unlike", "differs by noise", true],
    ]);
  }, 60_000);

  test("are measured in turns", async () => {
    const { code, stdout } = await bench("--quick", "--rounds", "1", "--only", "seal ascii 1 KB", "--against", root);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /This build beside another[^]*\n +seal ascii 1 KB +[\d.]+ .s +[\d.]+ .s +[\d.]+ × +± [\d.]+ % +\w/,
    );
    expect(stdout).not.toContain("Promised bounds");
  }, 180_000);

  test("another addon takes part in the place of this build's", async () => {
    const addon = join(root, "build", "Release", "nomyo_native.node");
    const { code, stdout } = await bench("--quick", "--rounds", "1", "--only", "seal ascii 1 KB", "--against", addon);
    expect(code).toBe(0);
    expect(stdout).toMatch(/nomyo-native in \/\S+ [\d.]+ .s/);
  }, 180_000);

  test("another folder must be one of this repository, and built", async () => {
    expect(await bench("--against", folder)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("scripts/build"),
    });
  }, 60_000);
});

test("wrong arguments are told apart from failures", async () => {
  expect(await bench("--only", "no such case")).toMatchObject({ code: 2, stderr: expect.stringContaining("--list") });
  expect(await bench("--rounds", "many")).toMatchObject({ code: 2 });
  expect(await bench("--bogus")).toMatchObject({ code: 2 });
  expect(await bench("--node", "19")).toMatchObject({ code: 2, stderr: expect.stringContaining("scripts/setup") });
}, 60_000);

test("--list names every case with its contenders, --help the options", async () => {
  const { stdout } = await bench("--list");
  for (const kind of ["seal", "open"]) {
    for (const content of ["ascii", "latin1", "cjk", "tools"]) {
      for (const size of ["1 KB", "32 KB", "1 MB", "9 MB"]) {
        expect(stdout).toContain(`${kind} ${content} ${size}: native, node, webcrypto, python\n`);
      }
    }
  }
  expect((await bench("--help")).stdout).toContain("--strict");
}, 60_000);
