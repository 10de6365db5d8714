/** Clients that stall, flood or write what is no request: the others are answered, and nothing of theirs stays. */
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import { Connection } from "../../../lib/proxy/connection.js";
import { startProxy } from "../../../lib/proxy/index.js";
import type { Proxy, ProxyOptions } from "../../../lib/proxy/index.js";
import { makeCertificates } from "../../support/certificates.js";
import { connectRaw } from "../../support/raw-http.js";
import type { RawConnection } from "../../support/raw-http.js";
import { echo, ReferenceServer } from "../../support/reference-server.js";
import settledPool from "../../support/settled-pool.cjs";
import { vectorKeyDir } from "../../support/test-clients.js";

const keyDir = vectorKeyDir();
let server: ReferenceServer;
let proxy: Proxy;
const open: RawConnection[] = [];
const raw = async (text: string | Buffer): Promise<RawConnection> => {
  const connection = await connectRaw(proxy.port, text);
  open.push(connection);
  return connection;
};
const start = async (options: ProxyOptions = {}): Promise<void> => {
  const client = { baseUrl: server.url, allowHttp: true, keyDir, keyRotationInterval: 0, apiKey: null, maxRetries: 0 };
  proxy = await startProxy({ stopTimeoutMs: 0, ...options, client: { ...client, ...options.client } });
};
beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  await proxy.close();
  await server.stop();
});
afterAll(() => rmSync(keyDir, { recursive: true }));

/** The server's next answers wait: `asked` is settled when one is wanted, and `release` gives it. */
const holdAnswers = (): { asked: Promise<void>; release: () => void } => {
  let give = (): void => undefined;
  const asked = new Promise<void>((there) => {
    server.answer = async (received) => {
      there();
      await new Promise<void>((resolve) => (give = resolve));
      return echo(received);
    };
  });
  return { asked, release: () => give() };
};

const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "QUOKKA" }] });
const headOf = (framing: string, path = "/v1/chat/completions"): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`;
const whole = headOf(`Content-Length: ${body.length}`) + body;
const statusOf = (received: string): number => Number(received.slice(9, 12));
const bodyOf = (received: string): string => received.slice(received.indexOf("\r\n\r\n") + 4);
/** Reads until one answer has come, by its length. */
const answered = async ({ socket, text }: RawConnection, from = 0): Promise<string> => {
  for (let total: number | undefined; ;) {
    const end = text().indexOf("\r\n\r\n", from);
    if (end >= 0) {
      total ??= end + 4 + Number(/^content-length: (\d+)\r$/im.exec(text().slice(from, end + 2))?.[1] ?? 0);
      if (text().length >= total) return text().slice(from, total);
    }
    if (socket.destroyed) throw new Error(`the connection ended: ${text().slice(from)}`);
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off("data", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("data", done);
      socket.on("close", done);
    });
  }
};

describe("what two readers could understand differently", () => {
  const chunked = "Transfer-Encoding: chunked";
  test.each([
    ["length and chunks", headOf(`Content-Length: 4\r\n${chunked}`) + "0\r\n\r\n"],
    ["two lengths", headOf("Content-Length: 2\r\nContent-Length: 2") + "{}"],
    ["a list of lengths", headOf("Content-Length: 2, 2") + "{}"],
    ["a signed length", headOf("Content-Length: +2") + "{}"],
    ["another encoding of the transfer", headOf("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n"],
    ["two encodings of the transfer", headOf(`${chunked}\r\n${chunked}`) + "0\r\n\r\n"],
    ["a disguised encoding", headOf("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n"],
    ["a space before the colon", headOf("Content-Length : 2") + "{}"],
    ["a folded header", headOf("X: a\r\n b") + "{}"],
    ["two hosts", "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"],
    ["bare line feeds", "GET /v1/models HTTP/1.1\nHost: localhost\n\n"],
    ["a carriage return in a header", headOf("X: a\rContent-Length: 2") + "{}"],
    ["a NUL in a header", headOf("X: a\0b") + "{}"],
    ["a chunk of a negative size", headOf(chunked) + "-1\r\n\r\n"],
    ["a chunk longer than it says", headOf(chunked) + "2\r\n{}}\r\n0\r\n\r\n"],
    ["chunks in HTTP/1.0", headOf(chunked).replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n"],
    ["no request at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"],
  ])("%s: 400, the connection ends, and nothing is sent", async (_name, bytes) => {
    await start();
    const { received } = await raw(Buffer.from(bytes, "latin1"));
    expect(statusOf(await received)).toBe(400);
    expect(JSON.parse(bodyOf(await received))).toMatchObject({ error: { code: expect.any(String) } });
    expect(server.log).toEqual([]);
  });

  test.each([
    ["a host with another port in front", "localhost@evil.example", 403],
    ["no host", "", 403],
  ])("%s is refused", async (_name, host, status) => {
    await start();
    const connection = await raw(`GET /v1/models HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect(statusOf(await answered(connection))).toBe(status);
  });

  test("a request behind another is not looked at: the first is answered, and the connection ends", async () => {
    await start();
    const { received } = await raw(whole + whole);
    const text = await received;
    expect(statusOf(text)).toBe(200);
    expect(text).toContain("connection: close");
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(server.received).toHaveLength(1);
  });
});

describe("requests in pieces", () => {
  test("byte by byte a request is read as it is, and the connection serves the next", async () => {
    await start();
    const connection = await raw("");
    for (const byte of whole) connection.socket.write(byte);
    const first = await answered(connection);
    expect(bodyOf(first)).toContain("QUOKKA");
    connection.socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(statusOf(await answered(connection, first.length))).toBe(200);
  });

  test("a body in more tiny chunks than anyone sends is refused", async () => {
    await start();
    const connection = await raw(headOf("Transfer-Encoding: chunked"));
    connection.socket.write("1\r\n \r\n".repeat(5000));
    expect(statusOf(await connection.received)).toBe(400);
    expect(await connection.received).toContain("too small");
  });

  test("Expect: 100-continue is answered when the body is wanted, and not when it is refused", async () => {
    await start();
    const connection = await raw(headOf(`Content-Length: ${body.length}\r\nExpect: 100-continue`));
    while (connection.text() === "") await new Promise((resolve) => connection.socket.once("data", resolve));
    expect(connection.text()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    connection.socket.write(body);
    expect(statusOf(await answered(connection, connection.text().length))).toBe(200);
    const refused = await raw(headOf("Content-Length: 99999999\r\nExpect: 100-continue"));
    expect(statusOf(await refused.received)).toBe(413);
  });
});

describe("floods", () => {
  test("endless headers, addresses and empty lines are refused", async () => {
    await start();
    for (const [bytes, status] of [
      [`GET / HTTP/1.1\r\n${"X: y\r\n".repeat(4000)}`, 431],
      [`GET / HTTP/1.1\r\nX: ${"y".repeat(17_000)}`, 431],
      [`GET /${"y".repeat(3000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414],
      ["\r\n\r\n", 400],
      ["GET / HTTP/2.0\r\n\r\n", 505],
    ] as const) {
      const { received } = await raw(bytes);
      expect(statusOf(await received)).toBe(status);
    }
  });

  test("connections over the limit push out those that do nothing", async () => {
    await start({ maxConnections: 2 });
    const idle = [await raw(""), await raw("")];
    // Until the proxy has accepted both, a third could be the first.
    for (const connection of idle) {
      connection.socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await answered(connection);
    }
    const third = await raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(statusOf(await answered(third))).toBe(200);
    await idle[0]!.received;
  });

  test("so do those whose headers drip, the oldest first; an honest request is answered beside them", async () => {
    await start({ maxConnections: 3 });
    const attack: RawConnection[] = [];
    for (let i = 0; i < 9; i += 1) {
      attack.push(await raw(`POST /v1/chat/completions HTTP/1.1\r\nX-${i}: `));
      // The proxy is of this process: by then it has read that.
      for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bodyOf(await answered(await raw(whole)))).toContain("QUOKKA");
    await Promise.all(attack.slice(0, 7).map(({ received }) => received));
    expect(attack.slice(7).map(({ socket, text }) => [socket.destroyed, text()])).toEqual([
      [false, ""],
      [false, ""],
    ]);
  });

  test("and not one that was served and waits for more, while there are others", async () => {
    await start({ maxConnections: 2 });
    const kept = await raw(whole);
    await answered(kept);
    const attack: RawConnection[] = [];
    for (let i = 0; i < 5; i += 1) attack.push(await raw(i % 2 === 0 ? "" : "GET / HTTP/1.1\r\nX"));
    await Promise.all(attack.slice(0, 4).map(({ received }) => received));
    const before = kept.text().length;
    kept.socket.write(whole);
    expect(statusOf(await answered(kept, before))).toBe(200);
  });

  test("requests over the limit are told to come back, and those before them are answered", async () => {
    await start({ maxRequests: 1 });
    const { asked, release } = holdAnswers();
    const first = await raw(whole);
    await asked;
    const second = await raw(whole);
    const refused = await second.received;
    expect(statusOf(refused)).toBe(503);
    expect(refused).toContain("retry-after: 1");
    release();
    expect(statusOf(await answered(first))).toBe(200);
  });
});

test("a body that is there at once is read in parts, and others have their turn between them", async () => {
  await start();
  let turn = 0;
  let over = false;
  const count = (): void => {
    turn += 1;
    if (!over) setImmediate(count);
  };
  count();
  const taken = new Map<number, number>();

  const take = Connection.prototype.take;
  const spy = jest.spyOn(Connection.prototype, "take").mockImplementation(function (this: Connection, bytes) {
    taken.set(turn, (taken.get(turn) ?? 0) + bytes.length);
    return take.call(this, bytes);
  });
  try {
    const large = body.replace("QUOKKA", "x".repeat(2 << 20));
    const answer = await answered(await raw(headOf(`Content-Length: ${large.length}`) + large));
    expect(statusOf(answer)).toBe(200);
    expect([...taken.values()].reduce((all, bytes) => all + bytes, 0)).toBeGreaterThan(2 << 20);
    expect(Math.max(...taken.values())).toBeLessThan(5 * 65_536);
  } finally {
    over = true;
    spy.mockRestore();
  }
});

test("local keys that are guessed: each ends its connection, most are 429, and a right one is answered", async () => {
  const clock = jest.spyOn(performance, "now").mockReturnValue(performance.now());
  try {
    await start({ apiKeys: ["clinic-a-0123456789abcdef"] });
    const ask = async (key: string): Promise<RawConnection> =>
      await raw(`GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n\r\n`);
    const seen: number[] = [];
    for (let i = 0; i < 70; i += 1) seen.push(statusOf(await (await ask(`wrong-${i}`)).received));
    expect(seen).toEqual(Array.from({ length: 70 }, (_, index) => (index < 60 ? 401 : 429)));
    const right = await ask("clinic-a-0123456789abcdef");
    expect(statusOf(await answered(right))).toBe(200);
    // No key is no guess: its connection stays.
    const none = await raw("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(statusOf(await answered(none))).toBe(401);
    expect([right, none].map(({ socket }) => socket.destroyed)).toEqual([false, false]);
  } finally {
    clock.mockRestore();
  }
});

test("a route in another spelling is none, nothing is proxied, and nothing is upgraded", async () => {
  await start();
  const ask = async (line: string, more = ""): Promise<number> => {
    const connection = await raw(`${line} HTTP/1.1\r\nHost: localhost\r\n${more}Connection: close\r\n\r\n`);
    return statusOf(await connection.received);
  };
  for (const path of ["//healthz", "/healthz/", "/%68ealthz", "/x/../healthz", "/healthz;x", "/healthz%00"]) {
    expect([path, await ask(`GET ${path}`)]).toEqual([path, 404]);
  }
  for (const line of ["GET healthz", "GET /he\tlthz", "GET *", "CONNECT evil.example:443"]) {
    const status = await ask(line);
    expect([line, [400, 404, 405].includes(status)]).toEqual([line, true]);
  }
  expect([404, 400]).toContain(await ask("GET http://evil.example/healthz"));
  const upgraded = await raw(
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
  );
  expect(statusOf(await upgraded.received)).toBe(200);
  expect(server.received).toEqual([]);
});

test("what clients left behind is wiped: no pool memory grows with them", async () => {
  await start();
  const once = await raw(whole);
  await answered(once);
  once.socket.destroy();
  const settled = async (): Promise<number> => {
    // Sockets close when both sides know; each healthz goes round the proxy's event loop.
    for (let i = 0; i < 5; i++) await (await fetch(`${proxy.baseUrl.slice(0, -3)}/healthz`)).text();
    return (await settledPool(() => native.memoryInfo())).bytesInUse;
  };
  const before = await settled();
  for (let i = 0; i < 20; i++) {
    const connection = await raw(headOf("Content-Length: 500000") + "x".repeat(100_000));
    await new Promise((resolve) => connection.socket.write("x", resolve));
    connection.socket.destroy();
    await connection.received;
  }
  // Of 20 bodies of 100 kB each one would show; a thread that began meanwhile keeps some KiB.
  const grown = async (): Promise<number> => (await settled()) - before;
  for (let tries = 0; tries < 50 && (await grown()) > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await grown()).toBeLessThan(50_000);
});

test("a client that reads slowly gets all of a large answer, byte for byte", async () => {
  await start();
  const content = "0123456789abcdef".repeat(200_000);
  server.answer = (received) => ({
    ...echo(received),
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
  });
  const connection = await raw("");
  connection.socket.pause();
  connection.socket.write(whole);
  connection.socket.on("data", () => {
    connection.socket.pause();
    setImmediate(() => connection.socket.resume());
  });
  connection.socket.resume();
  const answer = await answered(connection);
  const parsed = JSON.parse(bodyOf(answer)) as { choices: { message: { content: string } }[] };
  expect(parsed.choices[0]!.message.content === content).toBe(true);
});

test("stopping finishes what is under way, and takes nothing new", async () => {
  await start({ stopTimeoutMs: 30_000 });
  const { asked, release } = holdAnswers();
  const idle = await raw("");
  const busy = await raw(whole);
  await asked;
  const closing = proxy.close();
  await idle.received;
  await expect(connectRaw(proxy.port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  release();
  const text = await busy.received;
  expect(statusOf(text)).toBe(200);
  expect(text).toContain("connection: close");
  await closing;
});

describe("a Unix socket", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nomyo-proxy-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const get = (socketPath: string): Promise<number> =>
    new Promise((resolve, reject) => {
      httpRequest({ socketPath, path: "/v1/models", headers: { host: "localhost" } }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode!));
      })
        .once("error", reject)
        .end();
    });

  test("is its owner's alone, replaces one that is left over, and goes with the proxy", async () => {
    const path = join(folder, "proxy.sock");
    await start({ socketPath: path });
    expect(proxy.baseUrl).toBe(`unix:${path}`);
    expect(statusSync(path)).toBe(0o600);
    expect(await get(path)).toBe(200);
    await expect(startProxy({ socketPath: path, client: { apiKey: null } })).rejects.toThrow(/Another process listens/);
    await proxy.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "mine");
    chmodSync(path, 0o600);
    await expect(startProxy({ socketPath: path, client: { apiKey: null } })).rejects.toBeInstanceOf(ConfigurationError);
  });
  const statusSync = (path: string): number => statSync(path).mode & 0o777;
});

test("speaks TLS, with a key, where others can reach it; and refuses to without", async () => {
  const certificates = makeCertificates();
  try {
    await start({ tls: certificates.server });
    const status = await new Promise((resolve, reject) => {
      httpsRequest(`${proxy.baseUrl}/models`, { ca: certificates.ca }, (response) => {
        response.resume();
        response.once("end", () => resolve(response.statusCode));
      })
        .once("error", reject)
        .end();
    });
    expect(status).toBe(200);
    const exposed = { host: "0.0.0.0", client: { apiKey: null } };
    await expect(startProxy(exposed)).rejects.toMatchObject({ option: "apiKeys" });
    await expect(startProxy({ ...exposed, allowOpen: true })).rejects.toMatchObject({ option: "tls" });
    await expect(startProxy({ client: { apiKey: null }, tls: { cert: "no", key: "no" } })).rejects.toMatchObject({
      option: "tls",
    });
  } finally {
    certificates.remove();
  }
});
