/** `doctor --fix`: the commands for each place, and that none is given where nothing is to be done (docs/cli.md). */
import { spawnSync } from "node:child_process";
import { distributionOf, fixCommands, unitOf } from "../../../lib/cli/fix-commands.js";
import type { Place } from "../../../lib/cli/fix-commands.js";
import { runDoctor } from "../../../lib/cli/doctor.js";
import { gatherFacts } from "../../../lib/cli/machine-facts.js";
import type { Facts } from "../../../lib/cli/machine-facts.js";
import type { MemoryInfo } from "../../../lib/native.js";
import { runCommand, testStreams } from "../../support/command-line.js";
import { blocksOf } from "../../support/document-blocks.js";

const here = gatherFacts();
const withMemory = (memory: Partial<MemoryInfo>): Facts => ({
  ...here,
  platform: "linux",
  requiredRefused: undefined,
  tss: { available: true, detail: "" },
  memory: {
    ...here.memory,
    lockLimitSoft: 1 << 30,
    lockLimitHard: 1 << 30,
    swapEnabled: false,
    coreDumpsEnabled: false,
    ptraceScope: 1,
    lockRefused: null,
    weakerBecause: null,
    ...memory,
  },
});
const low = withMemory({ lockLimitSoft: 65_536, lockLimitHard: 65_536, coreDumpsEnabled: true });
const place = (part: Partial<Place>): Place => ({
  kind: "plain",
  unit: undefined,
  isUserUnit: false,
  user: "app",
  distribution: "debian",
  ...part,
});

test("nothing to do: no command", () => {
  expect(fixCommands(withMemory({}), place({}))).toBe("# Nothing is to be done.\n");
});

test.each<[string, Partial<Place>, readonly string[]]>([
  [
    "a unit of systemd",
    { kind: "systemd", unit: "app.service" },
    [
      "/etc/systemd/system/app.service.d/nomyo-native.conf",
      "LimitMEMLOCK=64M\\nLimitCORE=0",
      "sudo systemctl restart app.service",
    ],
  ],
  [
    "a unit of a user's own",
    { kind: "systemd", unit: "app.service", isUserUnit: true },
    ["mkdir -p ~/.config/systemd/user/app.service.d", "systemctl --user restart app.service"],
  ],
  ["Docker", { kind: "docker" }, ["docker run --ulimit memlock=67108864:67108864 --ulimit core=0"]],
  ["Kubernetes", { kind: "kubernetes" }, ["containerd.service.d", "kubectl rollout restart"]],
  [
    "a login",
    { kind: "plain" },
    [
      "app - memlock 65536",
      "/etc/security/limits.d/nomyo-native.conf",
      "prlimit --pid $$ --memlock=67108864:67108864",
      "ulimit -c 0",
    ],
  ],
])("a low lock limit in %s", (_what, part, commands) => {
  const text = fixCommands(low, place(part));
  for (const command of commands) expect(text).toContain(command);
  // Each line is a comment or a command that a shell can parse.
  expect(spawnSync("bash", ["-n"], { input: text, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
});

test.each<[string, Facts, Partial<Place>, string]>([
  ["swap", withMemory({ swapEnabled: true }), {}, "sudo swapoff -a"],
  ["core dumps", withMemory({ coreDumpsEnabled: true }), { kind: "systemd", unit: "a.service" }, "LimitCORE=0"],
  ["ptrace", withMemory({ ptraceScope: 0 }), {}, "sudo sysctl -w kernel.yama.ptrace_scope=1"],
  [
    "a filter",
    withMemory({ weakerBecause: { call: "memfd_secret", error: "EPERM", errno: 1, cause: "jail" } }),
    { kind: "systemd", unit: "a.service" },
    "SystemCallFilter=memfd_secret @memlock",
  ],
  [
    "an old kernel",
    withMemory({ weakerBecause: { call: "memfd_secret", error: "ENOSYS", errno: 38, cause: "unavailable" } }),
    {},
    "secretmem.enable=1",
  ],
  [
    "tpm2-tss",
    { ...withMemory({}), tss: { available: false, detail: "" } },
    { distribution: "fedora" },
    "dnf install -y tpm2-tss",
  ],
  [
    "tpm2-tss, elsewhere",
    { ...withMemory({}), tss: { available: false, detail: "" } },
    { distribution: "x" },
    "not known",
  ],
])("%s", (_what, facts, part, command) => {
  expect(fixCommands(facts, place(part))).toContain(command);
});

test.each([
  ["0::/system.slice/app.service", "app.service", false],
  ["0::/user.slice/user-1000.slice/user@1000.service/app.slice/app@1.service", "app@1.service", true],
  ["0::/user.slice/user-1000.slice/session-3.scope", undefined, false],
  ["0::/user.slice/user-1000.slice/user@1000.service", undefined, false],
  // A name that a shell would run.
  ["0::/system.slice/a$(reboot).service", undefined, false],
  ["", undefined, false],
])("the control group %s is of the unit %s", (cgroup, unit, isUserUnit) => {
  expect(unitOf(cgroup)).toEqual({ unit, isUserUnit });
});

test("the distribution is read of /etc/os-release", () => {
  expect(distributionOf('NAME="x"\nVERSION_ID="12"\nID=debian\n')).toBe("debian");
  expect(distributionOf('ID="fedora"\n')).toBe("fedora");
  expect(distributionOf("ID=a;reboot\n")).toBeUndefined();
});

test("the commands of docs/cli.md are these", async () => {
  const [block] = blocksOf("docs/cli.md").filter(({ runBy }) => runBy?.endsWith("/fix-commands.test.ts"));
  const lines = block!.code.split("\n").map((line) => line.replace(/ *#.*/, "").split(" "));
  expect(lines.map(([name, ...args]) => [name, args])).toEqual([
    ["nomyo-native", ["doctor"]],
    ["nomyo-native", ["doctor", "--fix"]],
  ]);
  for (const [, ...args] of lines) expect([0, 1]).toContain((await runCommand(args)).code);
});

test("the command prints them, and has colours at a terminal only", async () => {
  const { stdout, code } = await runCommand(["doctor", "--fix"]);
  expect(stdout).toMatch(/^# /);
  expect([0, 1]).toContain(code);
  expect((await runCommand(["doctor", "--fix", "--json"])).code).toBe(2);
  const streams = testStreams({ terminal: true });
  await runDoctor([], streams);
  await streams.stdout.flush();
  expect(streams.text.stdout).toContain("\u001b[32mok     \u001b[0m  Node.js");
  expect((await runCommand(["doctor"])).stdout).not.toContain("\u001b");
});
