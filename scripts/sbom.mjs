// node scripts/sbom.mjs SYSROOTS PREBUILDS: prints the bill of materials (CycloneDX 1.6) of a release: the files in
// PREBUILDS with their SHA-256, and whose code is inside them, in the versions of which SYSROOTS/amd64/packages and
// SYSROOTS/arm64/packages tell. Nothing of the time or the machine is in it, so that two builds of one commit print the
// same.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const expected = ["linux-x64/nomyo-native.glibc.node", "linux-arm64/nomyo-native.glibc.node"];

/**
 * `name` is the project's; `from` the Debian package whose version counts. What is in each of them:
 * THIRD-PARTY-NOTICES.md.
 */
const parts = [
  {
    name: "openssl",
    from: "libssl-dev",
    license: "Apache-2.0",
    use: "libcrypto, linked statically",
    cpe: "openssl:openssl",
  },
  {
    name: "zlib",
    from: "zlib1g-dev",
    license: "Zlib",
    use: "linked statically, since this libcrypto wants it; never called",
    cpe: "zlib:zlib",
  },
  {
    name: "zstd",
    from: "libzstd-dev",
    license: "BSD-3-Clause",
    use: "linked statically, since this libcrypto wants it; never called",
    cpe: "facebook:zstandard",
  },
  { name: "highway", from: "libhwy-dev", license: "Apache-2.0 OR BSD-3-Clause", use: "headers", cpe: "google:highway" },
  {
    name: "nlohmann-json",
    from: "nlohmann-json3-dev",
    license: "MIT",
    use: "headers",
    cpe: "json-for-modern-cpp_project:json-for-modern-cpp",
  },
  {
    name: "tpm2-tss",
    from: "libtss2-dev",
    license: "BSD-2-Clause",
    use: "declarations only: the library is the system's, loaded at run time",
    cpe: "tpm2_software_stack_project:tpm2_software_stack",
  },
  {
    name: "gcc",
    from: "libstdc++-10-dev",
    license: "GPL-3.0-only WITH GCC-exception-3.1",
    use: "libstdc++ and libgcc, linked statically",
    cpe: "gnu:gcc",
  },
  {
    name: "glibc",
    from: "libc6-dev",
    license: "LGPL-2.1-or-later",
    use: "start files and libc_nonshared.a; the C library is the system's",
    cpe: "gnu:glibc",
  },
];

/** 1:1.3.dfsg+really1.3.1-1 is upstream's 1.3.1: without epoch, revision and Debian's remarks. */
export const upstream = (version) =>
  version
    .replace(/^\d+:/, "")
    .replace(/-[^-]*$/, "")
    .replace(/^.*\+really/, "")
    .replace(/\+?\.?dfsg.*$/, "")
    .replace(/~.*$/, "");

export function readPackages(text) {
  return new Map(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([, name, version, source, sourceVersion]) => [name, { version, source, sourceVersion }]),
  );
}

export function bill({ manifest, addonApi, packages, files }) {
  const component = ({ name, from, license, use, cpe }) => {
    const found = packages.get(from);
    if (found === undefined) throw new Error(`the sysroot has no package ${from}`);
    const version = upstream(found.version);
    const purl = `pkg:deb/debian/${found.source}@${encodeURIComponent(found.sourceVersion)}`;
    return {
      type: "library",
      "bom-ref": purl,
      name,
      version,
      description: use,
      licenses: [license.includes(" ") ? { expression: license } : { license: { id: license } }],
      cpe: `cpe:2.3:a:${cpe}:${version}:*:*:*:*:*:*:*`,
      purl,
    };
  };
  const npm = (name, version) => `pkg:npm/${name}@${version}`;
  const libraries = [
    ...parts.map(component),
    {
      type: "library",
      "bom-ref": npm("node-addon-api", addonApi),
      name: "node-addon-api",
      version: addonApi,
      description: "headers",
      licenses: [{ license: { id: "MIT" } }],
      purl: npm("node-addon-api", addonApi),
    },
  ];
  const addons = files.map(({ path, sha256 }) => ({
    type: "file",
    "bom-ref": `prebuilds/${path}`,
    name: `prebuilds/${path}`,
    hashes: [{ alg: "SHA-256", content: sha256 }],
  }));
  const self = npm(manifest.name, manifest.version);
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      component: {
        type: "library",
        "bom-ref": self,
        name: manifest.name,
        version: manifest.version,
        description: manifest.description,
        licenses: [{ license: { id: manifest.license } }],
        purl: self,
      },
    },
    components: [...addons, ...libraries],
    dependencies: [
      { ref: self, dependsOn: addons.map((addon) => addon["bom-ref"]) },
      ...addons.map((addon) => ({ ref: addon["bom-ref"], dependsOn: libraries.map((library) => library["bom-ref"]) })),
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [sysroots, prebuilds] = process.argv.slice(2);
  if (prebuilds === undefined) throw new Error("usage: node scripts/sbom.mjs SYSROOTS PREBUILDS");
  const json = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
  const [packages, others] = ["amd64", "arm64"].map((arch) =>
    readPackages(readFileSync(join(sysroots, arch, "packages"), "utf8")),
  );
  // One bill speaks of all files, so they must be of one kind.
  for (const { from } of parts) {
    const [here, there] = [packages, others].map((each) => each.get(from)?.sourceVersion);
    if (here !== there)
      throw new Error(`${from} is ${here} for amd64 and ${there} for arm64: the mirror is being updated; try again`);
  }
  const files = expected.map((path) => {
    const file = join(prebuilds, path);
    if (!existsSync(file)) throw new Error(`a release needs ${file}, and it was not made`);
    return { path, sha256: createHash("sha256").update(readFileSync(file)).digest("hex") };
  });
  const addonApi = json("node_modules/node-addon-api/package.json").version;
  console.log(JSON.stringify(bill({ manifest: json("package.json"), addonApi, packages, files }), null, 2));
}
