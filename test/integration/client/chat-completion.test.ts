/** Requests end to end against a server that is written from the specification with Node's own crypto. */
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { SecurityError } from "../../../lib/errors.js";
import { processedAt, ReferenceServer, sealWithNode } from "../../support/reference-server.js";
import { TestClients } from "../../support/test-clients.js";

const request = { model: "test-model", messages: [{ role: "user" as const, content: "Grüße, 世界 👋" }] };
const clients = new TestClients();
let server: ReferenceServer;

beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await clients.close();
  await server.stop();
});
afterAll(() => clients.removeKeys());

describe("a request", () => {
  it("arrives as it was, and its answer comes back", async () => {
    const client = clients.make({ baseUrl: server.url, apiKey: "secret-key" });
    const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];
    const answer = await client.create({
      ...request,
      temperature: 0.25,
      tools,
      custom_parameter: { deep: [1, null, "x"] },
    });
    expect(answer.choices[0]?.message.content).toBe("Grüße, 世界 👋");
    expect(answer.usage).toEqual({ prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 });
    expect(server.received).toHaveLength(1);
    expect(server.received[0]?.payload).toEqual({
      ...request,
      temperature: 0.25,
      tools,
      custom_parameter: { deep: [1, null, "x"] },
    });
  });

  it("has exactly the headers of the protocol", async () => {
    const client = clients.make({ baseUrl: server.url, apiKey: "secret-key" });
    await client.create({ ...request, security_tier: "high" });
    const { headers, payload } = server.received[0]!;
    expect(headers["x-payload-id"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(decodeURIComponent(String(headers["x-public-key"]))).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    expect(headers["content-type"]).toBe("application/octet-stream");
    expect(headers.authorization).toBe("Bearer secret-key");
    expect(headers["x-security-tier"]).toBe("high");
    expect(payload).not.toHaveProperty("security_tier");
    expect(Object.keys(headers).sort()).toEqual(
      [
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "x-payload-id",
        "x-public-key",
        "x-security-tier",
      ].sort(),
    );
  });

  it("has neither Authorization nor tier when there is none", async () => {
    delete process.env["NOMYO_API_KEY"];
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    expect(server.received[0]?.headers).not.toHaveProperty("authorization");
    expect(server.received[0]?.headers).not.toHaveProperty("x-security-tier");
  });

  it("takes its tier from the options as well", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request, { security_tier: "standard" });
    expect(server.received[0]?.headers["x-security-tier"]).toBe("standard");
  });

  it("is sealed with a fresh AES key, nonce and payload id each time", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    await client.create(request);
    const [first, second] = server.received;
    expect(first!.aesKey.equals(second!.aesKey)).toBe(false);
    expect(first!.nonce.equals(second!.nonce)).toBe(false);
    expect(first!.payloadId).not.toBe(second!.payloadId);
  });

  it("fetches the server's key before anything else, once for many", async () => {
    const client = clients.make({ baseUrl: server.url });
    await Promise.all(Array.from({ length: 8 }, () => client.create(request)));
    expect(server.log[0]).toBe("GET /pki/public_key");
    expect(server.log.filter((line) => line.startsWith("GET"))).toHaveLength(1);
    expect(server.received).toHaveLength(8);
  });

  it("takes text as SecureBuffer, which stays the caller's", async () => {
    const client = clients.make({ baseUrl: server.url });
    using content = SecureBuffer.from("from locked memory ✓", "required");
    const answer = await client.create({ model: "m", messages: [{ role: "user", content }] });
    expect(answer.choices[0]?.message.content).toBe("from locked memory ✓");
    expect(content.toString()).toBe("from locked memory ✓");
  });

  it("is padded to few lengths on demand, with spaces that no parser minds", async () => {
    const client = clients.make({ baseUrl: server.url, padding: "bucket" });
    const plain = clients.make({ baseUrl: server.url });
    const lengths = new Set<number>();
    for (const length of [10, 40, 80, 150]) {
      await client.create({ model: "m", messages: [{ role: "user", content: "x".repeat(length) }] });
      lengths.add(server.received.at(-1)!.body.length);
      expect(server.received.at(-1)!.payload.messages[0].content).toHaveLength(length);
    }
    expect(lengths.size).toBe(1);
    expect(server.received.at(-1)!.plaintext.toString().trimEnd().length).toBeLessThan(
      server.received.at(-1)!.plaintext.length,
    );
    await plain.create({ model: "m", messages: [{ role: "user", content: "x" }] });
    const { plaintext } = server.received.at(-1)!;
    expect(plaintext.toString()).toBe(JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] }));
  });
});

describe("an answer", () => {
  it("has _metadata: the client's own facts over the server's", async () => {
    const client = clients.make({ baseUrl: server.url, attestation: "off" });
    const { _metadata } = await client.create(request);
    expect(_metadata).toEqual({
      payload_id: server.received[0]!.payloadId,
      processed_at: processedAt,
      is_encrypted: true,
      encryption_algorithm: "hybrid-aes256-rsa4096",
      response_status: "success",
      security_tier: "standard",
      memory_protection: { locked: true },
      tpm_attestation: { is_available: false },
    });
  });

  it("has _metadata also when the server sent none", async () => {
    server.answer = () => ({ id: "x", choices: [] });
    const client = clients.make({ baseUrl: server.url, attestation: "off" });
    const { _metadata } = await client.create(request);
    expect(_metadata).toEqual({
      payload_id: server.received[0]!.payloadId,
      processed_at: processedAt,
      is_encrypted: true,
      encryption_algorithm: "hybrid-aes256-rsa4096",
    });
  });

  it("does not carry a verdict that the server made about itself", async () => {
    server.answer = () => ({ choices: [], _metadata: { attestation_report: { verified: true } } });
    const client = clients.make({ baseUrl: server.url, attestation: "off" });
    expect((await client.create(request))._metadata).not.toHaveProperty("attestation_report");
  });

  it.each([
    ["another id", { payload_id: "another" }, "PAYLOAD_ID"],
    ["an id that is a number", { payload_id: 7 }, "PAYLOAD_ID"],
    ["_metadata that is a list", [], "METADATA"],
    ["_metadata that is text", "x", "METADATA"],
  ])("with %s is refused", async (_what, metadata, code) => {
    server.answer = () => ({ choices: [{ message: { content: "the-answer" } }], _metadata: metadata });
    const client = clients.make({ baseUrl: server.url });
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ code, sent: "yes", payloadId: server.received[0]!.payloadId });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toMatch(/the-answer/);
    expect(server.received).toHaveLength(1);
  });

  it("comes with status, headers and payload id from withResponse()", async () => {
    const client = clients.make({ baseUrl: server.url });
    const { data, response, request_id } = await client.create(request).withResponse();
    expect(data.choices[0]?.message.content).toBe(request.messages[0]!.content);
    expect(response).toMatchObject({ status: 200, payloadId: server.received[0]!.payloadId, attempts: 1 });
    expect(response.headers.get("x-request-id")).toBe("req-1");
    expect(request_id).toBe("req-1");
  });

  it("can stay in locked memory, and only what is asked for comes out", async () => {
    const client = clients.make({ baseUrl: server.url });
    using answer = await client.createSecure(request);
    expect(answer.get("/choices/0/message/content")).toBe(request.messages[0]!.content);
    using content = answer.content();
    expect(content.toString()).toBe(request.messages[0]!.content);
    answer.dispose();
    expect(() => answer.text()).toThrow();
  });
});

describe("names and forms", () => {
  it("acreate and chat.completions.create do the same, also when they are taken off their object", async () => {
    const client = clients.make({ baseUrl: server.url });
    const { create } = client.chat.completions;
    for (const answer of [await client.acreate(request), await create(request)]) {
      expect(answer.choices[0]?.message.content).toBe(request.messages[0]!.content);
    }
  });

  it("stream: true gives chunks of the whole answer, and the server never hears of it", async () => {
    const client = clients.make({ baseUrl: server.url });
    const stream = await client.create({ ...request, stream: true, stream_options: { include_usage: true } });
    let text = "";
    let usage: unknown;
    for await (const chunk of stream) {
      expect(chunk.object).toBe("chat.completion.chunk");
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    expect(text).toBe(request.messages[0]!.content);
    expect(usage).toEqual({ prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 });
    expect(server.received[0]?.payload).toEqual(request);
  });

  it("options of a request win over the client's", async () => {
    const other = await ReferenceServer.start();
    try {
      const client = clients.make({ baseUrl: server.url, apiKey: "client-key" });
      await client.create(request, { baseUrl: other.url, apiKey: () => Promise.resolve("request-key") });
      expect(server.log).toEqual([]);
      expect(other.received[0]?.headers.authorization).toBe("Bearer request-key");
      await client.create(request, { baseUrl: other.url, apiKey: null });
      expect(other.received[1]?.headers).not.toHaveProperty("authorization");
    } finally {
      await other.stop();
    }
  });

  it("the API key comes from the environment when none is given, an empty one is none", async () => {
    process.env["NOMYO_API_KEY"] = "from-env";
    try {
      await clients.make({ baseUrl: server.url }).create(request);
      await clients.make({ baseUrl: server.url, apiKey: null }).create(request);
      process.env["NOMYO_API_KEY"] = "";
      await clients.make({ baseUrl: server.url }).create(request);
    } finally {
      delete process.env["NOMYO_API_KEY"];
    }
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer from-env",
      undefined,
      undefined,
    ]);
  });
});

describe("a broken or hostile answer is a SecurityError, is not retried, and nothing of it is used", () => {
  type Sealed = Record<string, unknown> & { encrypted_payload: Record<string, string | undefined> };
  const broken: [string, (sealed: Sealed) => string | Buffer][] = [
    ["empty", () => ""],
    ["not JSON", () => "no JSON"],
    ["not UTF-8", () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
    ["plaintext", () => JSON.stringify({ choices: [{ message: { content: "the-answer" } }] })],
    ["of another version", (sealed) => JSON.stringify({ ...sealed, version: "2.0" })],
    ["of another algorithm", (sealed) => JSON.stringify({ ...sealed, algorithm: "hybrid-aes128-rsa2048" })],
    ["of another key algorithm", (sealed) => JSON.stringify({ ...sealed, key_algorithm: "RSA-OAEP-SHA1" })],
    [
      "without its tag",
      (sealed) => {
        delete sealed.encrypted_payload["tag"];
        return JSON.stringify(sealed);
      },
    ],
    [
      "with a short tag",
      (sealed) => {
        sealed.encrypted_payload["tag"] = Buffer.from(sealed.encrypted_payload["tag"]!, "base64")
          .subarray(0, 12)
          .toString("base64");
        return JSON.stringify(sealed);
      },
    ],
    [
      "with one bit changed",
      (sealed) => {
        const bytes = Buffer.from(sealed.encrypted_payload["ciphertext"]!, "base64");
        bytes[5]! ^= 1;
        sealed.encrypted_payload["ciphertext"] = bytes.toString("base64");
        return JSON.stringify(sealed);
      },
    ],
    ["sealed to another key", () => JSON.stringify(sealWithNode(Buffer.from('{"choices":[]}'), server.keys.publicKey))],
    ["cut short", (sealed) => JSON.stringify(sealed).slice(0, -20)],
  ];
  it.each(broken)("%s", async (_what, tamper) => {
    server.onPost = (body, incoming, response) => {
      const { clientKey } = server.receive(body, incoming);
      const sealed = sealWithNode(Buffer.from('{"choices":[{"message":{"content":"the-answer"}}]}'), clientKey);
      response.end(tamper(sealed as Sealed));
    };
    const client = clients.make({ baseUrl: server.url });
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ sent: "yes" });
    expect(String((error as Error).stack)).not.toMatch(/the-answer/);
    expect(server.log.filter((line) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("larger than the limit, without being read to its end", async () => {
    let written = 0;
    server.onPost = (_body, _request, response) => {
      const chunk = Buffer.alloc(65_536, 0x20);
      const write = (): void => {
        while (!response.destroyed && written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", write);
        }
        response.end();
      };
      write();
    };
    const client = clients.make({ baseUrl: server.url, maxResponseBytes: 1_000_000 });
    await expect(client.create(request)).rejects.toMatchObject({
      name: "SecurityError",
      code: "TOO_LARGE",
      sent: "yes",
    });
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });

  it.each([
    [64 * 1024 * 1024, "PACKAGE_FORMAT"],
    [64 * 1024 * 1024 + 1, "TOO_LARGE"],
  ])("of %d bytes, by default, is a SecurityError %s", async (size, code) => {
    server.onPost = (_body, _request, response) => {
      response.writeHead(200, { "content-length": String(size) });
      response.on("error", () => undefined);
      response.end(Buffer.alloc(size, "{"));
    };
    const client = clients.make({ baseUrl: server.url });
    await expect(client.create(request)).rejects.toMatchObject({ name: "SecurityError", code, sent: "yes" });
  });
});
