/**
 * docs/assurance.md: its sections are those that campaigns write, each says what ran where, and its tables are about
 * what is there.
 */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "../..");
const page = readFileSync(join(root, "docs/assurance.md"), "utf8");
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((text) => [text.split("\n", 1)[0]!, text]),
);

/** A campaign's section, and the script that writes it. */
const campaigns: Readonly<Record<string, string>> = {
  Attacks: "scripts/attack",
  Coverage: "scripts/fuzz",
  Fuzzing: "scripts/fuzz",
  Load: "scripts/soak",
  Timing: "scripts/timing",
};

test("each section is a campaign's, whose script writes it, and says when, on what and on which commit it ran", () => {
  for (const [name, text] of sections) {
    expect(Object.keys(campaigns)).toContain(name);
    expect(readFileSync(join(root, campaigns[name]!), "utf8")).toMatch(new RegExp(`assurance\\.mjs ${name}\\b`));
    expect(text).toMatch(
      /^Ran 20\d\d-\d\d-\d\d, commit [0-9a-f]{12}(, with changes[^,]*)?, \d+ cores of .+, Node \d+\.\d+\.\d+\.$/m,
    );
  }
});

test("the table of fuzzing has each target once, with figures", () => {
  const targets = readdirSync(join(root, "native/fuzz")).flatMap((name) => /^(\w+)_fuzzer\.cc$/.exec(name)?.[1] ?? []);
  const rows = [...sections.get("Fuzzing")!.matchAll(/^\| `(\w+)` +\| (\d+) s +\| (\d+) +\| (\d+) +\| (\d+) +\|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(targets.sort());
  for (const [, , seconds, inputs, edges] of rows) {
    for (const figure of [seconds, inputs, edges]) expect(Number(figure)).toBeGreaterThan(0);
  }
});

test("a campaign's text takes the place of its former one, and leaves the others", () => {
  const folder = mkdtempSync(join(tmpdir(), "assurance-"));
  try {
    for (const name of ["scripts", "docs", "native", "lib"]) mkdirSync(join(folder, name));
    cpSync(join(root, "scripts/assurance.mjs"), join(folder, "scripts/assurance.mjs"));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(
      join(folder, "docs/assurance.md"),
      "# Assurance\n\nWhat ran.\n\n## Alpha\n\nOld.\n\n## Gamma\n\nKept.\n",
    );
    const git = (...args: string[]): void =>
      void spawnSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: folder });
    git("init", "-q");
    git("commit", "-q", "--allow-empty", "-m", "x");
    for (const [name, text] of [
      ["Beta", "New."],
      ["Alpha", "Newer."],
    ] as const) {
      const ended = spawnSync(process.execPath, [join(folder, "scripts/assurance.mjs"), name], {
        input: text,
        cwd: folder,
      });
      expect([ended.status, String(ended.stderr)]).toEqual([0, ""]);
    }
    const text = readFileSync(join(folder, "docs/assurance.md"), "utf8");
    expect(text.match(/^## \w+$/gm)).toEqual(["## Alpha", "## Beta", "## Gamma"]);
    const bodies = text.split(/^## \w+$/m).map((body) => body.trim().split("\n").at(-1));
    expect(bodies).toEqual(["What ran.", "Newer.", "New.", "Kept."]);
    expect(text).not.toContain("Old.");
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(existsSync(folder)).toBe(false);
});
