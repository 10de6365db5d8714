/** Every file of `examples/` runs, against real servers. */
import { spawn } from "node:child_process";
import http from "node:http";
import net from "node:net";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AddressInfo } from "node:net";

import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage, root, runNode } from "../../support/built-package.js";
import { runCommand } from "../../support/command-line.js";
import { makeCertificates } from "../../support/certificates.js";
import type { Certificates } from "../../support/certificates.js";
import { echo, ReferenceServer } from "../../support/reference-server.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

let router: Router;
let tpm: SoftwareTpm;
let certificates: Certificates;
let folder: string;
const routerKey = routerKeyFile();
const ran = new Set<string>();
// Each example makes a key of its own, which takes a second of a core.
jest.setTimeout(240_000);

beforeAll(async () => {
  buildPackage();
  tpm = await SoftwareTpm.start();
  router = await startRouter({ keyFile: routerKey.path, tpm: { tcti: tpm.tcti } });
  certificates = makeCertificates();
  folder = mkdtempSync(join(tmpdir(), "examples-"));
}, 300_000);
afterAll(async () => {
  await router.close();
  await tpm.close();
  certificates.remove();
  routerKey.remove();
  rmSync(folder, { recursive: true });
});

async function run(name: string, baseUrl = router.url, env: NodeJS.ProcessEnv = {}): Promise<string> {
  ran.add(name);
  const { code, stdout, stderr } = await runNode([join(root, "examples", name), baseUrl], {
    NOMYO_API_KEY: "test-key",
    ...env,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

const put = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content, { mode: 0o600 });
  return join(folder, name);
};

it("quick-start.mjs prints the answer twice, whole and streamed", async () => {
  const [whole, streamed] = (await run("quick-start.mjs")).trim().split("\n");
  expect(whole).toContain("Say hello.");
  expect(streamed).toBe(whole);
});

it("receipts.mjs writes a receipt, which the command verifies", async () => {
  ran.add("receipts.mjs");
  const receipts = join(folder, "receipts");
  const example = await runNode([join(root, "examples", "receipts.mjs"), router.url, receipts], { NOMYO_API_KEY: "k" });
  expect(example).toMatchObject({ code: 0, stderr: "" });
  expect(example.stdout).toMatch(/Say hello[^]*receipt 1 for [0-9a-f-]+: self-asserted\. /);
  const { code, stdout } = await runCommand(["receipt", "verify", receipts]);
  expect([code, stdout]).toEqual([0, expect.stringContaining("The receipts hold: 1, numbers 1 to 1.")]);
});

it("locked-memory.mjs takes its prompt from stdin", async () => {
  ran.add("locked-memory.mjs");
  const child = spawn(process.execPath, [join(root, "examples", "locked-memory.mjs"), router.url], { cwd: root });
  child.stdin.end("a prompt on stdin");
  let out = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (out += String(chunk)));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect(out).toMatch(/^tokens: \d+\n/);
  expect(out).toContain("a prompt on stdin");
  expect(code).toBe(0);
});

it("errors.mjs gives advice for each tier", async () => {
  const out = await run("errors.mjs");
  expect(out).toMatch(/standard → .*Hello/);
  expect(out).toMatch(/maximum → .*Hello/);
  expect(out).toContain("ultra → correct the option security_tier");
});

it("attestation.mjs verifies, and says why when it does not", async () => {
  expect(await run("attestation.mjs")).toMatch(/quote verified: sha256:0,7,10, self-asserted/);
  const server = await ReferenceServer.start();
  server.answer = echo;
  const out = await run("attestation.mjs", server.url);
  expect(out).toMatch(
    /^not accepted \(ATTESTATION_MISSING\), prompt sent: no\nThis server has no TPM: .*start a router/,
  );
  await server.stop();
});

it("openai-sdk.mjs and ai-sdk.mjs print the answer twice and reach the report", async () => {
  for (const name of ["openai-sdk.mjs", "ai-sdk.mjs"]) {
    const [whole, verified, streamed] = (await run(name)).trim().split("\n");
    expect(whole).toContain("Say hello.");
    expect(verified).toBe("quote verified: true");
    expect(streamed).toBe(whole);
  }
});

it("opentelemetry.mjs prints the phases below the request", async () => {
  const names = (await run("opentelemetry.mjs"))
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/ [\d.]+ ms$/, ""));
  expect(names).toEqual(
    ["client-key", "rate-limit", "server-key", "seal", "exchange", "read", "open", "verify"]
      .map((name) => `  ${name}`)
      .concat("chat"),
  );
});

test.each(["mutual-tls.mjs", "private-ca.mjs", "proxy.mjs"])("%s says in one sentence what it needs", async (name) => {
  const env = { CA_FILE: undefined, CERT_FILE: undefined, KEY_FILE: undefined, HTTPS_PROXY: undefined };
  const { code, stdout, stderr } = await runNode([join(root, "examples", name)], env);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^Give [^\n]+_(FILE|PROXY)=[^\n]* node examples\/[a-z-]+\.mjs \[?BASE_URL\]?\n$/);
});

describe("against a TLS server of a private authority", () => {
  let server: ReferenceServer;
  afterEach(() => server.stop());

  it("private-ca.mjs", async () => {
    server = await ReferenceServer.start(certificates.server);
    expect(await run("private-ca.mjs", server.url, { CA_FILE: certificates.caFile })).toContain("Say hello.");
  });

  it("mutual-tls.mjs, and without the client's certificate there is no connection", async () => {
    server = await ReferenceServer.start({
      ...certificates.server,
      ca: certificates.ca,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const env = {
      CA_FILE: certificates.caFile,
      CERT_FILE: put("client.pem", certificates.client.cert),
      KEY_FILE: put("client.key", certificates.client.key),
    };
    expect(await run("mutual-tls.mjs", server.url, env)).toContain("Say hello.");
    const requests = server.log.length;
    const without = await runNode([join(root, "examples", "private-ca.mjs"), server.url], env);
    expect(without.code).toBe(1);
    expect(without.stderr).toMatch(/APIConnectionError/);
    expect(server.log).toHaveLength(requests);
  });

  it("proxy.mjs goes through the proxy, which sees nothing but the host", async () => {
    server = await ReferenceServer.start(certificates.server);
    const seen: string[] = [];
    const proxy = http.createServer();
    proxy.on("connect", (request: http.IncomingMessage, client: net.Socket) => {
      seen.push(String(request.url));
      const target = net.connect(server.port, "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        target.pipe(client);
        client.pipe(target);
      });
      target.on("error", () => client.destroy());
      client.on("error", () => target.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const out = await run("proxy.mjs", server.url, { HTTPS_PROXY: address, CA_FILE: certificates.caFile });
    expect(out).toContain("Say hello.");
    expect(new Set(seen)).toEqual(new Set([`127.0.0.1:${server.port}`]));
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
});

afterAll(() => {
  const all = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".mjs"));
  expect([...ran].sort()).toEqual(all.sort());
});
