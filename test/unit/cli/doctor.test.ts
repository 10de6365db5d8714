import { examine, render, runDoctor } from "../../../lib/cli/doctor.js";
import type { Finding } from "../../../lib/cli/doctor.js";
import { gatherFacts } from "../../../lib/cli/machine-facts.js";
import type { Facts } from "../../../lib/cli/machine-facts.js";
import type { MemoryInfo } from "../../../lib/native.js";
import { testStreams } from "../../support/command-line.js";

/** A machine on which everything is as it should be. */
const good: Facts = {
  platform: "linux",
  arch: "x64",
  nodeVersion: "v22.14.0",
  build: {
    version: "1.2.3",
    opensslVersion: "OpenSSL 3.5.1 1 Jul 2025",
    opensslBuiltWith: "OpenSSL 3.5.1 1 Jul 2025",
    opensslIsOwn: true,
    napiVersion: 9,
    compiler: "gcc 12",
    buildType: "release",
  },
  memory: {
    mechanism: "memfd_secret",
    mechanismChosen: null,
    lockLimitSoft: 8 << 20,
    lockLimitHard: 8 << 20,
    swapEnabled: false,
    coreDumpsEnabled: false,
    ptraceScope: 1,
    degraded: false,
    lockRefused: null,
    weakerBecause: null,
    opensslInPool: true,
    stats: {
      bytesMapped: 65_536,
      bytesLocked: 65_536,
      bytesLockedBy: { memfd_secret: 65_536, mlock: 0, VirtualLock: 0 },
      bytesInUse: 100,
      bytesPeak: 100,
      allocations: 1,
      totalAllocations: 1,
      chunks: 1,
    },
    threads: { started: 0, limit: 2, limitChosen: false, queued: 0, running: 0 },
  },
  seccomp: false,
  requiredRefused: undefined,
  tss: { available: true, detail: "libtss2-mu.so.0, libtss2-esys.so.0" },
};

const noSuchCall = { call: "memfd_secret", error: "ENOSYS", errno: 38, cause: "unavailable" } as const;
const noDescriptors = { call: "memfd_secret", error: "EMFILE", errno: 24, cause: "descriptors" } as const;

const withMemory = (memory: Partial<MemoryInfo>): Facts => ({ ...good, memory: { ...good.memory, ...memory } });

function finding(facts: Facts, name: string): Finding {
  return examine(facts).findings.find((each) => each.name === name)!;
}

async function run(args: readonly string[]): Promise<{ code: number; out: string }> {
  const streams = testStreams();
  const code = await runDoctor(args, streams);
  await streams.stdout.flush();
  return { code, out: streams.text.stdout };
}

describe("the doctor's judgement", () => {
  it("finds nothing to say about a good machine", () => {
    const report = examine(good);
    expect(report.requiredMet).toBe(true);
    expect(report.findings.every(({ state }) => state === "ok")).toBe(true);
    expect(report.verdict).toBe('secureMemory "required" works here: keys, prompts and answers stay in locked memory.');
  });

  it.each<[string, Facts, string]>([
    ["Lock limit", { ...good, requiredRefused: "Memory could not be locked: raise the limit." }, "raise the limit"],
    ["Memory locking", withMemory({ mechanism: "none" }), "lock limit"],
    ["OpenSSL", withMemory({ opensslInPool: false }), "build:native"],
    ["Node.js", { ...good, nodeVersion: "v18.20.0" }, "20"],
  ])("%s: a problem means that `required` is not met", (name, facts, next) => {
    expect(finding(facts, name)).toMatchObject({ state: "problem", next: expect.stringContaining(next) });
    expect(examine(facts).requiredMet).toBe(false);
    expect(examine(facts).verdict).toContain("does not work here");
  });

  it.each<[string, boolean | undefined, string]>([
    ["a jail", true, "by a seccomp filter, which is in force"],
    ["a policy", false, "by a security module (SELinux"],
    ["a jail or a policy", undefined, "by a filter of system calls (seccomp) or a security module"],
  ])("tells a limit from %s that refuses the call", (_, seccomp, found) => {
    const facts: Facts = {
      ...withMemory({ mechanism: "none", lockRefused: { call: "mlock", error: "EPERM", errno: 1, cause: "jail" } }),
      seccomp,
      requiredRefused: "Memory could not be locked (mlock: EPERM).",
    };
    expect(finding(facts, "Lock limit").state).toBe("ok");
    expect(finding(facts, "Memory locking")).toMatchObject({
      state: "problem",
      found: expect.stringContaining(found),
      next: "Memory could not be locked (mlock: EPERM).",
    });
    expect(finding(facts, "Memory locking").found).toContain("refused (mlock: EPERM (1))");
    expect(examine(facts).requiredMet).toBe(false);
  });

  it.each<[string, Facts, string, string]>([
    ["Lock limit", withMemory({ lockLimitSoft: 65_536, lockLimitHard: 2 << 20 }), "2 MiB", "LimitMEMLOCK"],
    ["Memory locking", withMemory({ mechanism: "mlock" }), "readable for root", "memfd_secret"],
    ["Memory locking", withMemory({ mechanism: "mlock", weakerBecause: noSuchCall }), "mlock", "secretmem.enable=1"],
    [
      "Memory locking",
      withMemory({ mechanism: "mixed", weakerBecause: noDescriptors }),
      "memfd_secret and mlock",
      "ulimit -n",
    ],
    [
      "Memory locking",
      {
        ...withMemory({
          mechanism: "mlock",
          weakerBecause: { ...noSuchCall, error: "EPERM", errno: 1, cause: "jail" },
        }),
        seccomp: true,
      },
      "mlock",
      "(memfd_secret: EPERM (1)): a filter of system calls",
    ],
    ["Swap", withMemory({ swapEnabled: true }), "on", "swapoff"],
    ["Core dumps", withMemory({ coreDumpsEnabled: true }), "on", "hardenProcess()"],
    ["ptrace", withMemory({ ptraceScope: 0 }), "ptrace_scope=0", "kernel.yama.ptrace_scope to 1"],
    ["ptrace", withMemory({ ptraceScope: null }), "no Yama", "hardenProcess()"],
    [
      "tpm2-tss",
      { ...good, tss: { available: false, detail: "libtss2-mu.so.0 was not found" } },
      "not found",
      "apt-get install tpm2-tools",
    ],
    ["Node.js", { ...good, platform: "darwin" }, "darwin-x64", "has not been run"],
  ])("%s: advice leaves `required` met", (name, facts, found, next) => {
    expect(finding(facts, name)).toMatchObject({
      state: "advice",
      found: expect.stringContaining(found),
      next: expect.stringContaining(next),
    });
    expect(examine(facts).requiredMet).toBe(true);
    expect(examine(facts).verdict).toContain("One thing could be better");
  });

  it.each<[string, Facts]>([
    ["Swap", withMemory({ swapEnabled: null })],
    ["Core dumps", withMemory({ coreDumpsEnabled: null })],
    ["Lock limit", withMemory({ lockLimitSoft: null, lockLimitHard: null })],
    ["ptrace", { ...good, platform: "win32" }],
    ["Memory locking", withMemory({ mechanism: "mlock", mechanismChosen: "mlock" })],
    ["OpenSSL", { ...good, build: { ...good.build, opensslVersion: "OpenSSL 3.0.22 5 Nov 2026" } }],
  ])("%s: what cannot be told, or does not matter, is no advice", (name, facts) => {
    expect(finding(facts, name).state).toBe("ok");
  });
});

describe("the doctor says of threads", () => {
  const found = (limit: number, limitChosen: boolean) =>
    finding(withMemory({ threads: { ...good.memory.threads, limit, limitChosen } }), "Threads").found;

  it("how many there will be, what a stack takes, and whether somebody chose the number", () => {
    expect(found(2, false)).toMatch(/^up to 2 for .* stack of 128 KiB .* every job$/);
    expect(found(5, true)).toMatch(/^up to 5 for .*; as was chosen$/);
  });

  it("that of a chosen number no more start than half of the lock limit has room for", () => {
    const of = (limit: number, lockLimitHard: number | null) =>
      finding(withMemory({ lockLimitHard, threads: { ...good.memory.threads, limit, limitChosen: true } }), "Threads");
    expect(of(32, 8 << 20).state).toBe("ok");
    expect(of(64, null).state).toBe("ok");
    expect(of(33, 8 << 20)).toMatchObject({
      state: "advice",
      next: expect.stringMatching(/^No more than 32 will start: .*Raise the limit, or choose a smaller number/),
    });
  });
});

describe("the doctor's report", () => {
  it("has one entry for each thing, problems marked, next steps under them, and the verdict last", () => {
    const facts = { ...good, requiredRefused: "Memory could not be locked.", nodeVersion: "v18.0.0" };
    const text = render(examine(facts), 80);
    expect(text).toContain("nomyo-native 1.2.3\n");
    expect(text).toMatch(/^PROBLEM {2}Lock limit: 8 MiB .*\n {9}→ Memory could not be locked\.$/m);
    expect(text).toMatch(/^ok {7}Swap: off$/m);
    expect(text.replace(/\s+/g, " ")).toMatch(/until the problems above are solved\. $/);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe("nomyo-native doctor", () => {
  it("reports this machine, and its exit code says whether `required` is met", async () => {
    const { code, out } = await run([]);
    const { requiredMet } = examine(gatherFacts());
    expect(code).toBe(requiredMet ? 0 : 1);
    for (const name of [
      "Node.js",
      "OpenSSL",
      "Lock limit",
      "Memory locking",
      "Swap",
      "Core dumps",
      "ptrace",
      "tpm2-tss",
    ]) {
      expect(out).toContain(`${name}: `);
    }
  });

  it("gives the same as JSON", async () => {
    const { out } = await run(["--json"]);
    const report = JSON.parse(out);
    expect(report.requiredMet).toBe(examine(gatherFacts()).requiredMet);
    expect(report.findings).toHaveLength(9);
    expect(report.facts.memory.opensslInPool).toBe(true);
  });

  it("explains itself, and refuses arguments that it does not know", async () => {
    expect((await run(["--help"])).out).toContain("Exit codes");
    await expect(run(["--jsn"])).rejects.toThrow();
    await expect(run(["extra"])).rejects.toThrow();
  });
});
