/**
 * What the client makes of a router's answers when somebody stands between them: each time the right error, and nothing
 * of the answer.
 */
import * as http from "node:http";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { APIError, InvalidRequestError, NomyoError, SecurityError } from "../../../lib/errors.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { chat, postPackage } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const marker = "QUOKKA-7f3a";
const keyFile = routerKeyFile();
const keyDir = mkdtempSync(join(tmpdir(), "nomyo-client-key-"));
let router: Router;
let proxy: http.Server;
let client: SecureChatCompletion;
/** What becomes of the router's answers to secure completions. */
let change: (
  body: Buffer,
  headers: http.IncomingHttpHeaders,
) => { status?: number; headers?: http.OutgoingHttpHeaders; body: Buffer };
const unchanged: typeof change = (body) => ({ body });

beforeAll(async () => {
  cpSync(join(__dirname, "../../vectors/keys/client_private.pem"), join(keyDir, "private_key.pem"));
  chmodSync(join(keyDir, "private_key.pem"), 0o600);
  router = await startRouter({ keyFile: keyFile.path });
  proxy = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const onward = http.request(
        new URL(request.url!, router.url),
        { method: request.method!, headers: request.headers, agent: false },
        (answer) => {
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => parts.push(part));
          answer.on("end", () => {
            const whole = Buffer.concat(parts);
            const made: ReturnType<typeof change> =
              request.method === "POST" ? change(whole, request.headers) : { body: whole };
            response.writeHead(made.status ?? answer.statusCode!, {
              ...made.headers,
              "content-length": made.body.length,
            });
            response.end(made.body);
          });
        },
      );
      onward.end(Buffer.concat(chunks));
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  client = new SecureChatCompletion({
    baseUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    allowHttp: true,
    maxRetries: 0,
    keyDir,
    keyRotationInterval: 0,
    attestation: "off",
  });
});
beforeEach(() => {
  change = unchanged;
});
afterAll(async () => {
  await client.close();
  proxy.closeAllConnections();
  proxy.close();
  await router.close();
  keyFile.remove();
  rmSync(keyDir, { recursive: true, force: true });
});

const ask = async () => await client.create({ model: "m", messages: [{ role: "user", content: marker }] });

/** Why the client refused the answer; undefined when it did not. */
async function outcome(): Promise<NomyoError | undefined> {
  const error = await ask().then(
    () => undefined,
    (reason: unknown) => reason as NomyoError,
  );
  if (error === undefined) return undefined;
  expect(error).toBeInstanceOf(NomyoError);
  const shown = `${String(error)} ${inspect(error, { depth: 10 })} ${JSON.stringify(error)} ${(error as Error).stack}`;
  expect(shown).not.toContain(marker);
  return error;
}

async function refusal(): Promise<NomyoError> {
  const error = await outcome();
  expect(error).toBeDefined();
  return error!;
}

const optional = ["key_algorithm", "payload_algorithm", "processed_at"];

/** Whether an independent reader finds the same package in both (fields that may be absent, absent or equal). */
function meansTheSame(changed: Buffer, original: Buffer): boolean {
  try {
    const parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(changed)) as Record<
      string,
      unknown
    >;
    const good = JSON.parse(original.toString()) as Record<string, unknown>;
    return Object.keys(good).every(
      (name) =>
        (optional.includes(name) && !(name in parsed)) ||
        // The time is outside what is authenticated, and only told.
        (name === "processed_at" && typeof parsed[name] === "number") ||
        JSON.stringify(parsed[name]) === JSON.stringify(good[name]),
    );
  } catch {
    return false;
  }
}

test.each<[string, (body: Buffer, at: number) => Buffer]>([
  [
    "flipped",
    (body, at) =>
      Buffer.concat([body.subarray(0, at), Buffer.from([body[at]! ^ (1 << (at % 8))]), body.subarray(at + 1)]),
  ],
  ["dropped", (body, at) => Buffer.concat([body.subarray(0, at), body.subarray(at + 1)])],
  ["added", (body, at) => Buffer.concat([body.subarray(0, at), Buffer.from([0x20 + (at % 95)]), body.subarray(at)])],
])(
  "any byte of an answer %s is a SecurityError",
  async (_what, edit) => {
    // A prime step, so that it does not keep to base64's groups.
    const step = process.env["NOMYO_TEST_EVERY_BYTE"] === "1" ? 1 : 13;
    let refused = 0;
    let same = 0;
    let length = Number.POSITIVE_INFINITY;
    for (let at = 0; at < length; at += step) {
      let harmless = false;
      change = (body) => {
        length = body.length;
        const changed = edit(body, at);
        harmless = meansTheSame(changed, body);
        return { body: changed };
      };
      // Asked once: two answers differ in their times, so that the same change may be harmless in one of them.
      const error = await outcome();
      if (error === undefined) {
        expect([at, harmless]).toEqual([at, true]);
        same += 1;
      } else {
        expect([at, error instanceof SecurityError]).toEqual([at, true]);
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(10 * same);
  },
  300_000,
);

test.each<[string, Buffer]>([
  ["nothing", Buffer.alloc(0)],
  ["text", Buffer.from("hello")],
  ["an answer that is not encrypted", Buffer.from(JSON.stringify({ choices: [{ message: { content: marker } }] }))],
  ["bytes that are not UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ["64 MiB + 1 byte", Buffer.alloc(64 * 1024 * 1024 + 1, 0x20)],
])("%s in place of an answer is a SecurityError", async (_what, body) => {
  change = () => ({ body });
  expect(await refusal()).toBeInstanceOf(SecurityError);
});

test("an answer that is sealed to another key is a SecurityError", async () => {
  const other = nodeKeyPair(4096);
  change = () => ({ body: nodeSeal(other.publicPem, JSON.stringify({ choices: [{ message: { content: marker } }] })) });
  expect(await refusal()).toBeInstanceOf(SecurityError);
});

test("an answer that the router made for another request is a SecurityError", async () => {
  let first: Buffer | undefined;
  change = (body) => ({ body: (first ??= body) });
  await ask();
  expect(await refusal()).toBeInstanceOf(SecurityError);
});

test("a redirect is not followed", async () => {
  change = () => ({
    status: 307,
    headers: { location: `${router.url}/v1/chat/secure_completion` },
    body: Buffer.alloc(0),
  });
  const error = await refusal();
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({ statusCode: 307 });
});

test("a payload over 10 MiB is refused before it is sent", async () => {
  const content = marker + "a".repeat(10 * 1024 * 1024);
  const error: unknown = await client
    .create({ model: "m", messages: [{ role: "user", content }] })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NomyoError);
  expect((error as NomyoError).sent).toBe("no");
  expect(String(error)).not.toContain(marker);
});

test("plain HTTP without consent is a SecurityError, before anything is sent", () => {
  expect(() => new SecureChatCompletion({ baseUrl: router.url })).toThrow(SecurityError);
});

test("a router's own refusal keeps its class", async () => {
  change = () => ({ status: 400, body: Buffer.from('{"detail":"no"}') });
  const error = await refusal();
  expect(error).toBeInstanceOf(InvalidRequestError);
  expect(error).toMatchObject({ statusCode: 400 });
});

test("after all that client and router work on", async () => {
  expect((await ask()).choices[0]!.message.content).toContain(marker);
  const small = nodeKeyPair(2048);
  await chat(router, small, { model: "m", messages: [{ role: "user", content: "x" }] });
  expect((await postPackage(router, small, Buffer.from("x"))).status).toBe(400);
});
