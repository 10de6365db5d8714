/**
 * Attacks on the router's HTTP: requests that two readers could understand differently, connections that never get to a
 * request, floods, guesses. What should not be answered is not, and an honest request is answered while the attack is
 * under way.
 */
import tls from "node:tls";
import { startRouter } from "../../../lib/router/index.js";
import type { AccessEntry, Router, RouterOptions } from "../../../lib/router/index.js";
import { makeCertificates } from "../../support/certificates.js";
import { chat, fetchRaw, postPackage, secureHeaders } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { connectRaw } from "../../support/raw-http.js";
import type { RawConnection } from "../../support/raw-http.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA" }] };
const apiKey = "clinic-a-0123456789abcdef";

let router: Router;
let served: AccessEntry[];
const open: RawConnection[] = [];
const start = async (options: RouterOptions = {}): Promise<void> => {
  served = [];
  router = await startRouter({
    ...{ keyFile: keyFile.path, stopTimeoutMs: 0, accessLog: (entry: AccessEntry) => void served.push(entry) },
    ...options,
  });
};
const raw = async (text: string | Buffer): Promise<RawConnection> => {
  const connection = await connectRaw(router.port, text);
  open.push(connection);
  return connection;
};
/** The router of several tests; else each has its own. */
let shared = false;
afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  if (!shared) await router.close();
});
const statuses = (received: string): number[] =>
  [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
const honest = async (headers: Record<string, string> = {}): Promise<void> => {
  const { answer } = await chat(router, client, request, headers);
  expect(answer.choices[0]!.message.content).toContain("QUOKKA");
};

describe("what two readers could understand differently", () => {
  // Served, it would show in the access log: nothing else here asks for the health.
  const hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const post = (framing: string, version = "1.1"): string =>
    `POST /v1/chat/secure_completion HTTP/${version}\r\nHost: localhost\r\n${framing}\r\n\r\n`;
  const chunked = "Transfer-Encoding: chunked";
  beforeAll(async () => {
    shared = true;
    await start();
  });
  afterAll(async () => {
    shared = false;
    await honest();
    await router.close();
  });
  test.each([
    ["length, then chunks", post(`Content-Length: 4\r\n${chunked}`) + "0\r\n\r\n"],
    ["chunks, then a length", post(`${chunked}\r\nContent-Length: 4`) + "0\r\n\r\n"],
    ["two equal lengths", post("Content-Length: 2\r\nContent-Length: 2") + "{}"],
    ["two lengths", post("Content-Length: 2\r\nContent-Length: 60") + "{}"],
    ["a list of lengths", post("Content-Length: 2, 2") + "{}"],
    ["a signed length", post("Content-Length: +2") + "{}"],
    ["a hexadecimal length", post("Content-Length: 0x2") + "{}"],
    ["a length over 64 bits", post("Content-Length: 18446744073709551618") + "{}"],
    ["a length of two words", post("Content-Length: 2 2") + "{}"],
    ["another encoding after chunks", post("Transfer-Encoding: chunked, identity") + "0\r\n\r\n"],
    ["an encoding that is not chunked", post("Transfer-Encoding: xchunked") + "0\r\n\r\n"],
    [
      "two encodings",
      post("Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 4") + "0\r\n\r\n",
    ],
    ["a disguised encoding", post("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n"],
    ["a space before the colon", post("Transfer-Encoding : chunked") + "0\r\n\r\n"],
    ["a folded encoding", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 4") + "0\r\n\r\n"],
    ["a folded header", post("X: a\r\n b\r\nContent-Length: 2") + "{}"],
    ["a line without a colon", post("X\r\nContent-Length: 2") + "{}"],
    ["bare line feeds", "POST /v1/chat/secure_completion HTTP/1.1\nHost: localhost\nContent-Length: 2\n\n{}"],
    ["a header ended by a line feed", post("X: a\nContent-Length: 2") + "{}"],
    ["a carriage return in a header", post("X: a\rContent-Length: 2") + "{}"],
    ["a NUL in a header", post("X: a\0b\r\nContent-Length: 2") + "{}"],
    ["a chunk of a negative size", post(chunked) + "-1\r\n\r\n0\r\n\r\n"],
    ["a chunk of a size with 0x", post(chunked) + "0x2\r\n{}\r\n0\r\n\r\n"],
    ["a chunk of a size over 64 bits", post(chunked) + "10000000000000002\r\n{}\r\n0\r\n\r\n"],
    ["a chunk longer than it says", post(chunked) + "2\r\n{}}\r\n0\r\n\r\n"],
    ["a chunk line ended by a line feed", post(chunked) + "2\n{}\r\n0\r\n\r\n"],
    ["a chunk extension with a line feed", post(chunked) + "2;\n{}\r\n0\r\n\r\n"],
    ["two hosts", post("Host: evil.example\r\nContent-Length: 2") + "{}"],
    ["chunks in HTTP/1.0", post(chunked, "1.0") + "0\r\n\r\n"],
    ["another version", post("Content-Length: 2", "3.0") + "{}"],
    ["HTTP/2's first bytes", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("%s: one refusal, the end, and what is hidden behind it is not served", async (_name, bytes) => {
    const { received } = await raw(Buffer.from(bytes + hidden, "latin1"));
    expect(statuses(await received)).toEqual([400]);
    expect(served.filter(({ route }) => route === "healthz")).toEqual([]);
  });
});

test("paths that mean a route in another spelling are none, and proxying is not offered", async () => {
  await start();
  const paths = ["//healthz", "/healthz/", "/%68ealthz", "/x/../healthz", "/healthz;x", "/healthz%00", "/healthz#x"];
  for (const path of [...paths, `http://localhost:${router.port}/healthz`, "http://evil.example/healthz", "*"]) {
    const { received } = await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect([path, statuses(await received)]).toEqual([path, [404]]);
  }
  for (const path of ["healthz", "\\healthz", "/he althz"]) {
    const { received } = await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect([path, statuses(await received)]).toEqual([path, [400]]);
  }
  expect(served.every(({ route }) => route === "other")).toBe(true);
  const { received } = await raw("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  expect(statuses(await received)).toEqual([]);
});

test("an upgrade is not made: the request is answered as it is, and what follows is read as HTTP", async () => {
  await start();
  const upgrades = ["websocket", "h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"];
  for (const upgrade of upgrades) {
    const head = `GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;
    const { received } = await raw(`${head}\x81\x05hello\r\n\r\n`);
    expect(statuses(await received)).not.toContain(101);
    expect(statuses(await received)[0]).toBe(200);
  }
});

describe("requests behind requests", () => {
  const behind = (paths: readonly string[]): string =>
    paths
      .map((path, index) => {
        const last = index === paths.length - 1 ? "Connection: close\r\n" : "";
        return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`;
      })
      .join("");

  test("are answered in their order, each with its own answer", async () => {
    await start();
    const paths = Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? "/healthz" : "/none"));
    const { received } = await raw(behind(paths));
    expect(statuses(await received)).toEqual(paths.map((path) => (path === "/healthz" ? 200 : 404)));
  });

  test("and behind one that is refused for good are not served, whatever stood before it", async () => {
    await start();
    const ask = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
    const { received } = await raw(ask("/healthz") + ask("/healthz", "Host: evil.example\r\n") + ask("/none"));
    expect(statuses(await received)).toEqual([200, 400]);
    while (served.length < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(served.map(({ status }) => status).sort()).toEqual([0, 200, 400]);
  });

  test("end the connection where they are more than a client has waiting", async () => {
    await start();
    const { received } = await raw(behind(Array.from({ length: 2000 }, () => "/healthz")));
    await received;
    // Those that the kernel gave in other pieces may have been answered before.
    expect(served.length).toBeLessThan(2000);
    await honest();
  });
});

describe("beside an attack an honest request is answered", () => {
  const head = "POST /v1/chat/secure_completion HTTP/1.1\r\nHost: localhost\r\n";

  test("more connections than are kept, each with half its headers: the oldest go", async () => {
    await start();
    const attack: RawConnection[] = [];
    for (let i = 0; i < 1100; i += 1) attack.push(await raw(`${head}X-${i}: `));
    await attack[0]!.received;
    await honest();
    const left = attack.filter(({ socket }) => !socket.destroyed);
    expect(left.length).toBeGreaterThan(1000);
    expect(left.every(({ text }) => text() === "")).toBe(true);
    expect(served.map(({ status }) => status)).toEqual([200]);
  });

  test("headers and bodies that come byte by byte, too many headers, too many chunks", async () => {
    await start();
    const good = `${head}${Object.entries(secureHeaders(client))
      .map(([name, value]) => `${name}: ${String(value)}\r\n`)
      .join("")}`;
    const drip = async (first: string): Promise<RawConnection> => {
      const connection = await raw(first);
      const more = (): void => {
        if (!connection.socket.destroyed) connection.socket.write("x", () => setImmediate(more));
      };
      more();
      return connection;
    };
    const dripping = [await drip(`${head}X: `), await drip(`${good}Content-Length: 100000000\r\n\r\n`)];
    const pieces = await raw(`${good}Transfer-Encoding: chunked\r\n\r\n${"1\r\n \r\n".repeat(5000)}`);
    const fields = await raw(`${head}${"X: y\r\n".repeat(20_000)}\r\n`);
    await honest();
    // The drips go on; what is too much has been refused.
    expect(statuses(await pieces.received)).toEqual([400]);
    expect(statuses(await fields.received)).toEqual([400]);
    await honest();
    for (const { socket } of dripping) socket.destroy();
  });

  test("a refused body that goes on in tiny chunks is not read to the end of its time", async () => {
    const real = setTimeout;
    // The time for which a refused upload may go on does not end.
    const timers = jest
      .spyOn(globalThis, "setTimeout")
      .mockImplementation((run: () => void, after?: number) => real(run, after === 5_000 ? 2 ** 31 - 1 : after));
    try {
      await start();
      const { socket, received } = await raw(`${head}Transfer-Encoding: chunked\r\n\r\n`);
      const tiny = "1\r\n \r\n".repeat(500);
      const more = (): void => {
        if (!socket.destroyed) socket.write(tiny, () => setImmediate(more));
      };
      more();
      expect(statuses(await received)).toEqual([400]);
    } finally {
      timers.mockRestore();
    }
  });

  test("requests flood in behind one another, and their answers are not read", async () => {
    await start();
    const flood = Buffer.from("GET /pki/public_key HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000));
    for (let i = 0; i < 5; i += 1) {
      const { socket } = await raw("");
      socket.pause();
      socket.write(flood);
      await honest();
    }
    // Of each flood no more are looked at than a connection may have waiting, and what the kernel gave in other pieces.
    expect(served.filter(({ route }) => route === "public_key").length).toBeLessThan(5 * 1000);
  });
});

describe("API keys that are guessed", () => {
  const post = (key: string) =>
    postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)), {
      authorization: `Bearer ${key}`,
    });

  test("each ends its connection, of many the most are 429, and a right one is answered all the while", async () => {
    // However long it takes here, it is one moment.
    const clock = jest.spyOn(performance, "now").mockReturnValue(performance.now());
    try {
      await start({ apiKeys: [apiKey] });
      const seen: (number | undefined)[] = [];
      for (let i = 0; i < 70; i += 1) {
        const guess = `POST /v1/chat/secure_completion HTTP/1.1\r\nAuthorization: Bearer wrong-${i}\r\nHost: x\r\n`;
        const { received } = await raw(`${guess}Content-Length: 0\r\n\r\n`);
        const text = await received;
        expect(text).toMatch(i < 60 ? /www-authenticate: Bearer/ : /retry-after: 1\r/);
        seen.push(...statuses(text));
        if (i % 23 === 0) expect((await post(apiKey)).status).toBe(200);
      }
      expect(seen).toEqual(Array.from({ length: 70 }, (_, index) => (index < 60 ? 401 : 429)));
      // No key is no guess.
      expect((await fetchRaw(`${router.url}/v1/chat/secure_completion`, { method: "POST" })).status).toBe(401);
      expect((await post(apiKey)).status).toBe(200);
    } finally {
      clock.mockRestore();
    }
  });
});

describe("TLS", () => {
  const certificates = makeCertificates();
  afterAll(() => certificates.remove());

  test("garbage and plain HTTP end, silence makes room, and an honest request is answered", async () => {
    await start({ tls: certificates.server });
    const garbage = [
      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "\x16\x03\x01\x02\x00garbage".padEnd(600, "\xff"),
      "\0".repeat(1000),
    ];
    for (const bytes of garbage) {
      const connection = await raw(Buffer.from(bytes, "latin1"));
      expect(await connection.received).not.toMatch(/HTTP\/1\.1 200/);
    }
    const silent = await raw(Buffer.from("\x16\x03\x01", "latin1"));
    const half: tls.TLSSocket[] = [];
    for (let i = 0; i < 3; i += 1) {
      const socket = tls.connect({ port: router.port, ca: certificates.ca, host: "127.0.0.1" });
      await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
      socket.write("GET /healthz HTTP/1.1\r\nX: ");
      half.push(socket);
    }
    expect((await fetchRaw(`${router.url}/healthz`, { ca: certificates.ca })).status).toBe(200);
    expect(silent.socket.destroyed).toBe(false);
    for (const socket of half) socket.destroy();
  });
});
