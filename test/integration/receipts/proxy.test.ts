/** Receipts of the proxy: on the disk before the answer's first byte, and no answer without. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Receipt } from "../../../lib/index.js";
import { startProxy } from "../../../lib/proxy/index.js";
import type { Proxy, ProxyOptions } from "../../../lib/proxy/index.js";
import { startRouter } from "../../../lib/router/index.js";
import { runCommand, startCommand } from "../../support/command-line.js";
import { receiptFolder, receiptNames, receiptsIn } from "../../support/receipts.js";
import { ReferenceServer } from "../../support/reference-server.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { vectorKeyDir } from "../../support/test-clients.js";

const keyDir = vectorKeyDir();
const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "QUOKKA" }] });
let server: ReferenceServer;
let base: string;
let folder: string;
let proxy: Proxy | undefined;
beforeEach(async () => {
  server = await ReferenceServer.start();
  ({ base, folder } = receiptFolder());
});
afterEach(async () => {
  await proxy?.close();
  proxy = undefined;
  await server.stop();
  rmSync(base, { recursive: true });
});
afterAll(() => rmSync(keyDir, { recursive: true }));

const options = (more: ProxyOptions["client"] = {}): ProxyOptions => ({
  receipts: folder,
  stopTimeoutMs: 0,
  client: {
    baseUrl: server.url,
    allowHttp: true,
    keyDir,
    keyRotationInterval: 0,
    apiKey: null,
    maxRetries: 0,
    ...more,
  },
});
const ask = (baseUrl: string, asked = body): Promise<Response> =>
  fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: asked,
  });

test("each answer, whole or streamed, has one before its first byte", async () => {
  proxy = await startProxy(options());
  const ids: (string | null)[] = [];
  for (const asked of [body, body.replace("{", '{"stream":true,')]) {
    const response = await ask(proxy.baseUrl, asked);
    ids.push(response.headers.get("x-payload-id"));
    // The head has come, the body not been read.
    expect(receiptsIn(folder).map(({ payload_id: id }) => id)).toEqual(ids);
    expect(await response.text()).toContain("QUOKKA");
  }
  expect(JSON.stringify(receiptsIn(folder))).not.toContain("QUOKKA");
});

test("a refused answer has one; one whose receipt cannot be written is kept back, not to be sent again", async () => {
  proxy = await startProxy(options({ attestation: "require" }));
  expect((await ask(proxy.baseUrl)).status).toBe(424);
  expect(receiptsIn(folder)).toMatchObject([{ outcome: "refused", code: "ATTESTATION_MISSING" }]);
  await proxy.close();
  proxy = await startProxy(options());
  for (const name of receiptNames(folder)) rmSync(join(folder, name));
  const response = await ask(proxy.baseUrl);
  const text = await response.text();
  expect([response.status, response.headers.get("x-should-retry")]).toEqual([424, "false"]);
  expect(JSON.parse(text)).toMatchObject({ error: { code: "RECEIPT_NOT_WRITTEN" } });
  expect(text).not.toContain("QUOKKA");
});

test("two on one folder, or the option twice, do not start", async () => {
  proxy = await startProxy(options());
  await expect(startProxy(options())).rejects.toMatchObject({ option: "receipts" });
  const twice = { ...options({ receipts: folder }) };
  await expect(startProxy(twice)).rejects.toMatchObject({
    option: "receipts",
    message: expect.stringContaining("give one"),
  });
});

test("as a command, before a server with a TPM: what it wrote is verified by another command", async () => {
  const tpm = await SoftwareTpm.start();
  const keyFile = routerKeyFile();
  const router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti } });
  const process = startCommand([
    ...["proxy", "--port", "0", "--json", "--base-url", router.url, "--allow-http", "--attestation", "require"],
    ...["--tier", "maximum", "--key-dir", keyDir, "--receipts", folder],
  ]);
  try {
    const { base_url: url } = JSON.parse(await process.firstLine) as { base_url: string };
    for (let i = 0; i < 3; i++) expect(await (await ask(url)).text()).toContain("QUOKKA");
    process.child.kill("SIGTERM");
    expect(await process.ended).toBe(0);
    const receipts: Receipt[] = receiptsIn(folder);
    expect(receipts).toHaveLength(3);
    expect(receipts[2]).toMatchObject({
      tier: { asked: "maximum", given: "maximum" },
      keys: { server: router.publicKey.spkiSha256 },
    });
    const { code, stdout } = await runCommand(["receipt", "verify", folder]);
    expect(code).toBe(0);
    expect(stdout).toContain("3 answered with a quote that is right in itself, whose key nobody vouches for");
    expect(stdout).toContain("quotes looked at again: 3; verified: 3 by their policy");
  } finally {
    process.child.kill("SIGKILL");
    await process.ended;
    await router.close();
    await tpm.close();
    keyFile.remove();
  }
}, 60_000);

test("--receipt-key-file belongs to --receipts", async () => {
  const { code, stderr } = await runCommand(["proxy", "--receipt-key-file", "x"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--receipt-key-file needs --receipts")]);
});
