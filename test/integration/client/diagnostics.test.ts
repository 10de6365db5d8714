/** What diagnostics channels and the logger tell, and what they never tell. */
import diagnosticsChannel from "node:diagnostics_channel";
import { inspect } from "node:util";

import type { Logger } from "../../../lib/client/logger.js";
import type { PhaseTrace, RequestTrace, RetryTrace } from "../../../lib/client/diagnostics.js";
import { ReferenceServer } from "../../support/reference-server.js";
import { TestClients } from "../../support/test-clients.js";

const secret = "a-very-confidential-prompt";
const request = { model: "m", messages: [{ role: "user" as const, content: secret }] };
const clients = new TestClients();
let server: ReferenceServer;
let events: [string, unknown][];
const names = [
  "tracing:nomyo:request:start",
  "tracing:nomyo:request:end",
  "tracing:nomyo:request:asyncStart",
  "tracing:nomyo:request:asyncEnd",
  "tracing:nomyo:request:error",
  "nomyo:request:phase",
  "nomyo:request:retry",
  "nomyo:server-key",
];
const listeners = names.map(
  (name) =>
    (message: unknown): void =>
      void events.push([name, message]),
);

beforeEach(async () => {
  server = await ReferenceServer.start();
  events = [];
  names.forEach((name, i) => diagnosticsChannel.subscribe(name, listeners[i]!));
});
afterEach(async () => {
  names.forEach((name, i) => diagnosticsChannel.unsubscribe(name, listeners[i]!));
  await clients.close();
  await server.stop();
});
afterAll(() => clients.removeKeys());

const of = (name: string): unknown[] => events.filter(([channel]) => channel === name).map(([, message]) => message);

it("a request is traced from its start to its end, with sizes and times", async () => {
  const { response } = await clients
    .make({ baseUrl: server.url })
    .create(request, { security_tier: "high" })
    .withResponse();
  expect(events.map(([name]) => name).filter((name) => name.startsWith("tracing"))).toEqual([
    "tracing:nomyo:request:start",
    "tracing:nomyo:request:end",
    "tracing:nomyo:request:asyncStart",
    "tracing:nomyo:request:asyncEnd",
  ]);
  const [trace] = of("tracing:nomyo:request:start") as RequestTrace[];
  expect(trace).toEqual({
    server: server.url,
    model: "m",
    securityTier: "high",
    attempts: 1,
    payloadId: response.payloadId,
    status: 200,
    requestBytes: server.received[0]!.body.length,
    responseBytes: expect.any(Number),
    milliseconds: expect.any(Number),
  });
});

it("each phase is told with its milliseconds, in order", async () => {
  await clients.make({ baseUrl: server.url }).create(request);
  const phases = of("nomyo:request:phase") as PhaseTrace[];
  expect(phases.map(({ phase }) => phase)).toEqual([
    "client-key",
    "rate-limit",
    "server-key",
    "seal",
    "exchange",
    "read",
    "open",
    "verify",
  ]);
  for (const { milliseconds, attempt, ok } of phases) {
    expect(milliseconds).toBeGreaterThanOrEqual(0);
    expect([attempt, ok]).toEqual([1, true]);
  }
});

it("a failure is told with its code, and the phase in which it happened", async () => {
  server.onPost = (_b, _r, response) => void response.end("{}");
  await expect(clients.make({ baseUrl: server.url }).create(request)).rejects.toThrow();
  const [trace] = of("tracing:nomyo:request:error") as RequestTrace[];
  expect(trace).toMatchObject({ errorCode: "PACKAGE_FORMAT", sent: "yes", status: 200 });
  expect((of("nomyo:request:phase") as PhaseTrace[]).filter(({ ok }) => !ok).map(({ phase }) => phase)).toEqual([
    "open",
  ]);
});

it("retries are told with what failed and how long is waited", async () => {
  let failures = 1;
  server.onPost = (body, incoming, response) => {
    if (failures-- > 0) response.writeHead(503, { "retry-after": "0.05" }).end();
    else return server.reply(body, incoming, response);
  };
  await clients.make({ baseUrl: server.url }).create(request);
  expect(of("nomyo:request:retry") as RetryTrace[]).toEqual([
    {
      request: expect.objectContaining({ attempts: 2 }),
      attempt: 1,
      errorCode: "SERVICE_UNAVAILABLE",
      waitMilliseconds: 50,
    },
  ]);
});

it("a subscriber may carry its own context through the request", async () => {
  const { AsyncLocalStorage } = await import("node:async_hooks");
  const storage = new AsyncLocalStorage<string>();
  const start = diagnosticsChannel.channel("tracing:nomyo:request:start");
  start.bindStore(storage, () => "the span");
  const seen: (string | undefined)[] = [];
  const onPhase = (): void => void seen.push(storage.getStore());
  diagnosticsChannel.subscribe("nomyo:request:phase", onPhase);
  await clients.make({ baseUrl: server.url }).create(request);
  diagnosticsChannel.unsubscribe("nomyo:request:phase", onPhase);
  start.unbindStore(storage);
  expect(new Set(seen)).toEqual(new Set(["the span"]));
});

it("no channel and no log line holds a prompt, an answer, a key or the API key", async () => {
  const lines: unknown[] = [];
  const note = (...args: unknown[]): void => void lines.push(args);
  const logger: Logger = { debug: note, info: note, warn: note, error: note };
  let failures = 1;
  server.onPost = (body, incoming, response) => {
    if (failures-- > 0) response.writeHead(500, { "retry-after": "0" }).end(JSON.stringify({ detail: "no" }));
    else return server.reply(body, incoming, response);
  };
  const client = clients.make({ baseUrl: server.url, logger, apiKey: "secret-api-key" });
  await client.create(request);
  server.onPost = (_b, _r, response) => void response.writeHead(401).end();
  await expect(client.create(request)).rejects.toThrow();
  expect(lines.length).toBeGreaterThan(1);
  const everything = inspect([events, lines], { depth: 20, showHidden: true });
  for (const word of [secret, "secret-api-key", "Bearer", "PRIVATE KEY", "BEGIN PUBLIC"])
    expect(everything).not.toContain(word);
});

it("plain HTTP is told once for each client", async () => {
  const lines: string[] = [];
  const note = (message: string): void => void lines.push(message);
  const client = clients.make({ baseUrl: server.url, logger: { debug: note, info: note, warn: note, error: note } });
  await client.create(request);
  await client.create(request);
  expect(lines.filter((line) => line.includes("allowHttp"))).toHaveLength(1);
});

it("a logger that throws disturbs nothing", async () => {
  const fail = (): never => {
    throw new Error("logger");
  };
  const client = clients.make({ baseUrl: server.url, logger: { debug: fail, info: fail, warn: fail, error: fail } });
  await client.create(request);
});

it("the client is silent by default", async () => {
  const write = jest.spyOn(process.stderr, "write");
  const print = jest.spyOn(process.stdout, "write");
  try {
    server.onPost = (_b, _r, response) => void response.writeHead(500).end();
    await expect(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request)).rejects.toThrow();
    expect(write).not.toHaveBeenCalled();
    expect(print).not.toHaveBeenCalled();
  } finally {
    write.mockRestore();
    print.mockRestore();
  }
});
