/**
 * Whatever arrives in place of a package: the right refusal, nothing of the plaintext in it, and a router that works
 * on.
 */
import * as http from "node:http";
import { connect } from "node:net";
import { whyNotLockable } from "../../support/lockable.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { chat, detailOf, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import type { RawAnswer } from "../../support/node-client.js";
import { nodeKeyPair, nodeOpen, nodeSeal } from "../../support/node-package.js";
import type { NodePackage } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const marker = "QUOKKA-7f3a";
const request = { model: "m", messages: [{ role: "user", content: marker }] };
const keyFile = routerKeyFile();
let router: Router;

beforeAll(async () => {
  router = await startRouter({ keyFile: keyFile.path });
});
afterEach(async () => {
  const { answer } = await chat(router, client, request);
  expect(answer.choices[0]!.message.content).toContain(marker);
});
afterAll(async () => {
  await router.close();
  keyFile.remove();
});

const sealed = (value: unknown = request) => nodeSeal(router.publicKey.pem, JSON.stringify(value));

function expectRefused(answer: RawAnswer, message: RegExp): void {
  expect(answer.status).toBe(400);
  expect(detailOf(answer)).toMatch(message);
  expect(answer.body.toString()).not.toContain(marker);
}

describe("what is no package", () => {
  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", Buffer.alloc(0), /empty/],
    ["text", Buffer.from("hello"), /well-formed/],
    ["zeros", Buffer.alloc(1000), /well-formed/],
    ["an empty object", Buffer.from("{}"), /well-formed/],
    ["an array", Buffer.from("[]"), /well-formed/],
    ["UTF-16", Buffer.from('{"version":"1.0"}', "utf16le"), /well-formed/],
    ["brackets without end", Buffer.from("[".repeat(1_000_000)), /well-formed/],
  ])("%s", async (_what, body, message) => {
    expectRefused(await postPackage(router, client, body), message);
  });

  test("a byte order mark before a good package", async () => {
    expectRefused(
      await postPackage(router, client, Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), sealed()])),
      /well-formed/,
    );
  });

  test("bytes that are not UTF-8 in a field that nobody reads", async () => {
    const text = sealed().toString("latin1");
    const body = Buffer.from(`${text.slice(0, -1)},"x":"\xff\xfe"}`, "latin1");
    expectRefused(await postPackage(router, client, body), /well-formed/);
  });
});

describe("packages that are not right", () => {
  const change = (edit: (parsed: Record<string, unknown>) => void) => {
    const parsed = JSON.parse(sealed().toString()) as Record<string, unknown>;
    edit(parsed);
    return Buffer.from(JSON.stringify(parsed));
  };

  test("sealed to another key", async () => {
    const body = nodeSeal(nodeKeyPair(4096).publicPem, JSON.stringify(request));
    expectRefused(await postPackage(router, client, body), /could not be decrypted/);
  });

  test("a wrong key, a changed tag and a changed text are refused in the same words", async () => {
    const details = new Set<string>();
    for (const field of ["ciphertext", "tag", "nonce"]) {
      const body = change((parsed) => {
        const payload = parsed["encrypted_payload"] as Record<string, string>;
        payload[field] = (payload[field]!.startsWith("A") ? "B" : "A") + payload[field]!.slice(1);
      });
      details.add(detailOf(await postPackage(router, client, body)));
    }
    const wrongKey = nodeSeal(nodeKeyPair(4096).publicPem, JSON.stringify(request));
    details.add(detailOf(await postPackage(router, client, wrongKey)));
    expect(details.size).toBe(1);
  });

  test.each([
    ["another version", { version: "2.0" }],
    ["another algorithm", { algorithm: "hybrid-aes128-rsa2048" }],
    ["another key algorithm", { key_algorithm: "RSA-PKCS1" }],
    ["another payload algorithm", { payload_algorithm: "AES-256-CBC" }],
  ])("%s", async (_what, fields) => {
    expectRefused(
      await postPackage(
        router,
        client,
        change((parsed) => Object.assign(parsed, fields)),
      ),
      /not supported/,
    );
  });

  test.each(["version", "algorithm", "encrypted_payload", "encrypted_aes_key"])("without %s", async (field) => {
    const body = change((parsed) => void Reflect.deleteProperty(parsed, field));
    expectRefused(await postPackage(router, client, body), /well-formed|not supported/);
  });

  test.each(['"hello"', "[1]", "null", "{", "\xff", ""])("whose plaintext is %j", async (plaintext) => {
    const body = nodeSeal(router.publicKey.pem, Buffer.from(plaintext, "latin1"));
    expectRefused(await postPackage(router, client, body), /JSON of one object|well-formed|not usable JSON/);
  });

  test("whose plaintext is nested 10 000 deep", async () => {
    const deep = `{"model":"m","messages":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
    expectRefused(await postPackage(router, client, nodeSeal(router.publicKey.pem, deep)), /JSON/);
  });
});

describe("sizes", () => {
  const limit = 64 * 1024 * 1024;

  test("a body of 64 MiB + 1 byte is refused by its Content-Length, before it is sent", async () => {
    const answer = await fetchRaw(`${router.url}/v1/chat/secure_completion`, {
      method: "POST",
      headers: { ...secureHeaders(client), "content-length": limit + 1, expect: "100-continue" },
    });
    expectRefused(answer, /too large/);
  });

  test("a body of 64 MiB + 1 byte without a Content-Length is refused while it is read", async () => {
    const { answer, sent } = await postChunks(limit + 1);
    expectRefused(answer, /too large/);
    expect(sent).toBeGreaterThanOrEqual(limit + 1);
  });

  test("a body without end is refused, and the connection cut", async () => {
    const { answer } = await postChunks(Number.POSITIVE_INFINITY);
    expectRefused(answer, /too large/);
  });

  test("a body of exactly 64 MiB is read, and refused for what it is", async () => {
    expectRefused(await postPackage(router, client, Buffer.alloc(limit, 0x20)), /well-formed/);
  });

  const large = whyNotLockable(64 << 20);
  const testLarge = large === "" ? test : test.skip;
  testLarge(`a plaintext of exactly 10 MiB is answered, one byte more is refused${large}`, async () => {
    const frame = JSON.stringify({ model: "m", max_tokens: 1, messages: [{ role: "user", content: "" }] });
    const of = (bytes: number) => frame.replace('"content":""', `"content":"${"a".repeat(bytes - frame.length)}"`);
    const most = 10 * 1024 * 1024;
    const good = await postPackage(router, client, nodeSeal(router.publicKey.pem, of(most)));
    expect(good.status).toBe(200);
    expect(JSON.parse(nodeOpen(client.privatePem, good.body).plaintext)).toMatchObject({ object: "chat.completion" });
    expectRefused(
      await postPackage(router, client, nodeSeal(router.publicKey.pem, of(most + 1))),
      /larger than this server accepts/,
    );
  });

  test("a client that stops in the middle of its body costs nothing", async () => {
    // The requests before are answered, and may not be counted out yet.
    while ((await underWay()) !== 0) await pause();
    const socket = connect(router.port, "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    const headers = Object.entries(secureHeaders(client)).map(([name, value]) => `${name}: ${String(value)}\r\n`);
    socket.write(
      `POST /v1/chat/secure_completion HTTP/1.1\r\nhost: localhost\r\n${headers.join("")}content-length: ` +
        `1000\r\n\r\n{"version`,
    );
    while ((await underWay()) === 0) await pause();
    socket.destroy();
    while ((await underWay()) !== 0) await pause();
  });

  /** Sends chunks of 1 MiB until it is answered or `total` bytes are sent. */
  async function postChunks(total: number): Promise<{ answer: RawAnswer; sent: number }> {
    return await new Promise((resolve, reject) => {
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      let sent = 0;
      let answered = false;
      const post = http.request(`${router.url}/v1/chat/secure_completion`, {
        method: "POST",
        agent: false,
        headers: secureHeaders(client),
      });
      const more = () => {
        while (!answered && sent < total) {
          const part = chunk.subarray(0, Math.min(chunk.length, total - sent));
          sent += part.length;
          if (!post.write(part)) {
            post.once("drain", more);
            return;
          }
        }
        if (sent >= total) post.end();
      };
      post.on("response", (response) => {
        answered = true;
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => {
          resolve({
            answer: { status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) },
            sent,
          });
        });
      });
      post.on("error", (error) => {
        if (!answered) reject(error);
      });
      more();
    });
  }

  async function underWay(): Promise<number> {
    const answer = await fetchRaw(`${router.url}/healthz`);
    return (JSON.parse(answer.body.toString()) as { requests_under_way: number }).requests_under_way;
  }
});

describe("each byte of a package", () => {
  // Every position would take minutes on a small machine; the step is a prime, so that it does not keep to base64's
  // groups.
  const step = process.env["NOMYO_TEST_EVERY_BYTE"] === "1" ? 1 : 7;

  test.each<[string, (body: Buffer, at: number) => Buffer]>([
    [
      "flipped",
      (body, at) =>
        Buffer.concat([body.subarray(0, at), Buffer.from([body[at]! ^ (1 << (at % 8))]), body.subarray(at + 1)]),
    ],
    ["dropped", (body, at) => Buffer.concat([body.subarray(0, at), body.subarray(at + 1)])],
    ["added", (body, at) => Buffer.concat([body.subarray(0, at), Buffer.from([0x20 + (at % 95)]), body.subarray(at)])],
    ["doubled", (body, at) => Buffer.concat([body.subarray(0, at + 1), body.subarray(at)])],
  ])(
    "%s",
    async (_what, edit) => {
      const body = sealed();
      const positions = Array.from({ length: Math.ceil(body.length / step) }, (_, index) => index * step);
      const refused: number[] = [];
      await inParallel(8, positions, async (at) => {
        const changed = edit(body, at);
        const answer = await postPackage(router, client, changed);
        if (meansTheSame(changed, body)) {
          expect([at, answer.status]).toEqual([at, 200]);
        } else {
          expect([at, answer.status]).toEqual([at, 400]);
          expect(answer.body.toString()).not.toContain(marker);
          refused.push(at);
        }
      });
      // All but the optional fields' names and the white space between tokens.
      expect(refused.length).toBeGreaterThan(positions.length * 0.9);
    },
    300_000,
  );
});

/**
 * Whether an independent reader finds the same package: the required fields equal, the optional ones equal or absent
 * (PROTOCOL 2).
 */
function meansTheSame(changed: Buffer, original: Buffer): boolean {
  let parsed: Partial<NodePackage>;
  try {
    parsed = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(changed),
    ) as Partial<NodePackage>;
  } catch {
    return false;
  }
  const good = JSON.parse(original.toString()) as NodePackage;
  const required = ({ version, algorithm, encrypted_payload: payload, encrypted_aes_key }: Partial<NodePackage>) =>
    JSON.stringify([version, algorithm, payload?.ciphertext, payload?.nonce, payload?.tag, encrypted_aes_key]);
  const optional = (["key_algorithm", "payload_algorithm"] as const).every(
    (name) => parsed[name] === undefined || parsed[name] === good[name],
  );
  return required(parsed) === required(good) && optional;
}

async function inParallel<T>(count: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
