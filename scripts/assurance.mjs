// scripts/assurance.mjs NAME < TEXT: makes TEXT the section NAME of docs/assurance.md, with the day, the commit and the
// machine above it. Campaigns call it.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

const [name] = process.argv.slice(2);
const path = new URL("../docs/assurance.md", import.meta.url);
const git = (...args) => execFileSync("git", args, { encoding: "utf8", cwd: new URL("..", import.meta.url) }).trim();
const changed =
  git("status", "--porcelain", "--", "native", "lib") === "" ? "" : ", with changes that were not committed";
const ran =
  `${new Date().toISOString().slice(0, 10)}, commit ${git("rev-parse", "--short=12", "HEAD")}${changed}, ` +
  `${availableParallelism()} cores of ${cpus()[0]?.model.trim() ?? "a processor without a name"}, Node ` +
  `${process.versions.node}.`;
const text = readFileSync(0, "utf8").trim();
const before = readFileSync(path, "utf8");
const section = `## ${name}\n\nRan ${ran}\n\n${text}\n`;
const [head, ...sections] = before.split(/^(?=## )/m);
const kept = sections.filter((one) => !one.startsWith(`## ${name}\n`)).map((one) => `${one.trim()}\n`);
writeFileSync(path, [`${head.trim()}\n`, ...[...kept, section].sort()].join("\n"));
execFileSync(
  process.execPath,
  ["node_modules/prettier/bin/prettier.cjs", "--write", "--log-level", "warn", "docs/assurance.md"],
  { cwd: new URL("..", import.meta.url) },
);
