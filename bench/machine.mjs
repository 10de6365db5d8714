// What the figures were measured on, and with.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { native } from "../dist/native.js";
import { output, python } from "./processes.mjs";

const textOf = (file) => (existsSync(file) ? readFileSync(file, "utf8") : "");

/** Python's and its `cryptography`'s versions; undefined where they are not installed. */
async function pythonVersions() {
  const code =
    "import platform, cryptography\n" +
    "from cryptography.hazmat.backends.openssl.backend import backend\n" +
    "print(platform.python_version(), cryptography.__version__, backend.openssl_version_text(), sep='|')";
  const text = await output(python, ["-c", code]).catch(() => undefined);
  const [version, cryptography, opensslCryptography] = text?.trim().split("|") ?? [];
  return { python: version, cryptography, opensslCryptography };
}

/**
 * What makes one libcrypto faster than another: the processor's own instructions for wide integers, AES and GCM
 * (Linux's names for them).
 */
function features() {
  const [, flags = ""] = /^(?:flags|Features)\s*: (.*)$/m.exec(textOf("/proc/cpuinfo")) ?? [];
  return flags.split(" ").filter((flag) => /^(avx2|avx512f|avx512ifma|vaes|vpclmulqdq|sve2?|aes|pmull)$/.test(flag));
}

export async function machine() {
  const build = native.getBuildInfo();
  const [, distribution = process.platform] = /^PRETTY_NAME="?([^"\n]*)/m.exec(textOf("/etc/os-release")) ?? [];
  return {
    machine: {
      ...{ cpu: cpus()[0]?.model.trim() ?? "unknown", features: features(), cores: availableParallelism() },
      ...{ memoryBytes: totalmem(), system: `${distribution}, kernel ${release()}, ${process.arch}` },
      ...{ loadAtStart: loadavg()[0], memoryLocking: native.memoryInfo().mechanism },
    },
    versions: {
      ...{ nomyoNative: build.version, buildType: build.buildType, compiler: build.compiler },
      ...{ opensslNative: build.opensslVersion, opensslNode: process.versions.openssl },
      ...{ node: process.version, v8: process.versions.v8 },
      opensslCommand: (await output("openssl", ["version"]))?.trim(),
      swtpm: (await output("swtpm", ["--version"]))?.split(",", 1)[0],
      ...(await pythonVersions()),
    },
  };
}
