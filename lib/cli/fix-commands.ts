/** What `doctor --fix` prints: the commands for what it found, on this very system. It runs none of them. */
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { Facts } from "./machine-facts.js";

/** Where this process runs, as far as can be seen. */
export interface Place {
  readonly kind: "systemd" | "docker" | "kubernetes" | "plain";
  /** Of systemd: the unit. */
  readonly unit: string | undefined;
  /** Of systemd: a unit of this user's own manager. */
  readonly isUserUnit: boolean;
  readonly user: string;
  /** The ID of /etc/os-release. */
  readonly distribution: string | undefined;
}

/** A busy service's limit (docs/deployment.md). */
const LIMIT_BYTES = 64 * 1024 * 1024;
/** Up to this limit, answers are likely to be refused; the doctor advises below it. */
const LEAST_BYTES = 8 * 1024 * 1024;

/** Looks where this process runs: the environment, `/proc` and two files. */
export function findPlace(env: Readonly<Record<string, string | undefined>>): Place {
  const cgroup = textOf("/proc/self/cgroup");
  const { unit, isUserUnit } = unitOf(cgroup);
  const inContainer =
    existsSync("/.dockerenv") ||
    existsSync("/run/.containerenv") ||
    ["docker", "containerd", "libpod"].some((word) => cgroup.includes(word));
  const kind =
    env["KUBERNETES_SERVICE_HOST"] !== undefined || cgroup.includes("kubepods")
      ? "kubernetes"
      : inContainer
        ? "docker"
        : unit !== undefined
          ? "systemd"
          : "plain";
  return { kind, unit, isUserUnit, user: userName(), distribution: distributionOf(textOf("/etc/os-release")) };
}

/** The service that a process is in, by its control group. A session of a login is none. */
export function unitOf(cgroup: string): { readonly unit: string | undefined; readonly isUserUnit: boolean } {
  const path = cgroup.split("\n").find((line) => line.endsWith(".service"));
  const unit = path?.slice(path.lastIndexOf("/") + 1);
  // `user@1000.service` is a login's own manager, not a service.
  if (path === undefined || unit === undefined || unit.startsWith("user@") || !isUnitName(unit)) {
    return { unit: undefined, isUserUnit: false };
  }
  return { unit, isUserUnit: path.includes("/user@") };
}

/** Characters of a unit's name that mean nothing to a shell. */
function isUnitName(name: string): boolean {
  return /^[A-Za-z0-9:_.@-]+$/.test(name);
}

export function distributionOf(osRelease: string): string | undefined {
  return /^ID="?([a-z0-9._-]+)"?$/m.exec(osRelease)?.[1];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // another system
  }
}

function userName(): string {
  try {
    const { username } = userInfo();
    return /^[A-Za-z0-9_.-]+$/.test(username) ? username : "ACCOUNT";
  } catch {
    return "ACCOUNT"; // one without a name, as in containers
  }
}

/** Comments and commands, one a line, for a shell; nothing but a comment where nothing is to be done. */
export function fixCommands(facts: Facts, place: Place): string {
  const { memory } = facts;
  if (facts.platform !== "linux") return "# Only for Linux are the commands known.\n";
  const limit = memory.lockLimitHard ?? memory.lockLimitSoft;
  const isJailed = memory.lockRefused?.cause === "jail";
  const isLow = (limit !== null && limit < LEAST_BYTES) || (facts.requiredRefused !== undefined && !isJailed);
  const parts = [
    ...(isLow ? [limitCommands(place)] : []),
    ...(isJailed || memory.weakerBecause?.cause === "jail" ? [filterCommands(place)] : []),
    ...(memory.weakerBecause?.cause === "unavailable" ? [KERNEL_NOTE] : []),
    ...(memory.swapEnabled === true ? [swapCommands(place)] : []),
    // With the limit, where that is told the same manager.
    ...(memory.coreDumpsEnabled === true && !(isLow && place.kind !== "plain") ? [coreCommands(place)] : []),
    ...(memory.ptraceScope === 0 ? [ptraceCommands(place)] : []),
    ...(facts.tss.available ? [] : [tssCommands(place)]),
  ];
  if (parts.length === 0) return "# Nothing is to be done.\n";
  return `# Read them first: none of these has been run.\n\n${parts.join("\n")}`;
}

const lines = (...all: string[]): string => `${all.join("\n")}\n`;
const KIB = LIMIT_BYTES / 1024;

function limitCommands(place: Place): string {
  switch (place.kind) {
    case "systemd":
      return dropIn(place, "# Locked memory, and no core dumps, for the unit", ["LimitMEMLOCK=64M", "LimitCORE=0"]);
    case "docker":
      return lines(
        "# Locked memory, and no core dumps: on the host, with what else you start this container with",
        `docker run --ulimit memlock=${LIMIT_BYTES}:${LIMIT_BYTES} --ulimit core=0 …`,
        "# Compose, in the service:",
        `#   ulimits: { memlock: { soft: ${LIMIT_BYTES}, hard: ${LIMIT_BYTES} }, core: 0 }`,
      );
    case "kubernetes":
      return lines(
        "# Locked memory: a pod cannot ask for it; it gets its node's containerd's. On each node:",
        "sudo mkdir -p /etc/systemd/system/containerd.service.d",
        "printf '[Service]\\nLimitMEMLOCK=64M\\n' | sudo tee " +
          "/etc/systemd/system/containerd.service.d/nomyo-native.conf",
        "sudo systemctl daemon-reload && sudo systemctl restart containerd",
        "# Then start the pod again:",
        "kubectl rollout restart deployment/NAME",
      );
    case "plain":
      return lines(
        `# Locked memory for logins of ${place.user}, from the next one on`,
        `printf '${place.user} - memlock ${KIB}\\n' | sudo tee /etc/security/limits.d/nomyo-native.conf`,
        "# and for this shell, at once",
        `sudo prlimit --pid $$ --memlock=${LIMIT_BYTES}:${LIMIT_BYTES}`,
      );
  }
}

/** A file beside the unit's own, which updates leave alone. */
function dropIn({ unit = "NAME.service", isUserUnit }: Place, why: string, settings: readonly string[]): string {
  const folder = isUserUnit ? `~/.config/systemd/user/${unit}.d` : `/etc/systemd/system/${unit}.d`;
  const sudo = isUserUnit ? "" : "sudo ";
  const manager = isUserUnit ? "systemctl --user" : "sudo systemctl";
  return lines(
    `${why} ${unit}`,
    `${sudo}mkdir -p ${folder}`,
    `printf '[Service]\\n${settings.join("\\n")}\\n' | ${sudo}tee -a ${folder}/nomyo-native.conf`,
    `${manager} daemon-reload && ${manager} restart ${unit}`,
  );
}

function filterCommands(place: Place): string {
  switch (place.kind) {
    case "systemd":
      return dropIn(place, "# Let memfd_secret and mlock through the filter of", [
        "SystemCallFilter=memfd_secret @memlock",
      ]);
    case "docker":
      return lines(
        "# Let memfd_secret through: Docker's own profile does from 20.10.8 on, with a libseccomp that knows it. See " +
          "which you have:",
        "docker version && docker info --format '{{.SecurityOptions}}'",
      );
    case "kubernetes":
      return lines(
        "# Let memfd_secret through: the runtime's own profile does, in the pod's securityContext",
        "#   seccompProfile: { type: RuntimeDefault }",
      );
    case "plain":
      return lines(
        "# A security module refuses to lock memory. What it has noted:",
        "sudo journalctl -k --grep='apparmor|audit|avc'",
      );
  }
}

const KERNEL_NOTE = lines(
  "# memfd_secret: Linux 5.14 or newer; before 6.5 with secretmem.enable=1 on its command line. What this machine has:",
  "uname -r && cat /proc/cmdline",
);

function swapCommands({ kind }: Place): string {
  return kind === "docker"
    ? lines(
        "# No swap for the container (MEMORY is what it may have)",
        "docker run --memory MEMORY --memory-swap MEMORY …",
      )
    : kind === "kubernetes"
      ? lines("# Swap, on each node; strings of your code can land there", "sudo swapoff -a")
      : lines("# Swap: off until the next boot; for good, take it out of /etc/fstab", "sudo swapoff -a");
}

function coreCommands(place: Place): string {
  switch (place.kind) {
    case "systemd":
      return dropIn(place, "# No core dumps of", ["LimitCORE=0"]);
    case "docker":
      return lines("# No core dumps", "docker run --ulimit core=0 …");
    case "kubernetes":
      return lines("# No core dumps, on each node", "sudo sysctl -w kernel.core_pattern='|/bin/false'");
    case "plain":
      return lines("# No core dumps of what this shell starts; or call hardenProcess()", "ulimit -c 0");
  }
}

function ptraceCommands({ kind }: Place): string {
  const where = kind === "docker" || kind === "kubernetes" ? ", on the host" : "";
  return lines(
    `# Processes of one account do not read one another's memory${where}`,
    "printf 'kernel.yama.ptrace_scope = 1\\n' | sudo tee /etc/sysctl.d/60-nomyo-native.conf",
    "sudo sysctl -w kernel.yama.ptrace_scope=1",
  );
}

const installers: Readonly<Record<string, string>> = {
  debian: "sudo apt-get install -y tpm2-tools libtss2-dev",
  ubuntu: "sudo apt-get install -y tpm2-tools libtss2-dev",
  fedora: "sudo dnf install -y tpm2-tss",
  alpine: "sudo apk add tpm2-tss-mu tpm2-tss-esys",
};

function tssCommands({ kind, distribution }: Place): string {
  const install = installers[distribution ?? ""];
  const where = kind === "docker" || kind === "kubernetes" ? ", in the image" : "";
  return install === undefined
    ? lines(`# tpm2-tss, for attestation${where}: the package manager here is not known`)
    : lines(`# tpm2-tss, for attestation${where}`, install);
}
