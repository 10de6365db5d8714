import { createHash, randomUUID } from "node:crypto";
import { native } from "../../../lib/native.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { chat, detailOf, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import { nodeKeyPair, nodeOpen, nodeSeal } from "../../support/node-package.js";

const client = nodeKeyPair(4096);
const request = { model: "echo", messages: [{ role: "user", content: "Guten Tag, 世界 🌍" }] };
let router: Router;

beforeAll(async () => {
  router = await startRouter();
});
afterAll(() => router.close());

describe("GET /pki/public_key", () => {
  test("gives the PEM of an RSA-4096 key, whose fingerprint the router tells", async () => {
    const answer = await fetchRaw(`${router.url}/pki/public_key`);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toMatch(/^text\/plain/);
    const pem = answer.body.toString("utf8");
    expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    const { createPublicKey } = await import("node:crypto");
    const key = createPublicKey(pem);
    expect(key.asymmetricKeyDetails).toMatchObject({ modulusLength: 4096, publicExponent: 65537n });
    const der = key.export({ type: "spki", format: "der" });
    expect(router.publicKey.spkiSha256).toBe(createHash("sha256").update(der).digest("hex"));
  });
});

describe("POST /v1/chat/secure_completion", () => {
  test("opens what Node's crypto sealed, and seals what Node's crypto opens", async () => {
    const payloadId = randomUUID();
    const before = Math.floor(Date.now() / 1000);
    const { answer, raw } = await chat(router, client, request, { "x-payload-id": payloadId });
    const after = Math.floor(Date.now() / 1000);
    expect(raw.headers["cache-control"]).toBe("no-store");
    expect(answer.choices[0]!.message.content).toBe(
      "This is nomyo-native's echo model, not a language model. You wrote: Guten Tag, 世界 🌍",
    );
    expect(answer["model"]).toBe("echo");
    expect(answer._metadata).toMatchObject({
      payload_id: payloadId,
      is_encrypted: true,
      encryption_algorithm: "hybrid-aes256-rsa4096",
      response_status: "success",
      security_tier: "standard",
      tpm_attestation: { is_available: false },
      payload_binding: "none",
    });
    // Unless other files' tests, in this process before, have gone on in memory that is not locked, under `preferred`.
    const locked = !native.memoryInfo().degraded;
    expect(answer._metadata["memory_protection"]).toMatchObject({ policy: "required", memory_locked: locked });
    const sealed = nodeOpen(client.privatePem, raw.body).package;
    expect(sealed).toMatchObject({
      version: "1.0",
      algorithm: "hybrid-aes256-rsa4096",
      key_algorithm: "RSA-OAEP-SHA256",
      payload_algorithm: "AES-256-GCM",
    });
    expect(sealed.processed_at).toBe(answer._metadata["processed_at"]);
    expect(sealed.processed_at).toBeGreaterThanOrEqual(before);
    expect(sealed.processed_at).toBeLessThanOrEqual(after);
  });

  test("the echo model answers the same to the same", async () => {
    const [one, two] = [await chat(router, client, request), await chat(router, client, request)];
    expect(two.answer.choices).toEqual(one.answer.choices);
    expect(two.answer["id"]).toBe(one.answer["id"]);
    expect(two.answer["usage"]).toEqual(one.answer["usage"]);
  });

  test("takes the client's key with slashes encoded or not", async () => {
    const encoded = encodeURIComponent(client.publicPem);
    for (const header of [
      encoded,
      encoded.replaceAll("%2F", "/"),
      encoded.toLowerCase().includes("%2b") ? encoded.replaceAll("%2B", "+") : encoded,
    ]) {
      const { answer } = await chat(router, client, request, { "x-public-key": header });
      expect(answer.choices).toHaveLength(1);
    }
  });

  test("takes a client key of 2048 bits", async () => {
    const small = nodeKeyPair(2048);
    expect((await chat(router, small, request)).answer.choices).toHaveLength(1);
  });

  test.each(["standard", "high"])("says which tier was asked for: %s", async (tier) => {
    const { answer } = await chat(router, client, request, { "x-security-tier": tier });
    expect(answer._metadata["security_tier"]).toBe(tier);
  });

  test("tier maximum without a TPM: 503, before the body is read", async () => {
    const answer = await postPackage(router, client, Buffer.from("not even a package"), {
      "x-security-tier": "maximum",
    });
    expect(answer.status).toBe(503);
    expect(detailOf(answer)).toMatch(/needs a server with a working TPM/);
  });

  test("answers a client that waits for 100 Continue", async () => {
    const http = await import("node:http");
    const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const post = http.request(`${router.url}/v1/chat/secure_completion`, {
        method: "POST",
        agent: false,
        headers: { ...secureHeaders(client), "content-length": body.length, expect: "100-continue" },
      });
      post.on("continue", () => post.end(body));
      post.on("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      post.on("error", reject);
      post.flushHeaders();
    });
    expect(status).toBe(200);
  });

  test("does not ask a client that waits for 100 Continue for a body it will refuse", async () => {
    const answer = await fetchRaw(`${router.url}/v1/chat/secure_completion`, {
      method: "POST",
      headers: { ...secureHeaders(client), expect: "100-continue", "content-length": 64 * 1024 * 1024 + 1 },
    });
    expect(answer.status).toBe(400);
  });
});

describe("the echo model's tools", () => {
  const tools = [
    {
      type: "function",
      function: {
        name: "lookup",
        parameters: {
          type: "object",
          properties: {
            query: { type: "string" },
            count: { type: "integer" },
            mode: { enum: ["fast", "slow"] },
            note: {},
          },
          required: ["query", "count", "mode"],
        },
      },
    },
    { type: "function", function: { name: "other" } },
  ];
  const ask = async (content: string, more: object = {}) =>
    (await chat(router, client, { ...request, messages: [{ role: "user", content }], tools, ...more })).answer
      .choices[0]!;

  test("are not called unless asked for", async () => {
    expect((await ask("hello")).finish_reason).toBe("stop");
    expect((await ask("call nothing-of-that-name")).finish_reason).toBe("stop");
    expect((await ask('call lookup {"query":"x"}', { tool_choice: "none" })).finish_reason).toBe("stop");
  });

  test("are called with the arguments that the message gives", async () => {
    const choice = await ask('call lookup {"query":"größe","count":3}');
    expect(choice.finish_reason).toBe("tool_calls");
    expect(choice.message.content).toBeNull();
    expect(choice.message.tool_calls).toEqual([
      {
        id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
        type: "function",
        function: { name: "lookup", arguments: '{"query":"größe","count":3}' },
      },
    ]);
  });

  test("are called with plain arguments of the schema's types when tool_choice says so", async () => {
    const expected = { name: "lookup", arguments: '{"query":"hello","count":0,"mode":"fast"}' };
    expect((await ask("hello", { tool_choice: "required" })).message.tool_calls).toMatchObject([
      { function: expected },
    ]);
    const named = { type: "function", function: { name: "other" } };
    expect((await ask("hello", { tool_choice: named })).message.tool_calls).toMatchObject([
      { function: { name: "other", arguments: "{}" } },
    ]);
  });

  test("results are repeated", async () => {
    const { answer } = await chat(router, client, {
      ...request,
      tools,
      messages: [
        { role: "user", content: "call lookup" },
        { role: "tool", tool_call_id: "call_1", content: "42" },
      ],
    });
    expect(answer.choices[0]!.message.content).toMatch(/The tool answered: 42$/);
  });

  test("max_tokens cuts the answer by words", async () => {
    const choice = await ask("hello", { max_tokens: 3 });
    expect(choice).toMatchObject({ finish_reason: "length", message: { content: "This is nomyo-native's" } });
  });
});

describe("GET /healthz", () => {
  test("says what is running", async () => {
    const answer = await fetchRaw(`${router.url}/healthz`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ status: "ok", model: "echo", tpm_available: false });
  });
});
