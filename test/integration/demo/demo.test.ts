/**
 * scripts/demo without its installing and building: what a newcomer sees first must work, and clean up behind itself.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, runNode } from "../../support/built-package.js";

// Of its own: another demo may be running.
const temporary = mkdtempSync(join(tmpdir(), "demo-test-"));
afterAll(() => rmSync(temporary, { recursive: true }));

test("the demo shows three answers and two refusals, and stops all that it started", async () => {
  buildPackage();
  const { code, stdout, stderr } = await runNode(["scripts/demo-run.mjs"], { TMPDIR: temporary });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/Everything was as expected\./);
  expect(stdout.match(/^ {2}attestation +verified/gm)).toHaveLength(3);
  expect(stdout.match(/^ {2}refused with +SecurityError/gm)).toHaveLength(2);
  expect(stdout).not.toMatch(/✘/);
  const [, processId] = /router .*process (\d+)/.exec(stdout)!;
  expect(spawnSync("kill", ["-0", processId!]).status).not.toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
});
