// node scripts/check-prebuild.mjs FILE SYSROOT: fails unless a prebuilt addon for Linux with glibc is fit to be
// published: loads on every system that docs/support.md names, needs nothing but the C library, holds the newest
// OpenSSL, and no path or key of the machine that made it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** What Node 20's own binaries ask for: RHEL 8, Debian 10, Ubuntu 20.04 and all that is newer. */
const glibcFloor = [2, 28];
/** Parts of glibc. An addon that needs another library would not load where that is missing. */
const libraries = [
  /^libc\.so\.6$/,
  /^libm\.so\.6$/,
  /^libdl\.so\.2$/,
  /^libpthread\.so\.0$/,
  /^ld-linux-(x86-64\.so\.2|aarch64\.so\.1)$/,
];
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every complaint about a file, none if it is fit. `read` is how readelf's answers are had. */
export function complaints({ symbols, dynamic, header, bytes, opensslPackage, machine, privatePaths }) {
  const found = [];
  for (const [, name, version] of symbols.matchAll(/(\S+)@{1,2}GLIBC_([\d.]+)/g)) {
    const [major, minor] = version.split(".").map(Number);
    if (major > glibcFloor[0] || (major === glibcFloor[0] && minor > glibcFloor[1])) {
      found.push(`${name} needs glibc ${version}, and ${glibcFloor.join(".")} is promised`);
    }
  }
  for (const line of symbols.split("\n")) {
    const [, , , type, binding, , section, name] = line.trim().split(/\s+/);
    if (section === "UND" && name && !/@|^napi_|^node_api_/.test(name) && binding !== "WEAK" && type !== "SECTION") {
      found.push(`${name} is defined nowhere`);
    }
    if (/GLIBCXX|CXXABI|GCC_\d/.test(name ?? "")) found.push(`${name} comes from the system's libstdc++ or libgcc`);
  }
  for (const [, library] of dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
    if (!libraries.some((known) => known.test(library))) found.push(`it needs ${library}`);
  }
  if (!dynamic.includes("(NEEDED)")) found.push("readelf shows no library that it needs");
  if (/\((RPATH|RUNPATH)\)/.test(dynamic)) found.push("it looks for libraries in a folder of its own");
  if (!header.includes(machine)) found.push(`it is not for ${machine}`);
  // 3.5.9-1~deb13u1 is OpenSSL 3.5.9.
  const version = `OpenSSL ${opensslPackage.replace(/^\d+:/, "").replace(/[-~+].*/, "")} `;
  if (!bytes.includes(version)) found.push(`it does not hold ${version.trim()}, the newest that its release has`);
  for (const path of privatePaths) if (bytes.includes(path)) found.push(`it holds a path of this machine: ${path}`);
  for (const path of bytes.match(/\/(home|root|Users)\/[\w./-]+/g) ?? [])
    found.push(`it holds a private path: ${path}`);
  // A whole key; libcrypto and this package hold the words that begin one, to recognise them.
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----[\r\n]+[\w+/=\r\n]{64}/.test(bytes)) found.push("it holds a private key");
  return found;
}

/** What scripts/sysroot noted of a package. */
export function packageVersion(packages, name) {
  const line = packages.split("\n").find((each) => each.split(" ")[1] === name);
  if (line === undefined) throw new Error(`the sysroot has no package ${name}`);
  return line.split(" ")[2];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, sysroot] = process.argv.slice(2);
  if (sysroot === undefined) throw new Error("usage: node scripts/check-prebuild.mjs FILE SYSROOT");
  const readelf = (...args) => execFileSync("readelf", [...args, file], { encoding: "latin1", maxBuffer: 64 << 20 });
  const found = complaints({
    symbols: readelf("-W", "--dyn-syms"),
    dynamic: readelf("-dW"),
    header: readelf("-hW"),
    bytes: readFileSync(file, "latin1"),
    opensslPackage: packageVersion(readFileSync(join(sysroot, "packages"), "utf8"), "libssl-dev"),
    machine: file.includes("linux-arm64") ? "AArch64" : "X86-64",
    privatePaths: [root, resolve(sysroot), resolve(dirname(file), "../.."), homedir(), tmpdir()].filter(
      (path) => path.length > 4,
    ),
  });
  for (const each of found) console.error(`${file}: ${each}`);
  if (found.length > 0) process.exit(1);
}
