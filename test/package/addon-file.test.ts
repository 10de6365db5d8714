/** The built addon as a file: what it exports, what it needs, and whose OpenSSL it runs. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { native } from "../../lib/native.js";

const root = join(__dirname, "../..");
const file = join(root, "build/Release/nomyo_native.node");
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: "utf8" });

/** What the addon was linked from: one object for each file of `native/addon`, or for several. */
function linkedObjects(): readonly string[] {
  const build = join(root, "build/cmake");
  const line = /^build \S*nomyo_native\.node: \S*LINKER\S* (.*)$/m.exec(
    readFileSync(join(build, "build.ninja"), "utf8"),
  );
  const inputs = line?.[1]?.split(" | ")[0]?.split(" ") ?? [];
  return inputs.filter((name) => name.endsWith(".o")).map((name) => join(build, name));
}

/** Highway's library, where the core was built with it. */
const highway = () => {
  const found = run("sh", "-c", "ls /usr/lib/*/libhwy.a 2>/dev/null || true").trim();
  return found === "" ? [] : [found];
};

describe("the addon file", () => {
  test("exports the two Node-API symbols and nothing else", () => {
    const symbols = run("nm", "-D", "--defined-only", "--format=posix", file)
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0]);
    expect(symbols.sort()).toEqual(["napi_register_module_v1", "node_api_module_get_api_version_v1"]);
  });

  test("needs no shared OpenSSL, tpm2-tss or C++ library", () => {
    const needed = [...run("readelf", "-d", file).matchAll(/NEEDED.*\[(.+)\]/g)].map((match) => match[1]!);
    for (const library of needed) expect(library).toMatch(/^(libc|libm|libdl|libpthread|ld-linux-.*)\.so/);
    expect(needed.length).toBeGreaterThan(0);
  });

  test("resolves no OpenSSL symbol outside itself, where Node's own copy would answer", () => {
    const undefinedSymbols = run("nm", "-D", "--undefined-only", "--format=posix", file);
    expect(undefinedSymbols).not.toMatch(/^(EVP|OPENSSL|CRYPTO|RSA|BN|ERR|OSSL|PEM|X509|d2i|i2d)_/m);
  });

  test("cannot be unmapped, is bound at load, and has no executable stack", () => {
    const dynamic = run("readelf", "-d", file);
    expect(dynamic).toMatch(/NODELETE/);
    expect(dynamic).toMatch(/BIND_NOW|NOW/);
    expect(run("readelf", "-lW", file)).toMatch(/GNU_STACK.* RW +0x/);
    expect(run("readelf", "-lW", file)).toMatch(/GNU_RELRO/);
  });

  test("runs an OpenSSL 3 of its own, not the one of Node", () => {
    const info = native.getBuildInfo();
    expect(info.opensslIsOwn).toBe(true);
    expect(info.opensslVersion).toMatch(/^OpenSSL 3\.\d+\.\d+ /);
    // The command line comes from the same Debian source package as the static library that was linked.
    expect(info.opensslVersion.split(" ")[1]).toBe(run("openssl", "version").split(" ")[1]);
  });

  test("linked without the flags that hide its OpenSSL, it refuses to load", () => {
    const folder = mkdtempSync(join(tmpdir(), "nomyo-addon-"));
    try {
      const objects = linkedObjects();
      expect(objects.length).toBeGreaterThan(0);
      const wrong = join(folder, "wrong.node");
      const core = join(root, "build/cmake/native/libnomyo_core.a");
      run("g++", "-shared", "-o", wrong, ...objects, core, "-lcrypto", ...highway());
      const load = spawnSync(process.execPath, ["-e", `require(${JSON.stringify(wrong)})`], { encoding: "utf8" });
      expect(load.status).toBe(1);
      expect(load.stderr).toMatch(/refuses to load: its cryptography was bound to another copy of OpenSSL/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("has no test hook: nothing gives a key out, and no variable of the environment changes what it does", () => {
    const names = Object.keys(native);
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => /forensic|forTest|aesKey/i.test(name))).toEqual([]);
    const bytes = readFileSync(file);
    expect(bytes.includes("openedValue")).toBe(true);
    for (const word of ["orensic", "FORENSIC", "NOMYO_NATIVE"]) expect(bytes.includes(word)).toBe(false);
    const sources = ["native/addon", "native/core"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(cc|h)$/.test(name))
        .map((name) => join(root, folder, name)),
    );
    // How tpm2-tss is kept from writing to stderr is that library's matter.
    const asking = sources.filter((name) => /\bgetenv\(/.test(readFileSync(name, "utf8")));
    expect(asking.filter((name) => !name.includes("attestation"))).toEqual([]);
  });

  test("getBuildInfo names this package's version", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(native.getBuildInfo().version).toBe(version);
  });
});
