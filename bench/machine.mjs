// What the figures were measured on, and with.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { native } from "../dist/native.js";
import { output, python } from "./processes.mjs";

function distribution() {
  if (!existsSync("/etc/os-release")) return process.platform;
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? process.platform;
}

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

export async function machine() {
  const build = native.getBuildInfo();
  return {
    machine: {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      system: `${distribution()}, kernel ${release()}, ${process.arch}`,
      loadAtStart: loadavg()[0],
      memoryLocking: native.memoryInfo().mechanism,
    },
    versions: {
      nomyoNative: build.version,
      buildType: build.buildType,
      compiler: build.compiler,
      opensslNative: build.opensslVersion,
      node: process.version,
      v8: process.versions.v8,
      opensslNode: process.versions.openssl,
      opensslCommand: (await output("openssl", ["version"]))?.trim(),
      ...(await pythonVersions()),
    },
  };
}
