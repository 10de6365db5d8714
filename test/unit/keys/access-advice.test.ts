/** What is told about a file's mode can be typed as it stands, and breaks no machine. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessAdvice } from "../../../lib/keys/access-advice.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-access-"));
afterAll(() => rmSync(folder, { recursive: true }));
const system =
  "It is among the system's own, whose modes others rely on: give one of your own, in a folder of your own";

test.each([
  ...["/etc/passwd", "/etc/hostname", "/etc/none", "/etc/ssl/private/x.key", "/etc/ssh/x", "/usr/bin/env", "/bin/sh"],
  ...[
    "/dev/null",
    "/proc/self/status",
    "/sys/kernel",
    "/var/mail",
    "/var/log/syslog",
    "/tmp",
    "/home",
    "/",
    "/usr/local",
  ],
])("%s is the system's", (path) => {
  expect(accessAdvice(path, "chmod 600")).toBe(system);
});

test.each([
  "/etc/nomyo/key",
  "/usr/local/etc/key",
  "/var/lib/nomyo/key",
  "/opt/x/key",
  "/home/me/key",
  "key",
  "/run/nomyo/key",
])("%s is somebody's own", (path) => expect(accessAdvice(path, "chmod 600")).toBe(`Run: chmod 600 ${path}`));

test("a link is where it leads", () => {
  symlinkSync("/etc/passwd", join(folder, "mine"));
  expect(accessAdvice(join(folder, "mine"), "chmod 600")).toBe(system);
});

test.each(["plain", "with blank", "it's", "a;b", "$(x)", "-rf", "line\nend"])(
  "a shell does what is told about %j",
  (name) => {
    const path = join(folder, name);
    writeFileSync(path, "");
    chmodSync(path, 0o644);
    const [, command] = /^Run: ([^]*)$/.exec(accessAdvice(name === "-rf" ? name : path, "chmod 600"))!;
    execFileSync("sh", ["-c", command!], { cwd: folder });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  },
);
