/**
 * Clients that stall, flood, or send what is none of theirs: the others are answered, each with its own answer, and the
 * process lives on.
 */
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import net from "node:net";
import { native } from "../../../lib/native.js";
import { whyNotLockable } from "../../support/lockable.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { chat, detailOf, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA" }] };
const [keyA, keyB] = ["clinic-a-0123456789abcdef", "clinic-b-0123456789abcdef"] as const;

let router: Router;
const sockets = new Set<net.Socket>();
const start = async (options: RouterOptions = {}) => {
  router = await startRouter({ keyFile: keyFile.path, stopTimeoutMs: 0, ...options });
};
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await router.close();
});

/** Opens a connection and writes; `received` settles with all that came until its end. */
async function raw(text: string | Buffer): Promise<{ socket: net.Socket; received: Promise<string> }> {
  const socket = net.connect(router.port, "127.0.0.1");
  sockets.add(socket);
  let all = "";
  const received = new Promise<string>((resolve) => socket.once("close", () => resolve(all)));
  socket.on("error", () => undefined);
  socket.on("data", (data) => (all += data.toString("latin1")));
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.write(text);
  return { socket, received };
}

const headOf = (more: Record<string, string>, method = "POST") =>
  `${method} /v1/chat/secure_completion HTTP/1.1\r\nHost: localhost\r\n${Object.entries({
    ...secureHeaders(client),
    ...more,
  })
    .map(([name, value]) => `${name}: ${String(value)}\r\n`)
    .join("")}\r\n`;

const underWay = async () =>
  (JSON.parse((await fetchRaw(`${router.url}/healthz`)).body.toString()) as { requests_under_way: number })
    .requests_under_way;
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
const sealed = () => nodeSeal(router.publicKey.pem, JSON.stringify(request));

const tooLarge = whyNotLockable(128 << 20);
describe(`answers that are not read${tooLarge}`, () => {
  const asked = (key: string, body: Buffer) =>
    Buffer.concat([
      Buffer.from(headOf({ authorization: `Bearer ${key}`, "content-length": String(body.length) })),
      body,
    ]);

  const testLarge = tooLarge === "" ? test : test.skip;
  testLarge("are under way until their client has gone, and take no slot from anybody", async () => {
    const limits = { maxBodyBytes: 40 << 20, maxPlaintextBytes: 20 << 20 };
    await start({ apiKeys: [keyA, keyB], maxRequests: 2, maxRequestsPerKey: 1, ...limits });
    // More than the system takes for a client that reads nothing: the echo says it again.
    const content = "x".repeat(10 << 20);
    const body = nodeSeal(router.publicKey.pem, JSON.stringify({ model: "m", messages: [{ role: "user", content }] }));
    const unread: net.Socket[] = [];
    for (let i = 0; i < 4; i += 1) {
      const { socket } = await raw(asked(keyA, body));
      await new Promise((resolve) => socket.once("data", resolve));
      socket.pause();
      unread.push(socket);
    }
    expect(await underWay()).toBe(4);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyA}` })).status).toBe(429);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyB}` })).status).toBe(200);
    for (const socket of unread) socket.destroy();
    await until(async () => (await underWay()) === 0);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyA}` })).status).toBe(200);
  });
});

describe("bodies that do not arrive", () => {
  const stalled = (key: string) => headOf({ authorization: `Bearer ${key}`, "content-length": "1000" });

  test("take no slot from anybody, and of a key's share only its own", async () => {
    await start({ apiKeys: [keyA, keyB], maxRequests: 2 });
    for (let i = 0; i < 4; i += 1) await raw(stalled(keyA));
    await until(async () => (await underWay()) === 4);
    const own = await postPackage(router, client, sealed(), { authorization: `Bearer ${keyA}` });
    expect([own.status, own.headers["retry-after"]]).toEqual([429, "1"]);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyB}` })).status).toBe(200);
  });

  test("leave room for the same client where there is one key", async () => {
    await start({ apiKeys: [keyA], maxRequests: 2 });
    for (let i = 0; i < 7; i += 1) await raw(stalled(keyA));
    await until(async () => (await underWay()) === 7);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyA}` })).status).toBe(200);
    await raw(stalled(keyA));
    await until(async () => (await underWay()) === 8);
    expect((await postPackage(router, client, sealed(), { authorization: `Bearer ${keyA}` })).status).toBe(503);
  });
});

describe("what comes behind a request", () => {
  const garbage = "\x16\x03\x01 this is not HTTP\r\n\r\n";

  test("does not answer for it: the request's own answer comes, and then the end", async () => {
    await start({ echoDelayMs: 300 });
    const body = sealed();
    const head = headOf({ "content-length": String(body.length) });
    const { received } = await raw(Buffer.concat([Buffer.from(head), body, Buffer.from(garbage)]));
    const text = await received;
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    const [, answer] = text.split("\r\n\r\n");
    expect(JSON.parse(answer!)).toMatchObject({ version: "1.0" });
  });

  test("with nothing owed, what is broken is answered 400", async () => {
    await start();
    expect(await (await raw(garbage)).received).toMatch(/^HTTP\/1\.1 400 /);
    const broken = headOf({ "transfer-encoding": "chunked" });
    expect(await (await raw(`${broken}zz\r\n`)).received).toMatch(/^HTTP\/1\.1 400 /);
    await chat(router, client, request);
  });
});

describe("a log that fails", () => {
  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("QUOKKA: disk full");
      },
    ],
    ["rejects", () => Promise.reject(new Error("QUOKKA: disk full"))],
  ])("and %s ends nothing", async (_what, fail) => {
    const logged: string[] = [];
    const log = (message: string): unknown => {
      logged.push(message);
      return fail();
    };
    await start({ accessLog: fail, log });
    await chat(router, client, request);
    await postPackage(router, client, Buffer.from("{}"));
    await chat(router, client, request);
    // Beside what a router says that may lock little.
    const ofLogs = logged.filter((line) => !line.startsWith("large requests will be answered 503"));
    expect(ofLogs).toEqual(Array.from({ length: 3 }, () => "the access log failed (Error)"));
  });
});

describe("client keys", () => {
  const pemOf = (bits: number, exponent: string) => {
    const n = randomBytes(bits / 8);
    n[0]! |= 0x80;
    n[n.length - 1]! |= 1;
    const jwk = { kty: "RSA", n: n.toString("base64url"), e: Buffer.from(exponent, "hex").toString("base64url") };
    return createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" }).toString();
  };

  test("that are costly to seal to are refused before the body is asked for", async () => {
    await start();
    for (const [bits, exponent] of [
      [16_384, "010001"],
      [8_192, "010001"],
      [4_096, "ffffffffffffffff"],
      [4_096, "0100000001"],
    ] as const) {
      const answer = await postPackage(router, client, sealed(), {
        "x-public-key": encodeURIComponent(pemOf(bits, exponent)),
      });
      expect([bits, exponent, answer.status]).toEqual([bits, exponent, 400]);
      expect(detailOf(answer)).toMatch(/X-Public-Key is too (weak or too costly|long)/);
    }
    for (const [bits, exponent] of [
      [4_096, "ffffffff"],
      [2_048, "010001"],
    ] as const) {
      const answer = await postPackage(router, client, sealed(), {
        "x-public-key": encodeURIComponent(pemOf(bits, exponent)),
      });
      expect([bits, exponent, answer.status]).toEqual([bits, exponent, 200]);
    }
  });

  test("are freed with the answer, without the collector", async () => {
    await start();
    await chat(router, client, request);
    const before = native.memoryInfo().stats.allocations;
    for (let i = 0; i < 30; i += 1) {
      await postPackage(router, client, sealed());
      await postPackage(router, client, Buffer.from("{}"));
      await postPackage(router, client, sealed(), { "x-payload-id": "0f8fad5b-d9cb-469f-a165-70867728950e.wrong" });
    }
    // A key is several allocations: of 90 that stay there would be hundreds.
    expect(native.memoryInfo().stats.allocations - before).toBeLessThan(90);
  });
});

describe("importPublicKey", () => {
  const key = (modulusLength: number) =>
    generateKeyPairSync("rsa", { modulusLength }).publicKey.export({ type: "spki", format: "pem" }).toString();
  const code = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      return (error as { code: string }).code;
    }
    return "none";
  };
  beforeAll(() => start());

  test("takes no more than the most bits, and disposed keys are of no use", () => {
    const pem = key(3072);
    expect(code(() => native.importPublicKey(pem, 2048, 2048))).toBe("KEY_WEAK");
    const handle = native.importPublicKey(pem, 2048, 3072);
    expect(native.publicKeyInfo(handle).bits).toBe(3072);
    native.publicKeyDispose(handle);
    native.publicKeyDispose(handle);
    expect(code(() => native.publicKeyInfo(handle))).toBe("DISPOSED");
    const options = { maxPlaintextBytes: 100, locking: "preferred" } as const;
    expect(code(() => native.sealBytes(handle, Buffer.from("{}"), options))).toBe("DISPOSED");
  });
});
