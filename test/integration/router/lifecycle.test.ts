import { execFileSync } from "node:child_process";
import * as http from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startRouter } from "../../../lib/router/index.js";
import type { AccessEntry, Router } from "../../../lib/router/index.js";
import { native } from "../../../lib/native.js";
import { startModel } from "../../support/model-server.js";
import { chat, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA" }] };
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());

async function underWay(router: Router): Promise<number> {
  const answer = await fetchRaw(`${router.url}/healthz`);
  return (JSON.parse(answer.body.toString()) as { requests_under_way: number }).requests_under_way;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}

test("stopping lets requests under way finish, and takes no new ones", async () => {
  let mayAnswer: () => void = () => undefined;
  const answer = new Promise<string>((resolve) => (mayAnswer = () => resolve("QUOKKA")));
  const model = await startModel(() => answer);
  const router = await startRouter({ keyFile: keyFile.path, upstream: { url: model.url } });
  const agent = new http.Agent({ keepAlive: true });
  const first = chat(router, client, request);
  await until(async () => (await underWay(router)) === 1);
  const closing = router.close();
  expect(router.close()).toBe(closing);
  await expect(fetchRaw(`${router.url}/healthz`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  mayAnswer();
  expect((await first).answer.choices[0]!.message.content).toContain("QUOKKA");
  await closing;
  agent.destroy();
  await model.stop();
});

test("stopping cuts what is not finished in time", async () => {
  const router = await startRouter({ keyFile: keyFile.path, echoDelayMs: 60_000, stopTimeoutMs: 50 });
  const first = chat(router, client, request).catch((error: unknown) => error);
  await until(async () => (await underWay(router)) === 1);
  await router.close();
  expect(await first).toMatchObject({ code: "ECONNRESET" });
});

test("a client that goes away ends the work for it", async () => {
  const router = await startRouter({ keyFile: keyFile.path, echoDelayMs: 60_000, stopTimeoutMs: 0 });
  try {
    const post = http.request(`${router.url}/v1/chat/secure_completion`, {
      method: "POST",
      agent: false,
      headers: secureHeaders(client),
    });
    post.on("error", () => undefined);
    post.end(nodeSeal(router.publicKey.pem, JSON.stringify(request)));
    await until(async () => (await underWay(router)) === 1);
    post.destroy();
    await until(async () => (await underWay(router)) === 0);
  } finally {
    await router.close();
  }
});

test("pool memory is as it was after many requests, good and bad", async () => {
  const router = await startRouter({ keyFile: keyFile.path });
  try {
    const filler = "a".repeat(50_000);
    const round = async () => {
      await chat(router, client, { ...request, filler });
      await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify([filler])));
      await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify({ model: "m", filler })));
      await postPackage(router, client, Buffer.from("{}"));
    };
    const inUse = async () => {
      // Client keys live until the collector takes them.
      for (let i = 0; i < 5; i += 1) {
        (globalThis as { gc?: () => void }).gc?.();
        await sleep(10);
      }
      return native.memoryInfo().stats.bytesInUse;
    };
    for (let i = 0; i < 20; i += 1) await round();
    const before = await inUse();
    for (let i = 0; i < 100; i += 1) await round();
    // One plaintext left behind in each round would be 5 MB.
    const collectable = 2_000_000;
    expect((await inUse()) - before).toBeLessThan(collectable);
  } finally {
    await router.close();
  }
});

test("the access log has sizes and statuses, and nothing of what was said", async () => {
  const entries: AccessEntry[] = [];
  const router = await startRouter({ keyFile: keyFile.path, accessLog: (entry) => entries.push(entry), apiKeys: [] });
  const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
  const { raw } = await chat(router, client, request);
  await postPackage(router, client, Buffer.from("QUOKKA"));
  await fetchRaw(`${router.url}/QUOKKA?QUOKKA`);
  await router.close();
  expect(entries.map(({ route, status }) => [route, status])).toEqual([
    ["secure_completion", 200],
    ["secure_completion", 400],
    ["other", 404],
  ]);
  expect(entries[0]!.bytesOut).toBe(raw.body.length);
  expect(Math.abs(entries[0]!.bytesIn - body.length)).toBeLessThan(8);
  expect(JSON.stringify(entries)).not.toContain("QUOKKA");
});

test("speaks HTTPS with a certificate and key", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-tls-"));
  try {
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    execFileSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
    ]);
    const ca = readFileSync(cert, "utf8");
    const router = await startRouter({ keyFile: keyFile.path, tls: { cert: ca, key: readFileSync(key) } });
    try {
      expect(router.url).toMatch(/^https:/);
      const answer = await fetchRaw(`${router.url}/pki/public_key`, { ca });
      expect(answer.body.toString()).toBe(router.publicKey.pem);
      await expect(fetchRaw(`${router.url}/pki/public_key`)).rejects.toMatchObject({
        code: "DEPTH_ZERO_SELF_SIGNED_CERT",
      });
      await expect(fetchRaw(router.url.replace("https:", "http:"))).rejects.toMatchObject({ code: expect.any(String) });
    } finally {
      await router.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a port that is taken is an error, and nothing stays behind", async () => {
  const router = await startRouter({ keyFile: keyFile.path });
  try {
    await expect(startRouter({ keyFile: keyFile.path, port: router.port })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
  } finally {
    await router.close();
  }
});

describe("the relay binding", () => {
  /** As the specification says it, by OpenSSL's command. */
  const commitment = (serverPem: string, clientPem: string) => {
    const der = (pem: string) => execFileSync("openssl", ["pkey", "-pubin", "-outform", "DER"], { input: pem });
    const input = Buffer.concat([der(serverPem), der(clientPem)]);
    return execFileSync("openssl", ["dgst", "-sha256", "-binary"], { input }).toString("base64url");
  };

  test("is checked, told in _metadata, and refused when it is to other keys", async () => {
    const router = await startRouter({ keyFile: keyFile.path });
    try {
      const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
      const bound = `${uuid}.${commitment(router.publicKey.pem, client.publicPem)}`;
      const { answer } = await chat(router, client, request, { "x-payload-id": bound });
      expect(answer._metadata).toMatchObject({ payload_id: bound, payload_binding: "verified" });
      expect((await chat(router, client, request)).answer._metadata["payload_binding"]).toBe("none");
      const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
      const relayed = `${uuid}.${commitment(nodeKeyPair(4096).publicPem, client.publicPem)}`;
      expect((await postPackage(router, client, body, { "x-payload-id": relayed })).status).toBe(400);
      const otherClient = nodeKeyPair(2048);
      expect((await postPackage(router, otherClient, body, { "x-payload-id": bound })).status).toBe(400);
    } finally {
      await router.close();
    }
  });
});
