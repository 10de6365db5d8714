/** docs/support.md says what CI runs, and scripts/setup installs what the scripts start. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** The cells of the table under a heading, without the head and the rule. */
function table(heading: string): string[][] {
  const section = read("docs/support.md").split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
const list = (path: string, name: string): string[] => {
  const found = new RegExp(`^${name}=\\((.*)\\)$`, "m").exec(read(path));
  if (found?.[1] === undefined) throw new Error(`${path} has no ${name}`);
  return found[1].split(" ");
};
const packages = (goal: string): string[] =>
  execFileSync(join(root, "scripts/setup"), ["--packages", goal], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.split(":")[0] ?? "");

test("the lines of Node in the table are those that are installed and tested", () => {
  const lines = table("Node.js").map(([line]) => line);
  expect(lines.length).toBeGreaterThan(0);
  expect(lines).toEqual(list("scripts/setup", "node_lines"));
});

test("the oldest line is what package.json demands", () => {
  const { engines } = JSON.parse(read("package.json")) as { engines: { node: string } };
  expect(engines.node).toBe(`>=${table("Node.js")[0]?.[0]}`);
});

test("the releases in the table are those on which CI runs the demo, and the README names them", () => {
  const systems = table("Systems");
  expect(systems.map((row) => row[1])).toEqual(list(".ci/run", "releases"));
  const numbers = systems.map((row) => row[0]?.replace("Debian ", ""));
  expect(read("README.md")).toContain(`On Debian ${numbers.join(" or ")} `);
});

test("CI and the long form run the steps that the page names", () => {
  const page = read("docs/support.md");
  const [, steps] = /CI runs, in this order: ([^]*?)\. It does not/.exec(page) ?? [];
  const named = [...(steps ?? "").matchAll(/`(scripts\/[a-z-]+)`/g)].map(([, script]) => script);
  expect(named).toEqual(["scripts/test", "scripts/demo"]);
  const run = read(".ci/run");
  const ran = [...run.matchAll(/^(?: {2}"\$bare" -s "\$release" \. )?(scripts\/[a-z-]+)(?: >.*&)?$/gm)].map(
    ([, script]) => script,
  );
  expect(ran).toEqual(named);
  for (const [said, path, command] of [
    ["all of `scripts/test` on a bare machine of each release", "scripts/test-long", '-s "$release" . scripts/test'],
    ["as an account with sudo", "scripts/test-long", "-u someone"],
    ["AddressSanitizer with UndefinedBehaviorSanitizer", "scripts/test", "scripts/sanitize address,undefined"],
    ["every line with all cases", "scripts/test-long", "scripts/test lines"],
    ["under ThreadSanitizer", "scripts/test", "scripts/sanitize thread"],
  ] as const) {
    expect([said, page.replaceAll("\n", " ").includes(said), read(path).includes(command)]).toEqual([said, true, true]);
  }
  expect(/^for release in (.*); do$/m.exec(read("scripts/test-long"))?.[1]?.split(" ")).toEqual(
    list(".ci/run", "releases"),
  );
});

test("CI runs jest on every line, and leaves out on the others what the page says", () => {
  const script = read("scripts/test");
  expect(script).toContain("for line in $(node_lines); do");
  const [, left] = /^same_on_every_line=\(([^)]*)\)/m.exec(script) ?? [];
  expect(left?.split(/\s+/)).toEqual([
    ...["test/unit/bench/", "test/unit/cli/bench.test.ts", "test/integration/bench/"], // benchmarks
    expect.stringMatching(/types\.test\.ts$/), // types
    expect.stringMatching(/tpm2-tools\.test\.ts$/), // tpm2-tools
    "test/package/", // documents, and the packed package
  ]);
  // Nothing else is left out, on no line. What is fewer is the random cases.
  expect(script.match(/--testPathIgnorePatterns[^\n]*/g)).toEqual([
    '--testPathIgnorePatterns /node_modules/ "${same_on_every_line[@]}"',
  ]);
  expect(script.match(/same_on_every_line/g)).toHaveLength(2);
  expect(script.match(/NOMYO_TEST_ROUNDS=\S+/g)).toEqual(["NOMYO_TEST_ROUNDS=0.2"]);
  expect(read("docs/support.md").replaceAll("\n", " ")).toContain("with fewer cases: a fifth");
});

test("warnings are errors in the tests' build, and nowhere else", () => {
  expect(read("scripts/test")).toContain("-DNOMYO_WARNINGS_AS_ERRORS=ON");
  expect(read("scripts/sanitize")).toContain("-DNOMYO_WARNINGS_AS_ERRORS=OFF");
  expect(read("native/CMakeLists.txt")).toMatch(/option\(NOMYO_WARNINGS_AS_ERRORS "[^"]*" OFF\)/);
  expect(read("native/CMakeLists.txt").match(/-Werror|\/WX/g)).toHaveLength(2);
  expect(read("package.json")).not.toContain("WARNINGS_AS_ERRORS");
});

test("scripts/setup demo installs every program that the demo starts", () => {
  const from: Record<string, string> = { swtpm: "swtpm", tpm2_pcrextend: "tpm2-tools" };
  const started = new Set(
    [...read("scripts/demo-run.mjs").matchAll(/(?:start|spawn|execFile\)?)\(\s*"([^"]+)"/g)].map((match) => match[1]),
  );
  expect([...started].sort()).toEqual(Object.keys(from).sort());
  expect(packages("demo")).toEqual(expect.arrayContaining(Object.values(from)));
});

test("no package is named after one release's soname in scripts/setup", () => {
  for (const goal of ["demo", "test", "bench"]) {
    expect(packages(goal)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^libtss2-(?!dev$)/)]));
  }
});

test.each(["clang-format", "clang-tidy"])("%s is of one version, which setup installs and the page names", (tool) => {
  const named = readdirSync(join(root, "scripts"))
    .filter((name) => statSync(join(root, "scripts", name)).isFile())
    .map((name) => read(`scripts/${name}`))
    .flatMap((script) => [...script.matchAll(new RegExp(`\\b${tool}(-\\d+)? (?:--|"\\$)`, "g"))].map(([, at]) => at));
  expect(new Set(named)).toEqual(new Set(["-19"]));
  expect(packages("test").filter((name) => name.startsWith(tool))).toEqual([`${tool}-19`]);
  expect(read("docs/support.md")).toMatch(new RegExp(`${tool} .*\\b19\\b`));
});
