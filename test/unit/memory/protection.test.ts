import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { getMemoryProtectionInfo, hardenProcess, SecureBuffer } from "../../../lib/index.js";
import { copyPackage } from "../../support/package-copy.js";
import type { PackageCopy } from "../../support/package-copy.js";
import { unprivileged } from "../../support/subject.js";

// Other accounts run it too, and cannot enter the folder of one who has checked it out at home.
let copy: PackageCopy;
beforeAll(() => {
  copy = copyPackage();
});
afterAll(() => copy.remove());

const onLinux = process.platform === "linux" ? it : it.skip;

/** Runs `code` with `native` in a process of its own, and returns what it prints as JSON. */
function inProcess(code: string, before: readonly string[] = []): unknown {
  const addon = JSON.stringify(copy.path("build/Release/nomyo_native.node"));
  const script =
    `const native = require(${addon}); const print = (v) => process.stdout.write(JSON.stringify(v)); ` + code;
  const command = [...before, copy.node, "-e", script];
  // Not in this folder, which other accounts may not be able to read: `node -e` asks where it is.
  return JSON.parse(execFileSync(command[0]!, command.slice(1), { cwd: "/", encoding: "utf8" }));
}

describe("getMemoryProtectionInfo", () => {
  it("counts what is handed out, to the byte", () => {
    const before = getMemoryProtectionInfo().stats;
    const buffer = SecureBuffer.alloc(12_345);
    const during = getMemoryProtectionInfo().stats;
    buffer.dispose();
    const after = getMemoryProtectionInfo().stats;
    expect(during.bytesInUse - before.bytesInUse).toBe(12_345);
    expect(during.bytesPeak).toBeGreaterThanOrEqual(during.bytesInUse);
    expect(during.totalAllocations - before.totalAllocations).toBe(1);
    expect(after.bytesInUse).toBe(before.bytesInUse);
    expect(during.bytesLocked).toBeGreaterThanOrEqual(12_345);
    expect(during.bytesMapped).toBeGreaterThanOrEqual(during.bytesLocked);
  });

  it("names the OpenSSL that runs, and says that it allocates from the pool", () => {
    const info = getMemoryProtectionInfo();
    expect(info.opensslVersion).toMatch(/^OpenSSL 3\./);
    expect(info.opensslInPool).toBe(true);
    // Other files' tests, in this process before, may have gone on in memory that is not locked, under `preferred`.
    expect(info.lockingMet).toBe(info.degraded ? "preferred" : "required");
  });

  onLinux("agrees with what the kernel says of locked memory, swap and ptrace", () => {
    using buffer = SecureBuffer.alloc(300_000);
    const info = getMemoryProtectionInfo();
    expect(["memfd_secret", "mlock"]).toContain(info.mechanism);
    const locked = /^VmLck:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    expect(Number(locked) * 1024).toBe(info.stats.bytesLocked);
    const { memfd_secret: hidden, mlock } = info.stats.bytesLockedBy;
    expect(hidden + mlock).toBe(info.stats.bytesLocked);
    expect(info.swapEnabled).toBe(readFileSync("/proc/swaps", "utf8").trim().split("\n").length > 1);
    let scope: number | null = null;
    try {
      scope = Number(readFileSync("/proc/sys/kernel/yama/ptrace_scope", "utf8"));
    } catch {
      // no Yama in this kernel
    }
    expect(info.ptraceScope).toBe(scope);
    expect(buffer.locked).toBe(true);
  });

  onLinux("knows whether the process may dump core", () => {
    const piped = readFileSync("/proc/sys/kernel/core_pattern", "utf8").startsWith("|");
    const code = "print(native.memoryInfo().coreDumpsEnabled)";
    expect(inProcess(code, ["prlimit", "--core=unlimited"])).toBe(true);
    expect(inProcess(code, ["prlimit", "--core=0"])).toBe(piped);
  });
});

describe("hardenProcess", () => {
  onLinux("turns core dumps off and makes the process not dumpable", () => {
    const result = inProcess(
      `native.hardenProcess();
       const { readFileSync, statSync } = require("node:fs");
       const core = /Max core file size *(\\S+) *(\\S+)/.exec(readFileSync("/proc/self/limits", "utf8"));
       print({ enabled: native.memoryInfo().coreDumpsEnabled, owner: statSync("/proc/self/mem").uid,
               limits: core.slice(1) });`,
      ["prlimit", "--core=unlimited"],
    );
    // The files in /proc of a process that is not dumpable are root's.
    expect(result).toEqual({ enabled: false, owner: 0, limits: ["0", "0"] });
  });

  it("is a function of the package", () => {
    expect(typeof hardenProcess).toBe("function");
  });
});

describe("the mechanism", () => {
  onLinux("is memfd_secret or mlock, as chosen, once for the process", () => {
    const code = (name: string) => `
      native.setMemoryMechanism("${name}");
      const buffer = native.bufferFrom("secret", "required");
      let late;
      native.setMemoryMechanism("${name}"); // the same again is nothing new
      const other = "${name}" === "mlock" ? "memfd_secret" : "mlock";
      try { native.setMemoryMechanism(other); } catch (error) { late = error.code; }
      print({ mechanism: native.memoryInfo().mechanism, locked: native.bufferLocked(buffer), late });`;
    expect(inProcess(code("mlock"))).toEqual({ mechanism: "mlock", locked: true, late: "INVALID_ARGUMENT" });
    if (getMemoryProtectionInfo().mechanism === "memfd_secret") {
      expect(inProcess(code("memfd_secret"))).toEqual({
        mechanism: "memfd_secret",
        locked: true,
        late: "INVALID_ARGUMENT",
      });
    }
  });
});

describe("what is made of an answer when no more can be locked", () => {
  // Strings with escapes are decoded in memory of the pool.
  const code = (locking: string) => `
    (async () => {
      const key = await native.generatePrivateKey(2048, "required");
      const text = JSON.stringify({ a: "\\n".repeat(40000), b: "\\u00e9\\t\\u20ac".repeat(9000), c: "x" });
      const package_ = native.sealBytes(native.privateKeyPublic(key), Buffer.from(text),
        { maxPlaintextBytes: 1 << 20, locking: "required" });
      const opened = await native.open(key, package_, { maxPlaintextBytes: 1 << 20, maxDepth: 10 }, "${locking}");
      const all = [];
      for (let size = 1 << 20; size >= 1024; ) {
        try { all.push(native.bufferAlloc(size, "required")); } catch { size >>= 1; }
      }
      let value, error;
      try { value = native.openedValue(opened); native.openedGet(opened, "/c"); } catch (e) { error = e.code; }
      const { degraded, stats } = native.memoryInfo();
      print({ same: JSON.stringify(value) === JSON.stringify(JSON.parse(text)), error, degraded,
              unlocked: stats.bytesMapped - stats.bytesLocked });
    })();`;

  onLinux("under required it stays in locked memory, in smaller pieces", () => {
    expect(inProcess(code("required"), unprivileged(2 << 20))).toEqual({
      same: true,
      degraded: false,
      unlocked: 0,
    });
  });

  onLinux("under preferred it goes on, and that is reported if the memory was not locked", () => {
    const result = inProcess(code("preferred"), unprivileged(2 << 20)) as { unlocked: number };
    expect(result).toMatchObject({ same: true, degraded: result.unlocked > 0 });
  });
});

describe("an account with a lock limit", () => {
  const tryBoth = `
    const attempt = (work) => {
      try { return work() ?? "works"; } catch ({ code, message }) { return { code, message }; }
    };
    print({ required: attempt(() => native.memoryProbe(1 << 20, "required")),
            preferred: attempt(() => native.bufferLocked(native.bufferAlloc(1 << 20, "preferred"))),
            off: attempt(() => native.bufferLocked(native.bufferAlloc(1 << 20, "off"))),
            degraded: native.memoryInfo().degraded, soft: native.memoryInfo().lockLimitSoft });`;

  onLinux("of 64 KiB: required explains itself, preferred works and is reported", () => {
    const result = inProcess(tryBoth, unprivileged(64 * 1024)) as { required: { message: string } };
    expect(result).toMatchObject({
      required: { code: "MEMORY_LOCK" },
      preferred: false,
      off: false,
      degraded: true,
      soft: 65_536,
    });
    for (const part of [
      "1048576 bytes",
      "65536 bytes",
      "ulimit -l",
      "LimitMEMLOCK",
      "--ulimit memlock",
      "Kubernetes",
    ]) {
      expect(result.required.message).toContain(part);
    }
  });

  onLinux("of 8 MiB: required works", () => {
    expect(inProcess(tryBoth, unprivileged(8 << 20))).toMatchObject({
      required: "works",
      preferred: true,
      off: false,
      degraded: false,
      soft: 8 << 20,
    });
  });

  onLinux("has its soft limit raised to the hard one when need be", () => {
    const [prlimit = "", , ...rest] = unprivileged(0);
    const result = inProcess(tryBoth, [prlimit, `--memlock=65536:${8 << 20}`, ...rest]);
    expect(result).toMatchObject({ required: "works", soft: 8 << 20 });
  });
});
