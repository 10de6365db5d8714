/** PROTOCOL section 5: cache, single flight, pins, known-servers file, change of key. */
import diagnosticsChannel from "node:diagnostics_channel";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPairSync } from "node:crypto";

import { SecureCompletionClient } from "../../../lib/client/secure-completion-client.js";
import type { Logger } from "../../../lib/client/logger.js";
import { InvalidRequestError, SecurityError } from "../../../lib/errors.js";
import { makeKeyPair, ReferenceServer, sharedKeyPair } from "../../support/reference-server.js";
import type { KeyPair } from "../../support/reference-server.js";
import { TestClients } from "../../support/test-clients.js";

const request = { model: "m", messages: [{ role: "user" as const, content: "x" }] };
const clients = new TestClients();
let server: ReferenceServer;
let other: KeyPair;
let folder: string;

beforeAll(() => {
  other = makeKeyPair();
});
beforeEach(async () => {
  server = await ReferenceServer.start();
  folder = mkdtempSync(join(tmpdir(), "server-key-"));
});
afterEach(async () => {
  await clients.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});
afterAll(() => clients.removeKeys());

const gets = (): number => server.log.filter((line) => line.startsWith("GET")).length;
const posts = (): number => server.log.filter((line) => line.startsWith("POST")).length;

function recorder(): { logger: Logger; lines: [string, string][] } {
  const lines: [string, string][] = [];
  const at = (level: string) => (message: string) => void lines.push([level, message]);
  return { logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") }, lines };
}

function subscribe(): { events: Record<string, unknown>[]; stop: () => void } {
  const events: Record<string, unknown>[] = [];
  const listener = (message: unknown): void => void events.push(message as Record<string, unknown>);
  diagnosticsChannel.subscribe("nomyo:server-key", listener);
  return { events, stop: () => diagnosticsChannel.unsubscribe("nomyo:server-key", listener) };
}

describe("the cache", () => {
  it("is used until its time is over", async () => {
    const patient = clients.make({ baseUrl: server.url });
    await patient.create(request);
    await patient.create(request);
    expect(gets()).toBe(1);
    const hasty = clients.make({ baseUrl: server.url, serverKey: { cacheTtl: 50 } });
    await hasty.create(request);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await hasty.create(request);
    expect(gets()).toBe(3);
  });

  it("fetches for every request with a time of 0", async () => {
    const client = clients.make({ baseUrl: server.url, serverKey: { cacheTtl: 0 } });
    await client.create(request);
    await client.create(request);
    expect(gets()).toBe(2);
  });

  it("is not filled by a failure", async () => {
    server.onGetKey = (_request, response) => void response.writeHead(500).end();
    const client = clients.make({ baseUrl: server.url, maxRetries: 0 });
    await expect(client.create(request)).rejects.toMatchObject({ statusCode: 500, sent: "no" });
    server.onGetKey = undefined;
    await client.create(request);
    expect(gets()).toBe(2);
  });
});

describe("one fetch in flight", () => {
  it("goes on for those who still wait when one of them gives up", async () => {
    let release: (() => void) | undefined;
    server.onGetKey = (_request, response) => {
      release = () => void response.end(server.keys.publicPem);
    };
    const client = clients.make({ baseUrl: server.url });
    const controller = new AbortController();
    const impatient = client.create(request, { signal: controller.signal });
    const patient = client.create(request);
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    await expect(impatient).rejects.toMatchObject({ name: "APIUserAbortError" });
    release();
    await expect(patient).resolves.toBeDefined();
    expect(gets()).toBe(1);
  });

  it("ends when the last one gives up, and the next request starts another", async () => {
    let closed = 0;
    server.onGetKey = (_request, response) => void response.on("close", () => closed++);
    const client = clients.make({ baseUrl: server.url });
    const controller = new AbortController();
    const pending = client.create(request, { signal: controller.signal });
    while (gets() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    await expect(pending).rejects.toMatchObject({ name: "APIUserAbortError" });
    server.onGetKey = undefined;
    await client.create(request);
    expect(closed).toBe(1);
    expect(gets()).toBe(2);
  });
});

describe("a pin", () => {
  const upper = (hex: string): string => hex.toUpperCase().replace(/(..)(?=.)/g, "$1:");

  it.each([
    ["hex", (hex: string) => hex],
    ["hex with a prefix", (hex: string) => `sha256:${hex}`],
    ["upper case with colons", upper],
  ])("in the form of %s lets its key through", async (_form, write) => {
    const client = clients.make({ baseUrl: server.url, serverKey: { fingerprints: write(server.keys.fingerprint) } });
    await client.create(request);
    expect(posts()).toBe(1);
  });

  it("may be one of several", async () => {
    const fingerprints = [other.fingerprint, server.keys.fingerprint];
    await clients.make({ baseUrl: server.url, serverKey: { fingerprints } }).create(request);
    expect(posts()).toBe(1);
  });

  it("stops everything when the server has another key", async () => {
    const { events, stop } = subscribe();
    const client = clients.make({ baseUrl: server.url, serverKey: { fingerprints: other.fingerprint } });
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    stop();
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ code: "SERVER_KEY_PIN", sent: "no" });
    expect((error as Error).message).toContain(server.keys.fingerprint);
    expect(posts()).toBe(0);
    expect(gets()).toBe(1);
    expect(events).toEqual([expect.objectContaining({ event: "pin-mismatch", fingerprint: server.keys.fingerprint })]);
  });

  it("holds when the server changes its key: the request is not sealed to the new one", async () => {
    const client = clients.make({ baseUrl: server.url, serverKey: { fingerprints: sharedKeyPair().fingerprint } });
    await client.create(request);
    server.keys = other;
    await expect(client.create(request)).rejects.toMatchObject({ code: "SERVER_KEY_PIN", sent: "yes" });
    expect(posts()).toBe(2);
    expect(gets()).toBe(2);
  });
});

describe("a key that is no good is refused before anything is sent", () => {
  const pemOf = (bits: number): string =>
    generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ type: "spki", format: "pem" }) as string;
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
    type: "spki",
    format: "pem",
  }) as string;

  it.each([
    ["RSA-2048", pemOf(2048), "KEY_WEAK"],
    ["elliptic", ec, undefined],
    ["no PEM", "hello", "KEY_FORMAT"],
  ])("%s", async (_what, pem, code) => {
    server.onGetKey = (_request, response) => void response.end(pem);
    const error: unknown = await clients
      .make({ baseUrl: server.url })
      .create(request)
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ sent: "no", ...(code === undefined ? {} : { code }) });
    expect(posts()).toBe(0);
  });

  it("but RSA-2048 can be allowed", async () => {
    server.keys = makeKeyPair(2048);
    await clients.make({ baseUrl: server.url, serverKey: { minBits: 2048 } }).create(request);
    expect(posts()).toBe(1);
  });
});

describe("a server that has changed its key", () => {
  it("without a pin: the request is sealed anew, once, and the change is reported", async () => {
    const { logger, lines } = recorder();
    const { events, stop } = subscribe();
    const client = clients.make({ baseUrl: server.url, logger, maxRetries: 0 });
    await client.create(request);
    server.keys = other;
    const { response } = await client.create(request).withResponse();
    stop();
    expect(response.attempts).toBe(2);
    expect(server.received).toHaveLength(2);
    expect(events.map(({ event }) => event)).toEqual(["first-seen", "changed"]);
    expect(events[1]).toMatchObject({
      before: sharedKeyPair().fingerprint,
      fingerprint: other.fingerprint,
      server: server.url,
    });
    expect(lines.filter(([level, message]) => level === "warn" && message.includes("key has changed"))).toHaveLength(1);
  });

  it("is asked for its key once more on a 400, and the 400 is thrown when the key is the same", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    server.onPost = (_body, _request, response) => void response.writeHead(400).end('{"detail":"bad"}');
    await expect(client.create(request)).rejects.toThrow(InvalidRequestError);
    expect(gets()).toBe(2);
    expect(posts()).toBe(2);
  });

  it("and does not give it: the 400 is thrown", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    server.onPost = (_body, _request, response) => void response.writeHead(400).end();
    server.onGetKey = (_request, response) => void response.writeHead(500).end();
    await expect(client.create(request)).rejects.toThrow(InvalidRequestError);
  });

  it("a second time within one request: the 400 is thrown", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    server.keys = other;
    server.onPost = (_body, _request, response) => void response.writeHead(400).end();
    await expect(client.create(request)).rejects.toThrow(InvalidRequestError);
    expect(posts()).toBe(3);
  });
});

describe("a known-servers file", () => {
  it("remembers the first key across clients, and a changed one is an error that tells how to accept it", async () => {
    const knownServersFile = join(folder, "known_servers");
    await clients.make({ baseUrl: server.url, serverKey: { knownServersFile } }).create(request);
    expect(readFileSync(knownServersFile, "utf8")).toContain(`${server.url} sha256:${server.keys.fingerprint}\n`);
    await clients.make({ baseUrl: server.url, serverKey: { knownServersFile } }).create(request);

    server.keys = other;
    const { events, stop } = subscribe();
    const error: unknown = await clients
      .make({ baseUrl: server.url, serverKey: { knownServersFile } })
      .create(request)
      .catch((e: unknown) => e);
    stop();
    expect(error).toMatchObject({ name: "SecurityError", code: "SERVER_KEY_CHANGED", sent: "no" });
    expect((error as Error).message).toContain(`remove line 2 of ${knownServersFile}`);
    expect(events).toEqual([expect.objectContaining({ event: "known-mismatch", fingerprint: other.fingerprint })]);
    expect(posts()).toBe(2);

    writeFileSync(knownServersFile, "");
    await clients.make({ baseUrl: server.url, serverKey: { knownServersFile } }).create(request);
    expect(posts()).toBe(3);
  });
});

describe("SecureCompletionClient.fetchServerPublicKey", () => {
  it("gives the PEM", async () => {
    const client = clients.add(new SecureCompletionClient({ baseUrl: server.url, allowHttp: true }));
    expect(await client.fetchServerPublicKey()).toBe(server.keys.publicPem);
    expect(gets()).toBe(1);
  });

  it("and SecureChatCompletion.serverKey its fingerprint", async () => {
    expect(await clients.make({ baseUrl: server.url }).serverKey()).toEqual({
      pem: server.keys.publicPem,
      fingerprint: server.keys.fingerprint,
    });
  });
});
