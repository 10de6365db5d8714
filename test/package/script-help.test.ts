/** A script's help is the comment that it begins with, whole, wherever it is called from. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = join(__dirname, "../../scripts");
const scripts = readdirSync(folder)
  .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }))
  .filter(({ text }) => text.startsWith("#!/usr/bin/env bash\n"));
/** Prints from the second line to the first that is no comment. */
const printing = (name: string): string => `sed -n '1d; /^#/!q; s/^# \\{0,1\\}//p' scripts/${name}`;

test.each(scripts)("scripts/$name prints its comment, and counts none of its lines", ({ name, text }) => {
  expect(text).toContain(printing(name));
  expect(text.match(/"\$0"/g)).toHaveLength(1); // to find the repository: after `cd` it leads nowhere
});

test.each(scripts)("scripts/$name --help", ({ name, text }) => {
  const [, ...all] = text.split("\n");
  const comment = all.slice(
    0,
    all.findIndex((line) => !line.startsWith("#")),
  );
  const { stdout, stderr } = spawnSync(join(folder, name), ["--help"], { cwd: tmpdir(), encoding: "utf8" });
  expect(stdout + stderr).toBe(comment.map((line) => `${line.replace(/^# ?/, "")}\n`).join(""));
  expect(comment[0]).toMatch(new RegExp(`^# scripts/${name}( [^:]+)?: \\S`));
});
