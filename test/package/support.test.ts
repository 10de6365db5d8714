/** docs/support.md says what CI runs, and scripts/setup installs what the scripts start. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
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

test("CI runs the steps that the page names, in its order", () => {
  const [, steps] = /CI runs, in this order: ([^]*?)\n\n/.exec(read("docs/support.md")) ?? [];
  const page = [
    ...(steps ?? "").matchAll(
      /`(scripts\/[a-z]+(?: [a-z]+)?)`|(AddressSanitizer|ThreadSanitizer)|jest tests of (attestation)/g,
    ),
  ];
  expect(page.map(([, script, sanitizer, jest]) => script ?? sanitizer ?? jest)).toEqual([
    "scripts/test",
    "AddressSanitizer",
    "ThreadSanitizer",
    "scripts/demo",
    "scripts/setup test",
    "scripts/test core",
    "attestation",
  ]);
  const run = read(".ci/run");
  expect(run).toMatch(/\nscripts\/test\nscripts\/sanitize address,undefined thread\n/);
  expect(run).toMatch(
    /\nnewest='scripts\/setup test && scripts\/test core && scripts\/test jest test\/unit\/attestation test\/integration\/attestation'\n/,
  );
  expect(run).toMatch(
    /\n {2}command=scripts\/demo\n {2}\[ "\$release" != trixie \] \|\| command\+=" && \$newest"\n {2}"\$bare" -s "\$release" \. "\$command"\n/,
  );
});

test("warnings are errors in the tests' and sanitizers' builds, and nowhere else", () => {
  for (const path of ["scripts/test", "scripts/sanitize"]) {
    expect(read(path)).toContain("-DNOMYO_WARNINGS_AS_ERRORS=ON");
  }
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
