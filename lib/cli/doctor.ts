/**
 * `nomyo-native doctor`: what of this package works on this machine and under this account, and what to do about the
 * rest.
 */
import { failureText, weakerRemedy } from "../memory/lock-failure.js";
import { parse } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import { findPlace, fixCommands } from "./fix-commands.js";
import { gatherFacts } from "./machine-facts.js";
import type { Facts } from "./machine-facts.js";
import { painterFor } from "./painter.js";
import type { Painter } from "./painter.js";
import type { Streams } from "./streams.js";

/**
 * The lock limit up to which answers are likely to be refused: a stack for each of a few threads, and a long answer or
 * two.
 */
const COMFORTABLE_LIMIT = 8 * 1024 * 1024;
const OLDEST_NODE = 20;

export const DOCTOR_HELP = `Usage: nomyo-native doctor [--json | --fix]

Looks at this machine and this account: memory locking and its limit, swap, core dumps, ptrace, OpenSSL, tpm2-tss, Node.
Run it under the account, in the container or in the unit in which your service runs: limits differ between them.

  --json    the report as one JSON object
  --fix     the commands for what was found, for this system: a unit of systemd, a container, a pod, or a login. They
            are printed, never run: doctor --fix > fix.sh, and read that
  --help

Exit codes
  0 secureMemory "required" (the default) works here
  1 it does not; the report says why, and what to do
  2 wrong arguments
`;

/** `ok`; `advice`: works, could be better; `problem`: `required` cannot be met. */
export type State = "ok" | "advice" | "problem";

/** One line of the report. */
export interface Finding {
  readonly name: string;
  readonly state: State;
  readonly found: string;
  /** What to do, where there is something. */
  readonly next?: string;
}

export interface Report {
  readonly verdict: string;
  /** Whether `secureMemory: "required"` works here. */
  readonly requiredMet: boolean;
  readonly findings: readonly Finding[];
  readonly version: string;
}

/** Judges the facts. */
export function examine(facts: Facts): Report {
  const findings = [
    node(facts),
    openssl(facts),
    lockLimit(facts),
    mechanism(facts),
    swap(facts),
    coreDumps(facts),
    ptrace(facts),
    threads(facts),
    tss(facts),
  ];
  const requiredMet = findings.every(({ state }) => state !== "problem");
  const advised = findings.filter(({ state }) => state === "advice").length;
  const advice = advised === 0 ? "" : ` ${advised === 1 ? "One thing" : `${advised} things`} could be better.`;
  return {
    verdict: requiredMet
      ? `secureMemory "required" works here: keys, prompts and answers stay in locked memory.${advice}`
      : 'secureMemory "required" does not work here: clients will refuse to start until the problems above are solved.',
    requiredMet,
    findings,
    version: facts.build.version,
  };
}

function bytes(count: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
}

function node({ nodeVersion, platform, arch }: Facts): Finding {
  const major = Number(/^v(\d+)/.exec(nodeVersion)?.[1] ?? 0);
  const found = `Node.js ${nodeVersion} on ${platform}-${arch}`;
  if (major < OLDEST_NODE) {
    return { name: "Node.js", state: "problem", found, next: `Use Node.js ${OLDEST_NODE} or newer.` };
  }
  if (platform !== "linux") {
    const next =
      "The page allocator for this system exists but has not been run by its authors: test it before you rely on it.";
    return { name: "Node.js", state: "advice", found, next };
  }
  return { name: "Node.js", state: "ok", found };
}

function openssl({ build, memory }: Facts): Finding {
  const name = "OpenSSL";
  const found =
    `${build.opensslVersion}, the addon's own, allocating ` +
    (memory.opensslInPool ? "from the locked pool" : "outside the locked pool");
  if (!memory.opensslInPool) {
    return {
      name,
      state: "problem",
      found,
      next: "Rebuild the addon with `npm run build:native`; keys are not protected.",
    };
  }
  const [major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(build.opensslVersion)?.slice(1) ?? []).map(Number);
  if (major === 3 && minor < 5) {
    const next =
      "A build with OpenSSL 3.5 (OPENSSL_ROOT_DIR chooses one for CMake) is about twice as fast; security is the same.";
    return { name, state: "ok", found, next };
  }
  return { name, state: "ok", found };
}

/** Whether it is the limit that stands in the way, as far as is known. */
function limitReached({ memory }: Facts): boolean {
  return memory.lockRefused === null || memory.lockRefused.cause === "limit";
}

function lockLimit(facts: Facts): Finding {
  const { memory, requiredRefused } = facts;
  const name = "Lock limit";
  const { lockLimitHard: hard, lockLimitSoft: soft } = memory;
  // The soft limit is raised to the hard one when need be.
  const limit = hard ?? soft;
  const found =
    limit === null
      ? "none for this process"
      : `${bytes(limit)} (RLIMIT_MEMLOCK), ${bytes(memory.stats.bytesLocked)} of it in use`;
  if (requiredRefused !== undefined && limitReached(facts)) {
    return { name, state: "problem", found, next: requiredRefused };
  }
  if (limit !== null && limit < COMFORTABLE_LIMIT) {
    const next =
      "Enough to start, but longer answers and concurrent requests will be refused with a MemoryProtectionError. " +
      "Raise it to " +
      `${bytes(COMFORTABLE_LIMIT)} or more: \`ulimit -l\`, systemd \`LimitMEMLOCK=\`, Docker \`--ulimit memlock=\`; ` +
      "see docs/deployment.md.";
    return { name, state: "advice", found, next };
  }
  return { name, state: "ok", found };
}

/** Who forbids a call: the kernel does not say, but whether there is a filter at all can be seen. */
function forbidder(seccomp: boolean | undefined): string {
  if (seccomp === undefined) return "a filter of system calls (seccomp) or a security module";
  return seccomp
    ? "a seccomp filter, which is in force in this process (a container's profile, systemd's SystemCallFilter=)"
    : "a security module (SELinux, AppArmor …), since no seccomp filter is in force in this process";
}

function mechanism(facts: Facts): Finding {
  const { memory, platform, requiredRefused, seccomp } = facts;
  const name = "Memory locking";
  const { lockRefused, weakerBecause } = memory;
  if (requiredRefused !== undefined && lockRefused !== null && !limitReached(facts)) {
    const who = lockRefused.cause === "jail" ? `, by ${forbidder(seccomp)}` : "";
    const found = `refused (${failureText(lockRefused)})${who}; the lock limit is not the cause`;
    return { name, state: "problem", found, next: requiredRefused };
  }
  switch (memory.mechanism) {
    case "memfd_secret":
      return { name, state: "ok", found: "memfd_secret: locked, and unreadable for root, debuggers and core dumps" };
    case "mixed":
    case "mlock":
    case "VirtualLock": {
      const which = memory.mechanism === "mixed" ? "memfd_secret and mlock" : memory.mechanism;
      const found = `${which}: locked and left out of core dumps, but readable for root and debuggers`;
      if (platform !== "linux") return { name, state: "ok", found };
      if (memory.mechanismChosen === "mlock") return { name, state: "ok", found: `${found}; as was chosen` };
      if (weakerBecause === null)
        return { name, state: "advice", found, next: "memfd_secret would hide it from them too." };
      const who = weakerBecause.cause === "jail" ? ` Here it is forbidden by ${forbidder(seccomp)}.` : "";
      const next =
        `memfd_secret would hide it from them too (${failureText(weakerBecause)}): ` +
        `${weakerRemedy(weakerBecause)}.${who}`;
      return { name, state: "advice", found, next };
    }
    case "none":
      return { name, state: "problem", found: "none: nothing could be locked", next: "See the lock limit." };
  }
}

function swap({ memory }: Facts): Finding {
  const name = "Swap";
  if (memory.swapEnabled === null) return { name, state: "ok", found: "cannot be told on this system" };
  if (!memory.swapEnabled) return { name, state: "ok", found: "off" };
  const next =
    "Locked memory is never swapped out, but strings that your code holds can be. Turn swap off (`swapoff -a`), or " +
    "encrypt it; in a " +
    "container set its swap limit to its memory limit.";
  return { name, state: "advice", found: "on", next };
}

function coreDumps({ memory }: Facts): Finding {
  const name = "Core dumps";
  if (memory.coreDumpsEnabled === null) return { name, state: "ok", found: "cannot be told on this system" };
  if (!memory.coreDumpsEnabled) return { name, state: "ok", found: "off" };
  const next =
    "The pool is left out of them, but strings that your code holds are not. Call `hardenProcess()` when your " +
    "service starts, or set " +
    "`LimitCORE=0` and a core_pattern that stores nothing.";
  return { name, state: "advice", found: "on", next };
}

function ptrace({ memory, platform }: Facts): Finding {
  const name = "ptrace";
  if (platform !== "linux") return { name, state: "ok", found: "not applicable" };
  const scope = memory.ptraceScope;
  if (scope !== null && scope > 0)
    return { name, state: "ok", found: `restricted (kernel.yama.ptrace_scope=${scope})` };
  const found =
    scope === null ? "not restricted (this kernel has no Yama)" : "not restricted (kernel.yama.ptrace_scope=0)";
  const next =
    "Any process of the same account can read this one's memory, except what memfd_secret hides. Call " +
    "`hardenProcess()`" +
    (scope === null ? "." : ", or set kernel.yama.ptrace_scope to 1 or more.");
  return { name, state: "advice", found, next };
}

/** Bytes of locked memory that each of the package's threads takes. */
const STACK_BYTES = 128 * 1024;

function threads({ memory }: Facts): Finding {
  const { limit, limitChosen } = memory.threads;
  const name = "Threads";
  const chosen = limitChosen ? "; as was chosen" : "";
  const found =
    `up to ${limit} for private-key work and opening, each on a locked stack of ${bytes(STACK_BYTES)} that is wiped ` +
    `after every job${chosen}`;
  const room = memory.lockLimitHard === null ? Infinity : Math.floor(memory.lockLimitHard / 2 / STACK_BYTES);
  if (limitChosen && limit > room) {
    const next =
      `No more than ${room} will start: stacks take half of the lock limit at most. Raise the limit, or choose a ` +
      "smaller number (docs/memory.md).";
    return { name, state: "advice", found, next };
  }
  return { name, state: "ok", found };
}

function tss({ tss: info }: Facts): Finding {
  const name = "tpm2-tss";
  if (info.available) return { name, state: "ok", found: info.detail };
  const next =
    "Needed for attestation only, and found at run time. Debian and Ubuntu: `apt-get install tpm2-tools` brings what " +
    "verifying needs, " +
    "`libtss2-dev` also what talks to a TPM (the libraries' own names differ by release); Fedora: `dnf install " +
    "tpm2-tss`; Alpine: " +
    "`apk add tpm2-tss-mu tpm2-tss-esys`.";
  return { name, state: "advice", found: info.detail, next };
}

const signs: Readonly<Record<State, string>> = { ok: "ok     ", advice: "advice ", problem: "PROBLEM" };
const colours: Readonly<Record<State, "good" | "caution" | "bad">> = { ok: "good", advice: "caution", problem: "bad" };

/** The report for a person; lines are broken at `columns`. */
export function render(report: Report, columns = 100, paint?: Painter): string {
  const indent = " ".repeat(signs.ok.length + 2);
  const width = Math.max(columns, 60) - indent.length;
  const lines = [`nomyo-native ${report.version}`, ""];
  for (const { name, state, found, next } of report.findings) {
    const [first = "", ...rest] = wrap(`${name}: ${found}`, width);
    const sign = paint === undefined ? signs[state] : paint[colours[state]](signs[state]);
    lines.push(`${sign}  ${first}`, ...rest.map((line) => indent + line));
    if (next !== undefined) lines.push(...wrap(`→ ${next}`, width).map((line) => indent + line));
  }
  lines.push("", ...wrap(report.verdict, width + indent.length));
  return `${lines.join("\n")}\n`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}

/** The command. */
// eslint-disable-next-line @typescript-eslint/require-await -- all commands have one type
export async function runDoctor(args: readonly string[], streams: Streams): Promise<number> {
  const { values } = parse({
    args: [...args],
    options: { json: { type: "boolean" }, fix: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    allowPositionals: false,
  });
  if (values.help === true) {
    streams.stdout.write(DOCTOR_HELP);
    return exitCode.ok;
  }
  if (values.json === true && values.fix === true) throw new UsageError("--json and --fix: choose one.");
  const facts = gatherFacts();
  const report = examine(facts);
  if (values.fix === true) streams.stdout.write(fixCommands(facts, findPlace(streams.env)));
  else if (values.json === true) streams.stdout.writeJson({ ...report, facts }, 2);
  else streams.stdout.writeStyled(render(report, streams.stdout.columns, painterFor(streams)));
  return report.requiredMet ? exitCode.ok : exitCode.failed;
}
