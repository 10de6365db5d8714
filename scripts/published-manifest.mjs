// package.json as it is published (scripts/pack.mjs): what users need of it.
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Of `prebuilds/linux-x64/nomyo-native.glibc.node`: linux, x64, glibc. */
function systems(folder) {
  const found = readdirSync(folder).flatMap((system) =>
    readdirSync(join(folder, system)).map((file) => {
      const [, os, cpu] = /^(\w+)-(\w+)$/.exec(system) ?? [];
      const [, libc] = /^nomyo-native(?:\.(glibc|musl))?\.node$/.exec(file) ?? [];
      if (os === undefined || (os === "linux") !== (libc !== undefined)) {
        throw new Error(`prebuilds/${system}/${file} is no name that lib/native-loader.ts would look for`);
      }
      return { os, cpu, libc };
    }),
  );
  if (found.length === 0) throw new Error("prebuilds/ holds no addon: scripts/prebuild");
  const all = (name) => [...new Set(found.map((system) => system[name]).filter((value) => value !== undefined))].sort();
  return { os: all("os"), cpu: all("cpu"), ...(all("libc").length === 0 ? {} : { libc: all("libc") }) };
}

/** What only developers need. */
const ofDevelopers = ["scripts", "devDependencies", "gypfile", "binary"];

/** Where people find the repository, its documents and its issues, of its address. */
function addresses(url) {
  if (!/^https:\/\/[\w.-]+(?:\/[\w.-]+)+(?<!\.git)$/.test(url)) {
    throw new Error(`NOMYO_REPOSITORY_URL must be like https://HOST/OWNER/NAME, and not ${JSON.stringify(url)}`);
  }
  return {
    repository: { type: "git", url: `git+${url}.git` },
    homepage: `${url}#readme`,
    bugs: { url: `${url}/issues` },
  };
}

/**
 * The manifest of the tarball, from the repository's: `prebuilds` is the folder of the addons, `repository` the address
 * that the release is made at (`undefined`: none is named).
 */
export function published(manifest, prebuilds, repository) {
  const rest = Object.entries(manifest).filter(([name]) => !ofDevelopers.includes(name));
  return {
    ...Object.fromEntries(rest),
    ...(repository === undefined ? {} : addresses(repository)),
    ...systems(prebuilds),
  };
}
