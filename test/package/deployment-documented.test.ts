/**
 * The numbers of docs/deployment.md, and of what is deployed as it says, are those that `doctor` goes by and prints.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { examine, render } from "../../lib/cli/doctor.js";
import { gatherFacts, REQUIRED_BYTES } from "../../lib/cli/machine-facts.js";
import type { Facts } from "../../lib/cli/machine-facts.js";
import { fixCommands } from "../../lib/cli/fix-commands.js";
import type { Place } from "../../lib/cli/fix-commands.js";
import type { MemoryInfo } from "../../lib/native.js";
import { root } from "../support/built-package.js";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const document = read("docs/deployment.md");
const MIB = 1024 * 1024;

const withLimit = (bytes: number, memory: Partial<MemoryInfo> = {}): Facts => {
  const here = gatherFacts();
  const limits = { lockLimitSoft: bytes, lockLimitHard: bytes, swapEnabled: false, coreDumpsEnabled: true };
  const none = { ptraceScope: 1, lockRefused: null, weakerBecause: null };
  return {
    ...here,
    platform: "linux",
    requiredRefused: undefined,
    tss: { available: true, detail: "" },
    memory: { ...here.memory, ...limits, ...none, ...memory },
  };
};
const commands = (kind: Place["kind"], facts = withLimit(65_536)): string =>
  fixCommands(facts, { kind, unit: "app.service", isUserUnit: false, user: "ACCOUNT", distribution: "debian" });
const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((match) => match[1]!);

test.each<[Place["kind"], readonly RegExp[]]>([
  ["plain", [/'(ACCOUNT - memlock \d+)\\n'/, /(\/etc\/security\/limits\.d\/\S+\.conf)/]],
  ["systemd", [/(LimitMEMLOCK=\w+)/, /(LimitCORE=0)/]],
  ["docker", [/(--ulimit memlock=\S+ --ulimit core=0)/, /memlock: (\{ soft: \d+, hard: \d+ \})/]],
  ["kubernetes", [/(LimitMEMLOCK=\w+)/, /(\/etc\/systemd\/system\/containerd\.service\.d\/\S+\.conf)/]],
])("the commands of --fix for %s stand there too", (kind, patterns) => {
  for (const pattern of patterns) {
    const [, said] = pattern.exec(commands(kind)) ?? [];
    expect(said).toBeDefined();
    expect(document).toContain(said);
  }
});

test("there is one lock limit for a service, in each of its units", () => {
  const [, text = ""] = /--ulimit memlock=(\d+):/.exec(commands("docker")) ?? [];
  const limit = Number(text);
  expect(document).toContain(`give a busy service ${limit / MIB} MiB or more`);
  const bytes = /\bmemlock=(\d+:\d+)|(?:soft|hard)(?::| =) (\d+)/g;
  expect(new Set([...document.matchAll(bytes)].flatMap((found) => (found[1] ?? found[2]!).split(":")))).toEqual(
    new Set([text]),
  );
  expect(new Set(all(document, /LimitMEMLOCK=(\w+)/g))).toEqual(new Set([`${limit / MIB}M`]));
  expect(new Set(all(document, /(?:ulimit -l|memlock) (\d+)/g))).toEqual(new Set([`${limit / 1024}`]));
});

test("what doctor tries, and what it advises", () => {
  expect(document).toContain(`tries to lock ${REQUIRED_BYTES / MIB} MiB`);
  const limitOf = (bytes: number) => examine(withLimit(bytes)).findings.find(({ name }) => name === "Lock limit")!;
  const [, least = ""] = /advises at least (\d+) MiB/.exec(document) ?? [];
  expect(limitOf(Number(least) * MIB).state).toBe("ok");
  expect(limitOf(Number(least) * MIB - 1).state).toBe("advice");
  expect(render(examine(withLimit(MIB)), 1000)).toContain(`Raise it to ${least} MiB or more`);
  expect(document).toContain(`Often ${least} MiB are there`);
});

test("what --fix lets through the filter of a unit, the document's unit does", () => {
  const refused = { call: "memfd_secret", error: "EPERM", errno: 1, cause: "jail" } as const;
  const [, said = ""] =
    /SystemCallFilter=([^\\]*)/.exec(commands("systemd", withLimit(64 * MIB, { weakerBecause: refused }))) ?? [];
  // @memlock is a part of @system-service, which the document's unit begins with.
  const allowed = all(document, /^SystemCallFilter=(.*)$/gm).flatMap((line) => line.split(" "));
  expect(allowed).toEqual(
    expect.arrayContaining([...said.split(" ").filter((name) => name !== "@memlock"), "@system-service"]),
  );
});

test("a router's limit is the same in documents, units and images", () => {
  const [, text = ""] = /a router (\d+) MiB/.exec(document) ?? [];
  const files = [
    "docs/router.md",
    "docs/proxy.md",
    "deploy/systemd/nomyo-router.service",
    "deploy/systemd/nomyo-proxy.service",
  ];
  for (const file of files) expect(all(read(file), /LimitMEMLOCK=(\w+)/g)).toEqual([`${text}M`]);
  const bytes = Number(text) * MIB;
  expect(read("deploy/docker/router.Dockerfile")).toContain(`memlock=${bytes}:${bytes} `);
});
