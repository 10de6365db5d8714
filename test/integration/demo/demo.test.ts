/**
 * scripts/demo without its installing and building: what a newcomer sees first must work, and clean up behind itself.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { buildPackage, runNode } from "../../support/built-package.js";

const demoFolders = () => readdirSync(tmpdir()).filter((name) => name.startsWith("nomyo-demo-"));

test("the demo shows three answers and two refusals, and stops all that it started", async () => {
  buildPackage();
  const before = demoFolders();
  const { code, stdout, stderr } = await runNode(["scripts/demo-run.mjs"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/Everything was as expected\./);
  expect(stdout.match(/^ {2}attestation +verified/gm)).toHaveLength(3);
  expect(stdout.match(/^ {2}refused with +SecurityError/gm)).toHaveLength(2);
  expect(stdout).not.toMatch(/✘/);
  const [, processId] = /router .*process (\d+)/.exec(stdout)!;
  expect(spawnSync("kill", ["-0", processId!]).status).not.toBe(0);
  expect(demoFolders()).toEqual(before);
});
