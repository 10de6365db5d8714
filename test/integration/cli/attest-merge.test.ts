/**
 * `attest baseline --merge FILE --out FILE`: several processes add to one policy, and none loses what another wrote.
 */
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { native } from "../../../lib/native.js";
import { startCommand } from "../../support/command-line.js";
import type { CommandProcess } from "../../support/command-line.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-attest-merge-"));
afterAll(() => rmSync(folder, { recursive: true }));

const policy = join(folder, "policy.json");
const profile = (name: string, digit: string) => ({ name, pcrs: { sha256: { "7": digit.repeat(64) } } });
const write = (...profiles: unknown[]) => writeFileSync(policy, JSON.stringify({ version: 1, profiles }));
const names = () =>
  (JSON.parse(readFileSync(policy, "utf8")) as { profiles: { name: string }[] }).profiles.map(({ name }) => name);

/** Adds a profile with values of its own. */
function merge(digit: string, file = policy): CommandProcess {
  const values = join(folder, `values-${digit}`);
  writeFileSync(values, `sha256:\n  7 : 0x${digit.repeat(64)}\n`);
  return startCommand(["attest", "baseline", "--pcrread", values, "--name", digit, "--merge", file, "--out", file]);
}

const linux = process.platform === "linux" ? test : test.skip;

linux("the policy is read under the lock: what its holder wrote meanwhile stays", async () => {
  write(profile("first", "a"));
  const lockFile = join(folder, ".policy.json.lock");
  const lock = openSync(lockFile, constants.O_RDWR | constants.O_CREAT, 0o600);
  expect(native.tryLockFile(lock)).toBe(true);
  // By a link: the lock is that of the file which is changed.
  const link = join(folder, "link.json");
  symlinkSync(policy, link);
  const other = merge("b", link);
  let ended = false;
  void other.ended.then(() => (ended = true));
  // Who asks for no lock would be done with it before these, which have a file of their own, and come one after the
  // other.
  const free = join(folder, "free.json");
  writeFileSync(free, readFileSync(policy));
  for (const digit of ["d", "e"]) expect(await merge(digit, free).ended).toBe(0);
  expect(ended).toBe(false);
  write(profile("first", "a"), profile("of the holder", "c"));
  unlinkSync(lockFile);
  closeSync(lock);
  expect([await other.ended, other.output.stderr]).toEqual([0, ""]);
  expect(names()).toEqual(["first", "of the holder", "b"]);
  expect(existsSync(lockFile)).toBe(false);
});

test("four processes at once all keep theirs", async () => {
  write(profile("first", "a"));
  const others = ["1", "2", "3", "4"].map((digit) => merge(digit));
  expect(await Promise.all(others.map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(names().sort()).toEqual(["1", "2", "3", "4", "first"]);
});
