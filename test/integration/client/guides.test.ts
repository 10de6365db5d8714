/** The programs of docs/guides.md that serve, or are tests themselves, as they stand there. */
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage, root } from "../../support/built-package.js";
import { makeCertificates } from "../../support/certificates.js";
import type { Certificates } from "../../support/certificates.js";
import { blocksOf } from "../../support/document-blocks.js";
import { startModel } from "../../support/model-server.js";
import type { TestServer } from "../../support/model-server.js";
import { routerKeyFile } from "../../support/router-key.js";

const blocks = blocksOf("docs/guides.md").filter(({ runBy }) => runBy === "test/integration/client/guides.test.ts");
const keyFile = routerKeyFile();
const apiKey = "an-api-key-of-the-guides";
let folder: string;
let certificates: Certificates;
let router: Router;
let model: TestServer;
/** Called when the model is asked, before it answers. */
let onAsked: () => void = () => undefined;
let children: ChildProcess[] = [];
const ran: string[] = [];

beforeAll(async () => {
  buildPackage();
  mkdirSync(join(root, "build"), { recursive: true });
  folder = mkdtempSync(join(root, "build", "guides-"));
  certificates = makeCertificates();
  model = await startModel(() => {
    onAsked();
    return "An answer.";
  });
  router = await startRouter({
    keyFile: keyFile.path,
    tls: certificates.server,
    upstream: { url: model.url },
    apiKeys: [apiKey],
  });
}, 300_000);
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
});
afterAll(async () => {
  await router.close();
  await model.stop();
  certificates.remove();
  keyFile.remove();
  rmSync(folder, { recursive: true });
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const code = (of: string): string => {
  ran.push(of);
  const found = blocks.filter((block) => block.code.includes(of));
  expect(found).toHaveLength(1);
  return found[0]!.code;
};

test.each(["express", "fastify"])(
  "%s: on SIGTERM the answer under way is given, then the process ends by itself",
  async (name) => {
    const port = await freePort();
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, code(`from "${name}"`).replaceAll("3000", `${port}`));
    const child = spawn(process.execPath, ["--require", join(root, "test/support/hosted-service-here.cjs"), file], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        NOMYO_API_KEY: apiKey,
        NODE_EXTRA_CA_CERTS: certificates.caFile,
        HOSTED_SERVICE_PORT: `${router.port}`,
      },
    });
    children.push(child);
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += String(text)));
    const ended = once(child, "close");
    const ask = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/ask`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ question: "Hello" }),
      });
    onAsked = () => void child.kill("SIGTERM");
    // It listens when its key is made.
    let response: Response | undefined;
    while (response === undefined) {
      response = await ask().catch(() => undefined);
      if (child.exitCode !== null) throw new Error(said);
      if (response === undefined) await sleep(50);
    }
    expect(await response.json()).toEqual({ answer: "An answer." });
    // For as long a connection that the client keeps open holds the end up.
    expect(response.headers.get("keep-alive")).toBe("timeout=5");
    expect({ ended: await ended, said }).toEqual({ ended: [0, null], said: "" });
  },
  900_000,
);

test("the test for jest passes", async () => {
  writeFileSync(join(folder, "own.test.js"), code("jest.resetModules()"));
  writeFileSync(join(folder, "jest.config.json"), JSON.stringify({ testMatch: ["**/own.test.js"], transform: {} }));
  const args = [join(root, "node_modules/jest/bin/jest.js"), "--config", join(folder, "jest.config.json")];
  const outcome = await new Promise<{ error: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (error, _, stderr) => resolve({ error, stderr }));
  });
  expect(outcome).toEqual({ error: null, stderr: expect.stringMatching(/^Tests: +2 passed, 2 total$/m) });
}, 1_200_000);

test("all of them were run", () => expect(ran).toHaveLength(blocks.length));
