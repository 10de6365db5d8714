/** Folders that are made, and that this ends wherever it is asked for. */
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../../../lib/keys/new-folder.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-new-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("gives the first one that was made, each with the mode; none where all are there", () => {
  expect(makeFolder(join(folder, "a/b/c"), 0o700)).toBe(join(folder, "a"));
  expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, "a/b/c")).mode & 0o777).toBe(0o700);
  expect(makeFolder(join(folder, "a/b/c"), 0o700)).toBeUndefined();
  expect(makeFolder(join(folder, "a/b/d"), 0o700)).toBe(join(folder, "a/b/d"));
  expect(makeFolder("/", 0o700)).toBeUndefined();
});

test("a file in the way, and a link to nowhere", () => {
  writeFileSync(join(folder, "file"), "");
  symlinkSync(join(folder, "nowhere"), join(folder, "link"));
  expect(() => makeFolder(join(folder, "file"), 0o700)).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
  expect(() => makeFolder(join(folder, "file/x"), 0o700)).toThrow(expect.objectContaining({ code: "ENOTDIR" }));
  expect(() => makeFolder(join(folder, "link"), 0o700)).toThrow(expect.objectContaining({ code: "EEXIST" }));
});

/** Node's own `mkdirSync` with `recursive` never comes back from there. */
(existsSync("/proc/version") ? test : test.skip)("below /proc it ends", () => {
  expect(() => makeFolder("/proc/nomyo/x", 0o700)).toThrow(
    expect.objectContaining({ code: "ENOENT", syscall: "mkdir" }),
  );
});
