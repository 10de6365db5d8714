/** Both transports over real connections. */
import { Agent } from "undici";

import { FetchTransport } from "../../../lib/client/fetch-transport.js";
import type { FetchLike } from "../../../lib/client/fetch-transport.js";
import { NodeTransport } from "../../../lib/client/node-transport.js";
import { readBody } from "../../../lib/client/response-body.js";
import { ConnectionFailure, failureCode } from "../../../lib/client/transport.js";
import type { Transport } from "../../../lib/client/transport.js";
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
    let closed = false;
    raw = await RawServer.start((socket) => {
      socket.on("close", () => (closed = true));
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const more = setInterval(() => socket.write(`400\r\n${"x".repeat(1024)}\r\n`), 1);
      socket.on("close", () => clearInterval(more));
    });
    const body = await readBody(await post(transport, raw.url), 10_000);
    expect(body.truncated).toBe(true);
    expect(body.bytes).toHaveLength(10_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(closed).toBe(true);
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
    expect(failure).toMatchObject({ message: "The connection failed (UNKNOWN)", sent: "maybe" });
    expect(failure).not.toHaveProperty("cause");
  });

  it("reads an answer without a body", async () => {
    const empty: FetchLike = () => Promise.resolve(new Response(null, { status: 204 }));
    const response = await post(new FetchTransport(empty, undefined), "http://127.0.0.1:1/");
    expect((await readBody(response, 10)).bytes).toHaveLength(0);
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
