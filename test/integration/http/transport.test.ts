/** Both transports over real connections. */
import { once } from "node:events";
import http from "node:http";
import type { Socket } from "node:net";

import { Agent } from "undici";

import { FetchTransport } from "../../../lib/http/fetch-transport.js";
import type { FetchLike } from "../../../lib/http/fetch-transport.js";
import { NodeTransport } from "../../../lib/http/node-transport.js";
import { readBody } from "../../../lib/http/response-body.js";
import { ConnectionFailure, failureCode } from "../../../lib/http/transport.js";
import type { Transport } from "../../../lib/http/transport.js";
import { SecurityError } from "../../../lib/errors.js";
import { makeCertificates } from "../../support/certificates.js";
import type { Certificates } from "../../support/certificates.js";
import { closedPort, RawServer } from "../../support/raw-server.js";
import { ReferenceServer } from "../../support/reference-server.js";

const nodeFetch = globalThis.fetch as unknown as FetchLike;
const never = new AbortController().signal;
let certificates: Certificates;
let raw: RawServer | undefined;
let server: ReferenceServer | undefined;
const agents: Agent[] = [];

beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates.remove());
afterEach(async () => {
  await raw?.stop();
  await server?.stop();
  raw = server = undefined;
  for (const agent of agents.splice(0)) await agent.destroy();
});

const failureOf = async (promise: Promise<unknown>): Promise<ConnectionFailure> => {
  const error: unknown = await promise.catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ConnectionFailure);
  return error as ConnectionFailure;
};

const post = (transport: Transport, url: string, signal = never) =>
  transport.send({
    method: "POST",
    url: new URL(url),
    headers: { "X-A": "b" },
    body: new Uint8Array([1, 2, 3]),
    signal,
  });

describe.each([
  ["NodeTransport", () => new NodeTransport()],
  ["FetchTransport", () => new FetchTransport(nodeFetch, undefined)],
])("%s", (name, make) => {
  let transport: Transport;
  beforeEach(() => {
    transport = make();
  });
  afterEach(() => transport.close());

  it("sends the body as it is, with its length, and gives status, headers and body", async () => {
    raw = await RawServer.start((socket, received) => {
      if (received.endsWith("\x01\x02\x03"))
        socket.end("HTTP/1.1 201 Made\r\nX-Reply: yes\r\nContent-Length: 4\r\n\r\nbody");
    });
    const response = await post(transport, `${raw.url}/path`);
    expect(response.status).toBe(201);
    expect(response.headers.get("x-reply")).toBe("yes");
    expect(Buffer.from((await readBody(response, 100)).bytes).toString()).toBe("body");
    expect(raw.received).toMatch(/^POST \/path HTTP\/1\.1\r\n/);
    expect(raw.received).toMatch(/content-length: 3\r\n/i);
    expect(raw.received).not.toMatch(/transfer-encoding/i);
  });

  it("keeps its connection alive", async () => {
    server = await ReferenceServer.start();
    for (let i = 0; i < 5; i++) {
      const response = await transport.send({
        method: "GET",
        url: new URL(`${server.url}/pki/public_key`),
        headers: {},
        signal: never,
      });
      await readBody(response, 10_000);
    }
    // undici opens a second one while the first is still finishing.
    expect(server.connections).toBeLessThanOrEqual(name === "NodeTransport" ? 1 : 2);
  });

  it("says that nothing was sent when the connection is refused", async () => {
    const failure = await failureOf(post(transport, `http://127.0.0.1:${await closedPort()}/`));
    expect(failure).toMatchObject({ reason: "ECONNREFUSED", sent: "no" });
    expect(failure.message).toMatch(/refused/);
  });

  it("says that nothing was sent when the host name is not known", async () => {
    const failure = await failureOf(post(transport, "http://nobody.invalid/"));
    expect(failure.sent).toBe("no");
    expect(["ENOTFOUND", "EAI_AGAIN"]).toContain(failure.reason);
  });

  it("says that the request may have been sent when the connection is reset before the answer", async () => {
    raw = await RawServer.start((socket) => socket.resetAndDestroy());
    expect((await failureOf(post(transport, raw.url))).sent).toBe("maybe");
  });

  it("says that it was sent when the connection is reset in the middle of the body", async () => {
    raw = await RawServer.start((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
      setTimeout(() => socket.resetAndDestroy(), 50);
    });
    const response = await post(transport, raw.url);
    const failure = await failureOf(readBody(response, 10_000));
    expect(failure).toMatchObject({ reason: "INCOMPLETE", sent: "yes" });
  });

  it("takes a body that ends before its length for broken", async () => {
    raw = await RawServer.start((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"));
    const response = await post(transport, raw.url);
    expect((await failureOf(readBody(response, 10_000))).sent).toBe("yes");
  });

  it("names an answer that is not HTTP", async () => {
    raw = await RawServer.start((socket) => socket.end("220 mail.example ESMTP secret-banner\r\n"));
    const failure = await failureOf(post(transport, raw.url));
    expect(failure.message).not.toMatch(/secret-banner/);
    expect(failure.sent).toBe("maybe");
  });

  it("follows no redirect", async () => {
    raw = await RawServer.start((socket) =>
      socket.end("HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"),
    );
    const response = await post(transport, raw.url);
    expect(response.status).toBe(307);
    expect(raw.received.match(/POST /g)).toHaveLength(1);
  });

  it("rejects with the signal's reason before, while waiting and while reading", async () => {
    const reason = new Error("enough");
    await expect(post(transport, "http://127.0.0.1:1/", AbortSignal.abort(reason))).rejects.toBe(reason);

    raw = await RawServer.start(() => undefined);
    const waiting = new AbortController();
    const pending = post(transport, raw.url, waiting.signal);
    setTimeout(() => waiting.abort(reason), 50);
    await expect(pending).rejects.toBe(reason);
    await raw.stop();

    raw = await RawServer.start((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"));
    const reading = new AbortController();
    const response = await post(transport, raw.url, reading.signal);
    setTimeout(() => reading.abort(reason), 50);
    await expect(readBody(response, 10_000)).rejects.toBe(reason);
  });

  it("survives an abort between the headers and the body", async () => {
    raw = await RawServer.start((socket) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"));
    const controller = new AbortController();
    const reason = new Error("enough");
    const response = await post(transport, raw.url, controller.signal);
    controller.abort(reason);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(readBody(response, 10_000)).rejects.toBe(reason);
  });

  it("stops reading at the limit, whatever the length says, and closes the connection", async () => {
    let closed = (): void => undefined;
    const whenClosed = new Promise<void>((resolve) => (closed = resolve));
    raw = await RawServer.start((socket) => {
      socket.on("close", closed);
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const more = setInterval(() => socket.write(`400\r\n${"x".repeat(1024)}\r\n`), 1);
      socket.on("close", () => clearInterval(more));
    });
    const body = await readBody(await post(transport, raw.url), 10_000);
    expect(body.truncated).toBe(true);
    expect(body.bytes).toHaveLength(10_000);
    // Hangs if it stays open.
    await whenClosed;
  });

  it("takes a body of exactly the limit", async () => {
    raw = await RawServer.start((socket) =>
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${"x".repeat(100)}`),
    );
    const body = await readBody(await post(transport, raw.url), 100);
    expect(body).toMatchObject({ truncated: false });
    expect(body.bytes).toHaveLength(100);
  });

  it.each([
    ["of an unknown authority", () => certificates.server, /not trusted/],
    ["for another name", () => certificates.otherName, /not trusted|another host name/],
  ])("refuses a certificate %s, before anything is sent", async (_what, certificate, message) => {
    server = await ReferenceServer.start(certificate());
    const failure = await failureOf(post(transport, server.url));
    expect(failure.sent).toBe("no");
    expect(failure.message).toMatch(message);
    expect(server.log).toEqual([]);
  });

  it("refuses a certificate that is not verified also when the environment says otherwise", async () => {
    server = await ReferenceServer.start(certificates.server);
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    try {
      const error: unknown = await post(transport, server.url).catch((e: unknown) => e);
      if (name === "NodeTransport") expect(error).toBeInstanceOf(ConnectionFailure);
      else expect(error).toMatchObject({ name: "SecurityError", code: "TLS_NOT_VERIFIED" });
      expect(server.log).toEqual([]);
    } finally {
      delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"];
    }
  });

  it("does not use proxies of the environment", async () => {
    server = await ReferenceServer.start();
    raw = await RawServer.start((socket) => socket.end("HTTP/1.1 502 Proxy\r\n\r\n"));
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"];
    for (const one of names) process.env[one] = raw.url;
    try {
      const response = await transport.send({
        method: "GET",
        url: new URL(`${server.url}/pki/public_key`),
        headers: {},
        signal: never,
      });
      expect(response.status).toBe(200);
      await readBody(response, 10_000);
      expect(raw.received).toBe("");
    } finally {
      for (const one of names) Reflect.deleteProperty(process.env, one);
    }
  });
});

describe("FetchTransport", () => {
  it.each([
    ["for another host name", () => certificates.otherName, "ERR_TLS_CERT_ALTNAME_INVALID", /another host name/],
    ["that has expired", () => certificates.expired, "CERT_HAS_EXPIRED", /expired/],
  ])("refuses a certificate %s of a trusted authority", async (_what, certificate, reason, message) => {
    server = await ReferenceServer.start(certificate());
    const agent = new Agent({ connect: { ca: certificates.ca } });
    agents.push(agent);
    const failure = await failureOf(post(new FetchTransport(nodeFetch, agent), server.url));
    expect(failure).toMatchObject({ reason, sent: "no" });
    expect(failure.message).toMatch(message);
    // Node's error carries the certificate; ours carries a code and our own words.
    expect(Object.keys(failure).sort()).toEqual(["name", "reason", "sent"]);
    expect(server.log).toEqual([]);
  });

  it("lets no time-out of undici's end an answer that begins late", async () => {
    raw = await RawServer.start((socket) => {
      setTimeout(() => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 1500);
    });
    const agent = new Agent({ headersTimeout: 300, bodyTimeout: 300 });
    agents.push(agent);
    const response = await post(new FetchTransport(nodeFetch, agent), raw.url);
    expect(response.status).toBe(200);
  });

  it("refuses a fetch that follows redirects by itself", async () => {
    raw = await RawServer.start((socket, received) => {
      const reply = received.includes("/other")
        ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        : "HTTP/1.1 303 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
      socket.end(reply);
    });
    const following: FetchLike = (url, init) => globalThis.fetch(url, { ...init, redirect: "follow" } as RequestInit);
    await expect(post(new FetchTransport(following, undefined), raw.url)).rejects.toThrow(SecurityError);
  });

  it("keeps what a foreign fetch says in its error to itself", async () => {
    const broken: FetchLike = (_url, init) => Promise.reject(new Error(`bad header ${init.headers["X-A"]}`));
    const failure = await failureOf(post(new FetchTransport(broken, undefined), "http://127.0.0.1:1/"));
    expect(failure).toMatchObject({ message: "127.0.0.1:1: The connection failed (UNKNOWN)", sent: "maybe" });
    expect(failure).not.toHaveProperty("cause");
  });

  it("reads an answer without a body", async () => {
    const empty: FetchLike = () => Promise.resolve(new Response(null, { status: 204 }));
    const response = await post(new FetchTransport(empty, undefined), "http://127.0.0.1:1/");
    expect((await readBody(response, 10)).bytes).toHaveLength(0);
  });
});

describe("an event that never comes", () => {
  it.each([
    ["with the headers of a switch", "Connection: Upgrade\r\nUpgrade: other\r\n"],
    ["without them", ""],
  ])("101 %s is an answer, and the last of its connection", async (_what, headers) => {
    const transport = new NodeTransport();
    let closed = (): void => undefined;
    const whenClosed = new Promise<void>((resolve) => (closed = resolve));
    raw = await RawServer.start((socket) => {
      socket.on("close", closed);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`);
    });
    const response = await post(transport, raw.url);
    expect(response.status).toBe(101);
    expect((await readBody(response, 10)).bytes).toHaveLength(0);
    await whenClosed;
    transport.close();
  });

  it("a connection that ends without an answer and without an error settles all the same", async () => {
    const transport = new NodeTransport();
    raw = await RawServer.start((socket) => socket.end());
    expect(await failureOf(post(transport, raw.url))).toMatchObject({ sent: "maybe" });
    transport.close();
  });

  it("a fetch that does not look at its signal is left, and its late answer let go", async () => {
    let answer = (_: Response): void => undefined;
    const deaf: FetchLike = () => new Promise((resolve) => (answer = resolve));
    const controller = new AbortController();
    const pending = post(new FetchTransport(deaf, undefined), "https://x.example/", controller.signal);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    const cancelled = new Promise<void>((resolve) => {
      answer(new Response(new ReadableStream({ cancel: () => resolve() })));
    });
    await cancelled;
  });

  it("a body that does not look at the signal is left, and cancelled", async () => {
    let cancelled = false;
    const body = new ReadableStream({
      pull: () => new Promise(() => undefined),
      cancel: () => void (cancelled = true),
    });
    const controller = new AbortController();
    const transport = new FetchTransport(() => Promise.resolve(new Response(body)), undefined);
    const response = await post(transport, "https://x.example/", controller.signal);
    const reading = readBody(response, 100);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(cancelled).toBe(true);
  });
});

describe("a connection that was kept", () => {
  const reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const exchange = async (transport: Transport, url: string): Promise<string> =>
    Buffer.from((await readBody(await post(transport, url), 100)).bytes).toString();

  it("and that the server closed while this process was busy costs no request", async () => {
    const transport = new NodeTransport();
    let last: Socket | undefined;
    let requests = 0;
    raw = await RawServer.start((socket) => {
      last = socket;
      requests++;
      socket.write(reply);
    });
    for (let i = 0; i < 5; i++) {
      expect(await exchange(transport, raw.url)).toBe("ok");
      // In the same turn of the event loop as the next request: nothing has told the client yet.
      last?.destroy();
    }
    expect(requests).toBe(5);
    transport.close();
  });

  it("is not used again shortly before the server's own time for it is over", async () => {
    const transport = new NodeTransport();
    const sockets = new Set<Socket>();
    raw = await RawServer.start((socket) => {
      sockets.add(socket);
      socket.write(reply.replace("\r\n", "\r\nKeep-Alive: timeout=3\r\n"));
    });
    const now = jest.spyOn(performance, "now");
    now.mockReturnValue(1000);
    await exchange(transport, raw.url);
    now.mockReturnValue(2000);
    await exchange(transport, raw.url);
    expect(sockets.size).toBe(1);
    now.mockReturnValue(5000);
    await exchange(transport, raw.url);
    expect(sockets.size).toBe(2);
    now.mockRestore();
    transport.close();
  });

  it("and whose answer was distrusted is closed, and nothing is asked on it", async () => {
    const transport = new NodeTransport();
    const sockets = new Set<Socket>();
    raw = await RawServer.start((socket) => {
      sockets.add(socket);
      socket.write(reply);
    });
    const answer = await post(transport, raw.url);
    await readBody(answer, 100);
    answer.distrust!();
    await once([...sockets][0]!, "close");
    expect(await exchange(transport, raw.url)).toBe("ok");
    expect(sockets.size).toBe(2);
    transport.close();
  });

  it("and is distrusted while another request waits on it, is closed behind that one's answer", async () => {
    const transport = new NodeTransport();
    const sockets: Socket[] = [];
    raw = await RawServer.start((socket) => {
      sockets.push(socket);
      if (sockets.length !== 2) socket.write(reply);
    });
    const first = await post(transport, raw.url);
    await readBody(first, 100);
    // On the wire before the first answer turns out to be none.
    const second = exchange(transport, raw.url);
    while (sockets.length < 2) await new Promise((resolve) => setImmediate(resolve));
    first.distrust!();
    sockets[1]!.write(reply);
    expect(await second).toBe("ok");
    expect(sockets[1]).toBe(sockets[0]);
    if (!sockets[0]!.destroyed) await once(sockets[0]!, "close");
    expect(await exchange(transport, raw.url)).toBe("ok");
    expect(sockets[2]).not.toBe(sockets[0]);
    transport.close();
  });

  it("and is reset after the request was written, is reported as such, and the request not repeated", async () => {
    const transport = new NodeTransport();
    let requests = 0;
    raw = await RawServer.start((socket) => {
      if (++requests === 1) socket.write(reply);
      else socket.resetAndDestroy();
    });
    await exchange(transport, raw.url);
    const sending = jest.fn();
    const second = transport.send({
      method: "POST",
      url: new URL(raw.url),
      headers: {},
      body: new Uint8Array([1]),
      signal: never,
      onSending: sending,
    });
    expect(await failureOf(second)).toMatchObject({ reason: "ECONNRESET", sent: "maybe" });
    expect(sending).toHaveBeenCalledTimes(1);
    expect(requests).toBe(2);
    transport.close();
  });

  it("and is dead before a byte was written to it is exchanged for a fresh one", async () => {
    const transport = new NodeTransport();
    let requests = 0;
    raw = await RawServer.start((socket) => {
      requests++;
      socket.write(reply);
    });
    await exchange(transport, raw.url);
    // Between the last look and the writing: the agent gives the socket out, and it is gone.
    const reuse = jest.spyOn(http.Agent.prototype, "reuseSocket").mockImplementationOnce((socket, request) => {
      Object.assign(request, { reusedSocket: true });
      socket.destroy();
    });
    expect(await exchange(transport, raw.url)).toBe("ok");
    expect(reuse).toHaveBeenCalled();
    reuse.mockRestore();
    expect(requests).toBe(2);
    transport.close();
  });
});

describe("sent", () => {
  const failing = (code: string, syscall: string): Transport =>
    new FetchTransport(
      () => Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error(), { code, syscall }) })),
      undefined,
    );

  it.each([
    ["EHOSTUNREACH", "connect", "no"],
    ["EHOSTUNREACH", "read", "maybe"],
    ["ENETUNREACH", "connect", "no"],
    ["ENETUNREACH", "write", "maybe"],
    ["ETIMEDOUT", "connect", "no"],
    ["ETIMEDOUT", "read", "maybe"],
    ["ECONNREFUSED", "connect", "no"],
  ])("%s of %s is %s", async (code, syscall, sent) => {
    expect((await failureOf(post(failing(code, syscall), "https://x.example/"))).sent).toBe(sent);
  });

  it("is yes for a redirect that was followed: there was an answer", async () => {
    const redirected = Object.defineProperty(new Response("x"), "redirected", { value: true });
    const transport = new FetchTransport(() => Promise.resolve(redirected), undefined);
    await expect(post(transport, "https://x.example/")).rejects.toMatchObject({ code: "REDIRECTED", sent: "yes" });
  });
});

describe("the default transport", () => {
  it("touches none of the globals that load WebAssembly", async () => {
    server = await ReferenceServer.start();
    const names = ["Headers", "Request", "Response", "fetch", "FormData", "WebAssembly"] as const;
    const kept = names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)!] as const);
    for (const name of names) {
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get: () => {
          throw new Error(`${name} was touched`);
        },
      });
    }
    const transport = new NodeTransport();
    try {
      const response = await transport.send({
        method: "GET",
        url: new URL(`${server.url}/pki/public_key`),
        headers: {},
        signal: never,
      });
      expect(response.headers.get("Content-Type")).toBe("text/plain");
      await readBody(response, 10_000);
    } finally {
      for (const [name, descriptor] of kept) Object.defineProperty(globalThis, name, descriptor);
      transport.close();
    }
  });
});

describe("failureCode", () => {
  it("looks into causes and aggregates, and believes only what looks like a code", () => {
    expect(failureCode(new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "EPIPE" }) }))).toBe(
      "EPIPE",
    );
    const both = new AggregateError([Object.assign(new Error(), { code: "ECONNREFUSED" })]);
    expect(failureCode(both)).toBe("ECONNREFUSED");
    expect(failureCode({ code: "Bearer secret" })).toBe("UNKNOWN");
    expect(failureCode("text")).toBe("UNKNOWN");
  });
});
