/** The files of the repository, as git has them and as they are here: without what it ignores, and what is gone. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export const repositoryRoot = join(__dirname, "../..");

/** Paths from the root with `/`; of `patterns`, where there are some (git's: a folder, `*.ts`). */
export const repositoryFiles = (...patterns: string[]): string[] =>
  execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", ...patterns], {
    cwd: repositoryRoot,
    encoding: "utf8",
  })
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(repositoryRoot, path)));
