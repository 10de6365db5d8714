/** What making a client costs: nothing of Node's that takes long to load, before there is a request. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

import { buildPackage } from "../../support/built-package.js";

jest.setTimeout(240_000);
beforeAll(buildPackage);

test("a client is made without HTTP, TLS and Node's crypto; its first request loads what it needs", async () => {
  const program = `
    const before = new Set(process.moduleLoadList);
    const { SecureChatCompletion } = require(${JSON.stringify(join(__dirname, "../../../dist/index.js"))});
    const slow = ["crypto", "http", "https", "tls"].map((name) => "NativeModule " + name);
    const loaded = () => slow.filter((name) => process.moduleLoadList.includes(name) && !before.has(name));
    const client = new SecureChatCompletion({ apiKey: null, baseUrl: "https://127.0.0.1:9", maxRetries: 0 });
    const made = loaded();
    client.create({ model: "m", messages: [{ role: "user", content: "x" }] })
      .catch((error) => console.log(JSON.stringify({ made, asked: loaded(), error: error.name })))
      .finally(() => client.close());`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", program]);
  expect(JSON.parse(stdout)).toEqual({
    made: [],
    asked: expect.arrayContaining(["NativeModule https", "NativeModule tls"]) as string[],
    error: "APIConnectionError",
  });
});
