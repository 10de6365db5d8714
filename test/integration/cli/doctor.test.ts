/** `nomyo-native doctor` as a process, under lock limits that suffice and that do not. */
import { spawnSync } from "node:child_process";
import { copyPackage } from "../../support/package-copy.js";
import type { PackageCopy } from "../../support/package-copy.js";
import { unprivileged } from "../../support/subject.js";

let copy: PackageCopy;
beforeAll(() => {
  copy = copyPackage();
});
afterAll(() => copy.remove());

function doctor(lockLimit: number, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const [command, ...rest] = [...unprivileged(lockLimit), copy.node, copy.path("dist/cli/main.js"), "doctor", ...args];
  return spawnSync(command!, rest, { cwd: "/", encoding: "utf8" });
}

test("exits with 0 under 8 MiB, as systemd gives it", () => {
  const { status, stdout, stderr } = doctor(8 * 1024 * 1024, "--json");
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toMatchObject({ requiredMet: true });
  expect(status).toBe(0);
});

test("exits with 1 under 64 KiB, and says how to raise the limit", () => {
  const { status, stdout } = doctor(64 * 1024);
  expect(status).toBe(1);
  expect(stdout).toMatch(/PROBLEM +Lock limit/);
  expect(stdout).toMatch(/LimitMEMLOCK/);
  expect(stdout).toMatch(/"required" does not work here/);
});
