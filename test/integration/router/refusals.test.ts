import { randomUUID } from "node:crypto";
import { startRouter } from "../../../lib/router/index.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { chat, detailOf, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());
const apiKey = "clinic-a-0123456789abcdef";
const otherKey = "clinic-b-0123456789abcdef";
const request = { model: "small", messages: [{ role: "user", content: "a prompt with a secret: QUOKKA" }] };

async function withRouter(options: RouterOptions, use: (router: Router) => Promise<void>): Promise<void> {
  const router = await startRouter({ keyFile: keyFile.path, ...options });
  try {
    await use(router);
  } finally {
    await router.close();
  }
}

describe("who may pass", () => {
  let router: Router;
  beforeAll(async () => {
    router = await startRouter({ apiKeys: [apiKey, otherKey], keyFile: keyFile.path });
  });
  afterAll(() => router.close());
  const post = (headers: Record<string, string>) =>
    postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)), headers);

  test("401 without a key, with a wrong one, or with another scheme", async () => {
    for (const headers of [
      {} as Record<string, string>,
      { authorization: `Bearer ${apiKey}x` },
      { authorization: `Basic ${apiKey}` },
    ]) {
      const answer = await post(headers);
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
      expect(answer.body.toString()).not.toContain(apiKey);
    }
  });

  test("200 with each of the keys", async () => {
    expect((await post({ authorization: `Bearer ${apiKey}` })).status).toBe(200);
    expect((await post({ authorization: `Bearer ${otherKey}` })).status).toBe(200);
  });

  test("the public key and the health need no API key", async () => {
    expect((await fetchRaw(`${router.url}/pki/public_key`)).status).toBe(200);
    expect((await fetchRaw(`${router.url}/healthz`)).status).toBe(200);
  });
});

describe("pages in a browser", () => {
  const statuses = async (router: Router, headers: Record<string, string>) => {
    const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
    const post = await postPackage(router, client, body, headers);
    const get = await fetchRaw(`${router.url}/pki/public_key`, { headers });
    const health = await fetchRaw(`${router.url}/healthz`, { headers });
    return [post.status, get.status, health.status];
  };
  const foreignNames = [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "[evil]",
  ];
  const foreignPages: Record<string, string>[] = [
    { origin: "http://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ];

  test("without API keys a Host that is a name of somebody's is refused", async () => {
    await withRouter({}, async (router) => {
      for (const host of foreignNames) expect(await statuses(router, { host })).toEqual([421, 421, 421]);
      for (const host of ["127.0.0.1", "127.0.0.1:1", "localhost:8080", "LOCALHOST", "[::1]:80", "10.0.0.1"]) {
        expect(await statuses(router, { host })).toEqual([200, 200, 200]);
      }
    });
  });

  test("without API keys requests of pages are refused, and none of a program", async () => {
    await withRouter({}, async (router) => {
      for (const headers of foreignPages) expect(await statuses(router, headers)).toEqual([403, 403, 403]);
      for (const site of ["none", "same-origin"]) {
        expect(await statuses(router, { "sec-fetch-site": site })).toEqual([200, 200, 200]);
      }
    });
  });

  test("with API keys it is the key that counts", async () => {
    await withRouter({ apiKeys: [apiKey] }, async (router) => {
      const authorization = `Bearer ${apiKey}`;
      for (const host of foreignNames) {
        expect(await statuses(router, { host, authorization })).toEqual([200, 200, 200]);
      }
      for (const headers of foreignPages) {
        expect(await statuses(router, { ...headers, authorization })).toEqual([200, 200, 200]);
      }
    });
  });
});

test("429 with Retry-After over the rate limit, for that key only", async () => {
  await withRouter({ apiKeys: [apiKey, otherKey], rateLimit: { perSecond: 0.01, burst: 2 } }, async (router) => {
    const post = (key: string) =>
      postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)), {
        authorization: `Bearer ${key}`,
      });
    expect((await post(apiKey)).status).toBe(200);
    expect((await post(apiKey)).status).toBe(200);
    const refused = await post(apiKey);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(90);
    expect((await post(otherKey)).status).toBe(200);
  });
});

test("403 for a model that the tier does not allow, without saying its name", async () => {
  await withRouter({ tierModels: { high: ["big"], standard: ["small", "big"] } }, async (router) => {
    await chat(router, client, request, { "x-security-tier": "standard" });
    await chat(router, client, { ...request, model: "big" }, { "x-security-tier": "high" });
    const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
    const refused = await postPackage(router, client, body, { "x-security-tier": "high" });
    expect(refused.status).toBe(403);
    expect(detailOf(refused)).toContain('"high"');
    expect(detailOf(refused)).not.toContain("small");
    const hidden = `{"model":"small","m\\u006fdel":"forbidden","messages":[]}`;
    const twice = await postPackage(router, client, nodeSeal(router.publicKey.pem, hidden), {});
    expect(twice.status).toBe(400);
  });
});

test("404 when secure inference is not enabled", async () => {
  await withRouter({ secureInference: false }, async (router) => {
    const answer = await postPackage(router, client, Buffer.from("{}"));
    expect(answer.status).toBe(404);
    expect(detailOf(answer)).toBe("Secure inference is not enabled on this server.");
    expect((await fetchRaw(`${router.url}/healthz`)).status).toBe(200);
  });
});

test("503 over the number of requests under way", async () => {
  await withRouter({ maxRequests: 1, echoDelayMs: 60_000, stopTimeoutMs: 0 }, async (router) => {
    const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
    const first = postPackage(router, client, body).catch((error: unknown) => error);
    await waitFor(
      async () => JSON.parse((await fetchRaw(`${router.url}/healthz`)).body.toString()).requests_under_way === 1,
    );
    const second = await postPackage(router, client, body);
    expect(second.status).toBe(503);
    expect(second.headers["retry-after"]).toBe("1");
    await router.close();
    // A class of another realm: jest gives tests their own Error.
    expect(await first).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
  });
});

describe("what is not a good request", () => {
  let router: Router;
  beforeAll(async () => {
    router = await startRouter({ keyFile: keyFile.path });
  });
  afterAll(() => router.close());
  const good = () => nodeSeal(router.publicKey.pem, JSON.stringify(request));

  test.each([
    ["no X-Payload-ID", { "x-payload-id": undefined }, /X-Payload-ID/],
    ["an empty X-Payload-ID", { "x-payload-id": "" }, /X-Payload-ID/],
    ["an X-Payload-ID with a space", { "x-payload-id": "a b" }, /X-Payload-ID/],
    ["an X-Payload-ID of 129 characters", { "x-payload-id": "a".repeat(129) }, /X-Payload-ID/],
    ["two X-Payload-IDs", { "x-payload-id": [randomUUID(), randomUUID()] }, /X-Payload-ID/],
    ["no X-Public-Key", { "x-public-key": undefined }, /X-Public-Key is missing/],
    ["an X-Public-Key that is no PEM", { "x-public-key": "hello" }, /X-Public-Key is not the PEM/],
    ["an X-Public-Key with broken percent encoding", { "x-public-key": "%2" }, /percent-encoded/],
    ["an X-Public-Key with bytes that are not UTF-8", { "x-public-key": "%ff%fe" }, /percent-encoded/],
    ["an X-Public-Key of 5 000 characters", { "x-public-key": "A".repeat(5000) }, /too long/],
    ["an unknown tier", { "x-security-tier": "ultra" }, /X-Security-Tier/],
    ["another content type", { "content-type": "application/json" }, /Content-Type/],
    ["no content type", { "content-type": undefined }, /Content-Type/],
    ["a content encoding", { "content-encoding": "gzip" }, /Content-Encoding/],
  ])("400 for %s", async (_what, headers, message) => {
    const defined = Object.fromEntries(
      Object.entries({ ...secureHeaders(client), ...headers }).filter(([, value]) => value !== undefined),
    );
    const answer = await fetchRaw(`${router.url}/v1/chat/secure_completion`, {
      method: "POST",
      headers: defined,
      body: good(),
    });
    expect(answer.status).toBe(400);
    expect(detailOf(answer)).toMatch(message);
  });

  test("400 for a client key that is weak, of another kind, private, or followed by something", async () => {
    const { generateKeyPairSync } = await import("node:crypto");
    const ec = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const cases: [string, RegExp][] = [
      [nodeKeyPair(1024).publicPem, /too weak/],
      [ec.publicKey, /too weak|not the PEM/],
      [client.privatePem.slice(0, 1500), /not the PEM/],
    ];
    for (const [pem, message] of cases) {
      const answer = await postPackage(router, client, good(), { "x-public-key": encodeURIComponent(pem) });
      expect(answer.status).toBe(400);
      expect(detailOf(answer)).toMatch(message);
    }
  });

  test.each([
    ["no model", { messages: [] }],
    ["a model that is no string", { model: 3, messages: [] }],
    ["no messages", { model: "m" }],
    ["empty messages", { model: "m", messages: [] }],
    ["messages that are none", { model: "m", messages: ["QUOKKA"] }],
    ["an array", []],
    ["a string", "QUOKKA"],
  ])("400 for a plaintext with %s", async (_what, value) => {
    const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(value)));
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).not.toContain("QUOKKA");
  });

  test("405 for another method, 404 for another address", async () => {
    const url = `${router.url}/v1/chat/secure_completion`;
    const answer = await fetchRaw(url);
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe("POST");
    expect((await fetchRaw(`${router.url}/v1/chat/completions`, { method: "POST", headers: {} })).status).toBe(404);
    expect((await fetchRaw(`${router.url}/pki/public_key`, { method: "POST" })).status).toBe(404);
    expect((await fetchRaw(`${router.url}/PKI/public_key/../public_key`)).status).toBe(404);
  });

  test("400 for headers over 16 KiB and for what is not HTTP", async () => {
    const big = await fetchRaw(`${router.url}/healthz`, { headers: { "x-filler": "a".repeat(20_000) } });
    expect(big.status).toBe(400);
    const { connect } = await import("node:net");
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(router.port, "127.0.0.1", () => socket.write("SSH-2.0-hello\r\n\r\n"));
      let received = "";
      socket.on("data", (chunk) => (received += chunk.toString()));
      socket.on("close", () => resolve(received));
      socket.on("error", reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    await chat(router, client, request);
  });
});

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
