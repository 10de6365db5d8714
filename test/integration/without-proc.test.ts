/**
 * Where /proc is not mounted Node does not know where its program is, and `process.execPath` is what it was called by.
 */
import { buildPackage, runNode } from "../support/built-package.js";

beforeAll(buildPackage, 600_000);

test("the package is imported where Node does not know its own path", async () => {
  const code = 'process.execPath = "node"; console.log(typeof require("./dist/index.js").SecureChatCompletion);';
  expect(await runNode(["--eval", code])).toMatchObject({ code: 0, stdout: "function\n", stderr: "" });
});
