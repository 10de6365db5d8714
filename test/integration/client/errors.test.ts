/** Every error class by its real cause over a real connection; retries; deadlines; aborts. */
import diagnosticsChannel from "node:diagnostics_channel";
import { inspect } from "node:util";
import { Agent } from "undici";

import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  AuthenticationError,
  ConfigurationError,
  ForbiddenError,
  InvalidRequestError,
  NomyoError,
  RateLimitError,
  SecurityError,
  ServerError,
  ServiceUnavailableError,
} from "../../../lib/errors.js";
import { makeCertificates } from "../../support/certificates.js";
import type { Certificates } from "../../support/certificates.js";
import { closedPort } from "../../support/raw-server.js";
import { ReferenceServer, sharedKeyPair } from "../../support/reference-server.js";
import { TestClients } from "../../support/test-clients.js";

const prompt = "a-very-confidential-prompt";
const request = { model: "m", messages: [{ role: "user" as const, content: prompt }] };
const clients = new TestClients();
let server: ReferenceServer;
let certificates: Certificates;

beforeAll(() => {
  certificates = makeCertificates();
});
beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await clients.close();
  await server.stop();
});
afterAll(() => {
  clients.removeKeys();
  certificates.remove();
});

/** Resolves when a phase of an attempt has ended. */
function endOfPhase(name: string): Promise<void> {
  return new Promise((resolve) => {
    const onPhase = (message: unknown): void => {
      if ((message as { phase: string }).phase !== name) return;
      diagnosticsChannel.unsubscribe("nomyo:request:phase", onPhase);
      resolve();
    };
    diagnosticsChannel.subscribe("nomyo:request:phase", onPhase);
  });
}

/** How long the next retry waits, in milliseconds, told when it begins to. */
function nextRetry(): Promise<number> {
  return new Promise((resolve) => {
    const onRetry = (message: unknown): void => {
      diagnosticsChannel.unsubscribe("nomyo:request:retry", onRetry);
      resolve((message as { waitMilliseconds: number }).waitMilliseconds);
    };
    diagnosticsChannel.subscribe("nomyo:request:retry", onRetry);
  });
}

async function errorOf(promise: Promise<unknown>): Promise<NomyoError & Record<string, unknown>> {
  const error: unknown = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(NomyoError);
  const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
  expect(shown).not.toContain(prompt);
  expect(shown).not.toContain("secret-key");
  expect(shown).not.toContain("PRIVATE");
  return error as NomyoError & Record<string, unknown>;
}

const refuseWith = (
  status: number,
  headers: Record<string, string> = {},
  body = `{"detail":"no, because ${status}"}`,
): void => {
  server.onPost = (_body, _request, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(body);
  };
};
const posts = (): number => server.log.filter((line) => line.startsWith("POST")).length;

describe("an HTTP status", () => {
  it.each([
    [400, InvalidRequestError, "INVALID_REQUEST"],
    [401, AuthenticationError, "AUTHENTICATION"],
    [403, ForbiddenError, "FORBIDDEN"],
    [404, APIError, "NOT_FOUND"],
    [429, RateLimitError, "RATE_LIMIT"],
    [500, ServerError, "SERVER_ERROR"],
    [502, APIError, "API_ERROR"],
    [503, ServiceUnavailableError, "SERVICE_UNAVAILABLE"],
    [504, APIError, "API_ERROR"],
    [204, APIError, "API_ERROR"],
    [307, APIError, "API_ERROR"],
    [418, APIError, "API_ERROR"],
  ])("%d becomes its class, with status, body, headers and payload id", async (status, Class, code) => {
    refuseWith(status, { "x-more": "1" });
    const client = clients.make({ baseUrl: server.url, apiKey: "secret-key", maxRetries: 0 });
    const error = await errorOf(client.create(request));
    expect(error.constructor).toBe(Class);
    expect(error).toMatchObject({ code, statusCode: status, status, sent: "yes" });
    if (status !== 204) expect(error["errorDetails"]).toEqual({ detail: `no, because ${status}` });
    expect((error["headers"] as Headers).get("x-more")).toBe("1");
    expect(error.payloadId).toMatch(/^[0-9a-f-]{36}$/);
    expect(error.message).toContain(String(status));
  });

  it("with a body that quotes the prompt keeps it out of the message", async () => {
    refuseWith(400, {}, JSON.stringify({ detail: "bad input: quoted-by-the-server" }));
    const error = await errorOf(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request));
    expect(error.message).not.toContain("quoted-by-the-server");
    expect(error["errorDetails"]).toEqual({ detail: "bad input: quoted-by-the-server" });
  });

  it.each([
    ["text", "<html>Bad Gateway</html>", "<html>Bad Gateway</html>"],
    ["nothing", "", undefined],
    ["broken JSON", '{"detail":', '{"detail":'],
    ["a number", "7", 7],
  ])("with a body of %s", async (_what, body, details) => {
    refuseWith(502, {}, body);
    const error = await errorOf(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request));
    expect(error["errorDetails"]).toEqual(details);
  });

  it("with an endless body: 64 KiB of it are read", async () => {
    server.onPost = (_body, _request, response) => {
      response.writeHead(500);
      const write = (): void => {
        while (!response.destroyed && response.write("y".repeat(10_000)));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    };
    const error = await errorOf(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request));
    expect(error).toBeInstanceOf(ServerError);
    expect(error["errorDetails"]).toBe("y".repeat(65_536));
  });

  it("whose body breaks off keeps its class", async () => {
    server.onPost = (_body, _request, response) => {
      response.writeHead(403, { "content-length": "1000" });
      response.write("x");
      setTimeout(() => response.destroy(), 30);
    };
    expect(await errorOf(clients.make({ baseUrl: server.url }).create(request))).toBeInstanceOf(ForbiddenError);
  });

  it("of a redirect: it is not followed, and not retried", async () => {
    const other = await ReferenceServer.start();
    refuseWith(308, { location: `${other.url}/v1/chat/secure_completion` }, "");
    const error = await errorOf(clients.make({ baseUrl: server.url, apiKey: "secret-key" }).create(request));
    expect(error).toMatchObject({ statusCode: 308 });
    expect(error.message).toMatch(/redirect/);
    expect(other.log).toEqual([]);
    expect(posts()).toBe(1);
    await other.stop();
  });
});

describe("a connection", () => {
  it("that is refused", async () => {
    const client = clients.make({ baseUrl: `http://127.0.0.1:${await closedPort()}`, maxRetries: 0 });
    const error = await errorOf(client.create(request));
    expect(error.constructor).toBe(APIConnectionError);
    expect(error).toMatchObject({ code: "CONNECTION", sent: "no", statusCode: undefined });
    expect(error.message).toMatch(/refused/);
  });

  it("that is reset before the answer: it may have been sent", async () => {
    server.onPost = (_body, incoming) => void incoming.socket.resetAndDestroy();
    const error = await errorOf(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request));
    expect(error.constructor).toBe(APIConnectionError);
    expect(error.sent).toBe("maybe");
  });

  it("that is reset in the middle of the body: it was sent", async () => {
    server.onPost = (_body, incoming, response) => {
      response.writeHead(200, { "content-length": "10000" });
      response.write('{"version":"1.0"');
      setTimeout(() => incoming.socket.resetAndDestroy(), 30);
    };
    const error = await errorOf(clients.make({ baseUrl: server.url, maxRetries: 0 }).create(request));
    expect(error.constructor).toBe(APIConnectionError);
    expect(error.sent).toBe("yes");
  });

  it.each([
    ["another host name", () => certificates.otherName, /another host name/],
    ["a time that has passed", () => certificates.expired, /expired/],
  ])("whose certificate is for %s", async (_what, certificate, message) => {
    const tls = await ReferenceServer.start(certificate());
    const dispatcher = new Agent({ connect: { ca: certificates.ca } });
    const error = await errorOf(clients.make({ baseUrl: tls.url, dispatcher, maxRetries: 0 }).create(request));
    expect(error.constructor).toBe(APIConnectionError);
    expect(error.message).toMatch(message);
    expect(error.sent).toBe("no");
    expect(tls.log).toEqual([]);
    await dispatcher.close();
    await tls.stop();
  });

  it("whose certificate nobody trusts", async () => {
    const tls = await ReferenceServer.start(certificates.server);
    const error = await errorOf(clients.make({ baseUrl: tls.url, maxRetries: 0 }).create(request));
    expect(error.message).toMatch(/not trusted/);
    expect(error.sent).toBe("no");
    await tls.stop();
  });

  it("over plain HTTP without consent: refused before anything is sent", async () => {
    const refuse = (): unknown => clients.make({ baseUrl: server.url, allowHttp: false });
    expect(refuse).toThrow(SecurityError);
    const client = clients.make({ baseUrl: "https://127.0.0.1:1", allowHttp: false });
    const error = await errorOf(client.create(request, { baseUrl: server.url }));
    expect(error).toMatchObject({ code: "PLAIN_HTTP", sent: "no" });
    expect(server.log).toEqual([]);
  });
});

describe("a deadline", () => {
  it.each([
    ["before the headers", (): Promise<void> => new Promise((stalled) => (server.onPost = () => stalled())), "maybe"],
    [
      "in the middle of the body",
      (): Promise<void> => {
        server.onPost = (_b, _r, response) => {
          response.writeHead(200, { "content-length": "1000" });
          response.write("{");
        };
        return endOfPhase("exchange");
      },
      "yes",
    ],
    [
      "while the server's key is fetched",
      (): Promise<void> => new Promise((stalled) => (server.onGetKey = () => stalled())),
      "no",
    ],
  ])("passes %s", async (_when, stall, sent) => {
    const client = clients.make({ baseUrl: server.url, timeout: 200, maxRetries: 0 });
    await client.ready();
    const stalled = stall();
    // The deadline's clock is moved when the request is where it should be: that takes as long as it takes.
    jest.useFakeTimers({ doNotFake: ["Date", "nextTick", "queueMicrotask", "setImmediate", "clearImmediate"] });
    try {
      const ended = errorOf(client.create(request));
      await stalled;
      await new Promise(setImmediate);
      jest.advanceTimersByTime(199);
      await new Promise(setImmediate);
      expect(await Promise.race([ended, Promise.resolve("still waiting")])).toBe("still waiting");
      jest.advanceTimersByTime(1);
      const error = await ended;
      expect(error).toBeInstanceOf(APIConnectionTimeoutError);
      expect(error).toMatchObject({ code: "TIMEOUT", sent });
    } finally {
      jest.useRealTimers();
    }
  });

  it("is one for the whole attempt: bytes that trickle do not prolong it", async () => {
    server.onPost = (_b, _r, response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(more));
    };
    const client = clients.make({ baseUrl: server.url, timeout: 300, maxRetries: 0 });
    expect(await errorOf(client.create(request))).toBeInstanceOf(APIConnectionTimeoutError);
  });

  it("of a request wins over the client's", async () => {
    server.onPost = () => undefined;
    const client = clients.make({ baseUrl: server.url });
    expect(await errorOf(client.create(request, { timeout: 100, maxRetries: 0 }))).toBeInstanceOf(
      APIConnectionTimeoutError,
    );
  });

  it("bounds the wait for the client's own rate limit", async () => {
    const client = clients.make({
      baseUrl: server.url,
      rateLimit: { requestsPerSecond: 0.1, burst: 1 },
      timeout: 5000,
      maxRetries: 0,
    });
    await client.create(request);
    const error = await errorOf(client.create(request));
    expect(error).toBeInstanceOf(APIConnectionTimeoutError);
    expect(error).toMatchObject({ sent: "no" });
    expect(error.message).toMatch(/rate limit/);
    expect(posts()).toBe(1);
  });
});

describe("the client's own rate limit", () => {
  it("spreads requests instead of having them refused", async () => {
    const client = clients.make({ baseUrl: server.url, rateLimit: { requestsPerSecond: 10, burst: 1 } });
    await client.create(request);
    const started = performance.now();
    await Promise.all(Array.from({ length: 4 }, () => client.create(request)));
    expect(performance.now() - started).toBeGreaterThan(250);
  });
});

describe("the caller's signal", () => {
  const abortedAt = async (prepare: (controller: AbortController) => void, sent: string): Promise<void> => {
    const client = clients.make({ baseUrl: server.url });
    await client.ready();
    const controller = new AbortController();
    prepare(controller);
    const error = await errorOf(client.create(request, { signal: controller.signal }));
    expect(error).toBeInstanceOf(APIUserAbortError);
    expect(error.sent).toBe(sent);
    expect(posts()).toBeLessThanOrEqual(1);
  };

  it("aborted before: nothing is sent", () => abortedAt((controller) => controller.abort(), "no"));

  it("aborted while the server's key is fetched", () =>
    abortedAt((controller) => {
      server.onGetKey = () => controller.abort();
    }, "no"));

  it("aborted while the server works", () =>
    abortedAt((controller) => {
      server.onPost = () => controller.abort();
    }, "maybe"));

  it("aborted while the answer is read", () =>
    abortedAt((controller) => {
      server.onPost = (_b, _r, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write("{");
      };
      void endOfPhase("exchange").then(() => setImmediate(() => controller.abort()));
    }, "yes"));

  it("aborted while an error's body is read", () =>
    abortedAt((controller) => {
      server.onPost = (_b, _r, response) => {
        response.writeHead(500, { "content-length": "1000" });
        response.write("{");
      };
      void endOfPhase("exchange").then(() => setImmediate(() => controller.abort()));
    }, "yes"));

  it("aborted while it is sealed: a getter of the request does it", async () => {
    const client = clients.make({ baseUrl: server.url });
    const controller = new AbortController();
    const body = {
      ...request,
      metadata: {
        toJSON: () => {
          controller.abort();
          return {};
        },
      } as unknown as Record<string, string>,
    };
    const error = await errorOf(client.create(body, { signal: controller.signal }));
    expect(error).toBeInstanceOf(APIUserAbortError);
    expect(error.sent).toBe("no");
    expect(posts()).toBe(0);
  });

  it("aborted while the answer is opened", async () => {
    const client = clients.make({ baseUrl: server.url });
    const controller = new AbortController();
    // Opening begins when reading has ended, and its RSA operation takes milliseconds.
    const onPhase = (message: unknown): void => {
      if ((message as { phase: string }).phase === "read") setImmediate(() => controller.abort());
    };
    diagnosticsChannel.subscribe("nomyo:request:phase", onPhase);
    const error = await errorOf(client.create(request, { signal: controller.signal }));
    diagnosticsChannel.unsubscribe("nomyo:request:phase", onPhase);
    expect(error).toBeInstanceOf(APIUserAbortError);
    expect(error.sent).toBe("yes");
  });

  it("aborted while it waits for a retry", async () => {
    refuseWith(503, { "retry-after": "30" });
    const controller = new AbortController();
    const client = clients.make({ baseUrl: server.url });
    const waiting = nextRetry();
    const ended = errorOf(client.create(request, { signal: controller.signal }));
    expect(await waiting).toBe(30_000);
    controller.abort();
    const error = await ended;
    expect(error).toBeInstanceOf(APIUserAbortError);
    expect(error.sent).toBe("yes");
    expect(posts()).toBe(1);
  });

  it("aborted while the client's key is made", async () => {
    const client = clients.make({ baseUrl: server.url, keyDir: undefined });
    const controller = new AbortController();
    const pending = client.create(request, { signal: controller.signal });
    controller.abort();
    expect(await errorOf(pending)).toBeInstanceOf(APIUserAbortError);
    expect(server.log).toEqual([]);
  });
});

describe("retries", () => {
  it("repeat with a new AES key, nonce and payload id, and succeed", async () => {
    let failures = 2;
    server.onPost = (body, incoming, response) => {
      if (failures-- > 0) {
        server.receive(body, incoming);
        response.writeHead(503, { "retry-after": "0" });
        response.end();
      } else return server.reply(body, incoming, response);
    };
    const client = clients.make({ baseUrl: server.url });
    const { response } = await client.create(request).withResponse();
    expect(response.attempts).toBe(3);
    expect(new Set(server.received.map(({ payloadId }) => payloadId)).size).toBe(3);
    expect(new Set(server.received.map(({ aesKey }) => aesKey.toString("hex"))).size).toBe(3);
    expect(new Set(server.received.map(({ nonce }) => nonce.toString("hex"))).size).toBe(3);
    expect(response.payloadId).toBe(server.received[2]?.payloadId);
  });

  it("back off for about a second", async () => {
    let failures = 1;
    server.onPost = (body, incoming, response) => {
      if (failures-- > 0) response.writeHead(500).end();
      else return server.reply(body, incoming, response);
    };
    const waiting = nextRetry();
    const started = performance.now();
    await clients.make({ baseUrl: server.url }).create(request);
    const took = performance.now() - started;
    const wait = await waiting;
    expect(wait).toBeGreaterThanOrEqual(750);
    expect(wait).toBeLessThanOrEqual(1000);
    // A timer may be up to a millisecond early.
    expect(took).toBeGreaterThan(wait - 1);
  });

  it("end after maxRetries, of the client or of the request", async () => {
    refuseWith(429, { "retry-after": "0" });
    const client = clients.make({ baseUrl: server.url, maxRetries: 3 });
    await errorOf(client.create(request));
    expect(posts()).toBe(4);
    await errorOf(client.create(request, { maxRetries: 1 }));
    expect(posts()).toBe(6);
  });

  it("obey a date in Retry-After", async () => {
    let failures = 1;
    server.onPost = (body, incoming, response) => {
      if (failures-- > 0) {
        response.writeHead(429, { "retry-after": new Date(Date.now() + 2000).toUTCString() }).end();
      } else return server.reply(body, incoming, response);
    };
    const started = performance.now();
    await clients.make({ baseUrl: server.url }).create(request);
    expect(performance.now() - started).toBeGreaterThan(900);
  });

  it("do not wait for the half hour of a cool-down", async () => {
    refuseWith(503, { "retry-after": "1800" });
    expect(await errorOf(clients.make({ baseUrl: server.url }).create(request))).toBeInstanceOf(
      ServiceUnavailableError,
    );
    expect(posts()).toBe(1);
  });

  it.each([400, 401, 403, 404])("are not made for %d", async (status) => {
    refuseWith(status);
    await errorOf(clients.make({ baseUrl: server.url }).create(request));
    expect(posts()).toBe(1);
  });

  it("do not make `sent` forget an attempt that may have been processed", async () => {
    let attempt = 0;
    server.onPost = (_body, incoming) => {
      attempt++;
      incoming.socket.resetAndDestroy();
      server.server.close();
    };
    const client = clients.make({ baseUrl: server.url, maxRetries: 1 });
    const error = await errorOf(client.create(request));
    expect(attempt).toBe(1);
    expect(error.message).toMatch(/refused/);
    expect(error.sent).toBe("maybe");
    server = await ReferenceServer.start();
  });

  it("reopen a kept-alive connection that the server has closed meanwhile", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.create(request);
    (server.server as { closeIdleConnections(): void }).closeIdleConnections();
    await client.create(request);
    expect(server.received).toHaveLength(2);
  });
});

describe("the server's key", () => {
  it("that is refused is a SecurityError before anything is sent", async () => {
    server.onGetKey = (_request, response) => void response.end("no key");
    const error = await errorOf(clients.make({ baseUrl: server.url }).create(request));
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ code: "KEY_FORMAT", sent: "no" });
    expect(posts()).toBe(0);
  });

  it("that cannot be fetched: the status has its class, and nothing was sent", async () => {
    server.onGetKey = (_request, response) => void response.writeHead(404).end('{"detail":"off"}');
    const error = await errorOf(clients.make({ baseUrl: server.url }).create(request));
    expect(error).toMatchObject({ statusCode: 404, sent: "no", errorDetails: { detail: "off" } });
  });

  it("that is too long to be one", async () => {
    server.onGetKey = (_request, response) => void response.end("x".repeat(100_000));
    expect(await errorOf(clients.make({ baseUrl: server.url }).create(request))).toMatchObject({
      code: "KEY_FORMAT",
      sent: "no",
    });
  });
});

describe("a request that is wrong", () => {
  it("over 10 MiB is refused before anything is sent", async () => {
    const client = clients.make({ baseUrl: server.url });
    const big = { model: "m", messages: [{ role: "user" as const, content: "x".repeat(10_485_760) }] };
    const error = await errorOf(client.create(big));
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect(error).toMatchObject({ code: "TOO_LARGE", sent: "no" });
    expect(posts()).toBe(0);
  });

  it("with an unknown tier, or two of them, is refused before anything is sent", async () => {
    const client = clients.make({ baseUrl: server.url });
    const wrong = { ...request, security_tier: "ultra" as "high" };
    expect(await errorOf(client.create(wrong))).toMatchObject({
      name: "ConfigurationError",
      option: "security_tier",
      sent: "no",
    });
    const two = client.create({ ...request, security_tier: "high" }, { security_tier: "standard" });
    expect(await errorOf(two)).toBeInstanceOf(ConfigurationError);
    expect(server.log).toEqual([]);
  });

  it("with an API key that is no header value is refused without being shown", async () => {
    const client = clients.make({ baseUrl: server.url });
    const error = await errorOf(client.create(request, { apiKey: () => "secret-key\r\nX-Evil: 1" }));
    expect(error).toMatchObject({ option: "apiKey", sent: "no" });
    const failing = await errorOf(
      client.create(request, { apiKey: () => Promise.reject(new Error("vault says secret-key")) }),
    );
    expect(failing).toMatchObject({ option: "apiKey", sent: "no" });
    expect(posts()).toBe(0);
  });

  it("after close is refused", async () => {
    const client = clients.make({ baseUrl: server.url });
    await client.close();
    expect(await errorOf(client.create(request))).toMatchObject({ option: "close", sent: "no" });
  });
});

test("the shared key of the tests has 4096 bits", () => {
  expect(sharedKeyPair().publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096);
});
