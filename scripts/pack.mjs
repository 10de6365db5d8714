// node scripts/pack.mjs [FOLDER]: the tarball that is published, from what is built in dist/ and prebuilds/, into
// FOLDER (the current one). Prints its name. `files` in package.json says what is in it; here the manifest and the
// README become what users need:
//
// - `os`, `cpu` and `libc` follow from the prebuilt files that are there, so that npm installs nowhere where none is;
// - scripts, development dependencies and what builds the addon are left out: nothing runs at an installation, nothing
//   looks as if;
// - `repository`, `homepage` and `bugs` are of NOMYO_REPOSITORY_URL, where that is set: the release workflow sets it to
//   the address that it runs at, which npm's provenance compares;
// - links of the README to files of the repository become addresses there, or the files' names without that: npm's page
//   shows the README alone.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { npmReadme } from "./npm-readme.mjs";
import { published } from "./published-manifest.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const to = resolve(process.argv[2] ?? ".");
const work = mkdtempSync(join(tmpdir(), "nomyo-pack-"));
/** `npm pack` of a folder, without its scripts: the repository's refuse (scripts/from-repository.mjs). */
function pack(folder, destination) {
  const args = ["pack", "--ignore-scripts", "--silent", "--pack-destination", destination];
  return execFileSync("npm", args, { cwd: folder, encoding: "utf8" }).trim().split("\n").at(-1);
}

try {
  const first = pack(root, work);
  execFileSync("tar", ["-xzf", join(work, first), "-C", work]);
  const folder = join(work, "package");
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const result = published(manifest, join(folder, "prebuilds"), process.env.NOMYO_REPOSITORY_URL);
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(join(folder, "README.md"), npmReadme(readFileSync(join(folder, "README.md"), "utf8"), result));
  console.log(pack(folder, to));
} finally {
  rmSync(work, { recursive: true, force: true });
}
