/**
 * scripts/setup against a package manager that only notes what it is asked: which packages, and what is said of one
 * that is not there.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let machine: string;
const program = (name: string, script: string): void => {
  const path = join(machine, "bin", name);
  writeFileSync(path, `#!/bin/bash\n${script}\n`);
  chmodSync(path, 0o755);
};
const setup = (): ReturnType<typeof spawnSync> =>
  spawnSync(join(machine, "scripts/setup"), ["demo"], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${join(machine, "bin")}:${process.env["PATH"] ?? ""}` },
  });
const installed = (): string[] => {
  const path = join(machine, "installed");
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
};

beforeEach(() => {
  machine = mkdtempSync(join(tmpdir(), "nomyo-setup-"));
  for (const folder of ["bin", "scripts", "node_modules"]) mkdirSync(join(machine, folder));
  copyFileSync(join(__dirname, "../../scripts/setup"), join(machine, "scripts/setup"));
  writeFileSync(join(machine, "node_modules/.package-lock.json"), "{}"); // npm has nothing to do
  program("dpkg-query", "exit 1");
  program("sudo", 'exec "$@"');
  program("npm", "exit 1");
  program(
    "apt-get",
    `[ "$1" != install ] || printf '%s\\n' "$@" | grep -v -e '^-' -e '^install$' >'${machine}/installed'`,
  );
});
afterEach(() => {
  rmSync(machine, { recursive: true, force: true });
});

/** More than a pipe holds: who stops reading at the candidate ends apt-cache by SIGPIPE. */
const versionTable = `yes "        500 http://debian.invalid/debian main Packages" | head -n 2000`;

test("installs every missing package, however much apt-cache has to say of it", () => {
  program(
    "apt-cache",
    `printf '%s:\\n  Installed: (none)\\n  Candidate: 4:14.2.0-1\\n  Version table:\\n' "$2"\n${versionTable}`,
  );
  const { status, stderr } = setup();
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const wanted = spawnSync(join(machine, "scripts/setup"), ["--packages", "demo"], { encoding: "utf8" }).stdout;
  expect(installed()).toEqual(
    wanted
      .trim()
      .split("\n")
      .map((line) => line.split(":")[0]),
  );
});

test("a package that the release does not have is named with what it is for, and nothing is installed", () => {
  program(
    "apt-cache",
    `[ "$2" = libhwy-dev ] && c='(none)' || c=1.0\nprintf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n' "$2" "$c"`,
  );
  const { status, stderr } = setup();
  expect(status).toBe(1);
  expect(stderr).toContain("no package libhwy-dev. Needed: Google Highway, headers.");
  expect(installed()).toEqual([]);
});

/** A release that has every package. */
const candidates = `printf '%s:\\n  Installed: (none)\\n  Candidate: 1.0\\n' "$2"`;

test("npm's failure beside apt-get's success is a failure, with npm's own words", () => {
  rmSync(join(machine, "node_modules/.package-lock.json"));
  program("apt-cache", candidates);
  program("npm", "echo 'npm error no such thing' >&2; exit 1");
  const { status, stderr } = setup();
  expect(status).toBe(1);
  expect(stderr).toBe("npm error no such thing\nsetup: npm failed; its lines are above\n");
  expect(installed()).not.toEqual([]);
});

test("a Node that runs only with what apt-get brings is asked again then; without one, it says so", () => {
  program("apt-cache", candidates);
  program("node", `[ -e '${join(machine, "installed")}' ] && exec '${process.execPath}' "$@"; exit 127`);
  expect(setup()).toMatchObject({ status: 0, stderr: "" });
  program("node", "echo 'no libatomic.so.1' >&2; exit 127");
  expect(setup()).toMatchObject({
    status: 1,
    stderr: "setup: Node.js 20 or newer is needed; found: no libatomic.so.1\n",
  });
});

/** Notes when it is asked to install, and by which program. */
const noting = (program: string) => `echo ${program} >>'${join(machine, "order")}'`;

test("npm waits for apt-get where sudo may ask for a password: it sets the terminal's modes", () => {
  rmSync(join(machine, "node_modules/.package-lock.json"));
  program("id", "echo 1000");
  program("apt-cache", candidates);
  program("apt-get", `[ "$1" = update ] || { sleep 0.2; ${noting("apt-get")}; }`);
  program("npm", `${noting("npm")}; echo '{}' >'${join(machine, "node_modules/.package-lock.json")}'`);
  expect(setup()).toMatchObject({ status: 0, stderr: "" });
  expect(readFileSync(join(machine, "order"), "utf8")).toBe("apt-get\nnpm\n");
});

test("nothing of npm goes on when apt-get has failed", () => {
  program("id", "echo 0");
  rmSync(join(machine, "node_modules/.package-lock.json"));
  const started = join(machine, "started");
  program("apt-cache", candidates);
  program("npm", `echo $$ >'${started}.new' && mv '${started}.new' '${started}' && exec sleep 1000`);
  program(
    "apt-get",
    `[ "$1" = update ] || { until [ -e '${started}' ]; do sleep 0.01; done; echo 'E: broken'; exit 100; }`,
  );
  const { status, stderr } = setup();
  expect(status).toBe(1);
  expect(stderr).toMatch(/^E: broken\nsetup: .*apt-get install .* failed; its last lines are above\n$/);
  // Ended, or just about to: a signal that was sent arrives.
  const pid = readFileSync(started, "utf8").trim();
  while (existsSync(`/proc/${pid}`)) spawnSync("sleep", ["0.01"]);
});
