/**
 * Events of the upstream that never come, or come at the wrong moment: each request settles within its deadline, with
 * the right status, and gives its slot and its memory back.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { native } from "../../../lib/native.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { whyNotLockable } from "../../support/lockable.js";
import { chat, detailOf, postPackage } from "../../support/node-client.js";
import type { RawAnswer } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA" }] };
const completion = JSON.stringify({ object: "chat.completion", choices: [] });
const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${completion.length}\r\n\r\n${completion}`;

type Connection = (socket: net.Socket) => void;

/** A router with one slot before a server that does with each connection what the test says. */
class Pair {
  onConnection: Connection = () => undefined;
  readonly logged: string[] = [];
  connections = 0;
  router!: Router;
  #server!: net.Server;
  readonly #sockets = new Set<net.Socket>();

  static async start(
    options: Partial<NonNullable<RouterOptions["upstream"]>> = {},
    scheme = "http",
    identity?: tls.TlsOptions,
  ): Promise<Pair> {
    const pair = new Pair();
    const onConnection = (socket: net.Socket) => {
      pair.connections += 1;
      pair.#sockets.add(socket);
      socket.on("error", () => undefined);
      pair.onConnection(socket);
    };
    pair.#server =
      identity === undefined
        ? net.createServer({ allowHalfOpen: true }, onConnection)
        : tls.createServer({ ...identity, allowHalfOpen: true }, onConnection);
    await new Promise<void>((resolve) => pair.#server.listen(0, "127.0.0.1", resolve));
    pair.router = await startRouter({
      upstream: { url: `${scheme}://127.0.0.1:${(pair.#server.address() as net.AddressInfo).port}`, ...options },
      keyFile: keyFile.path,
      maxRequests: 1,
      stopTimeoutMs: 0,
      log: (message) => pair.logged.push(message),
      accessLog: (entry) => pair.logged.push(JSON.stringify(entry)),
    });
    return pair;
  }

  post(body: unknown = request): Promise<RawAnswer> {
    return postPackage(this.router, client, nodeSeal(this.router.publicKey.pem, JSON.stringify(body)));
  }

  async stop(): Promise<void> {
    await this.router.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** Answers when the request's head is there, and leaves the connection as it is. */
const say =
  (text: string | Buffer, then: (socket: net.Socket) => void = () => undefined): Connection =>
  (socket) =>
    socket.once("data", () => {
      socket.write(text, () => then(socket));
      socket.resume();
    });

let pair: Pair;
afterEach(async () => {
  // The one slot is free, and nothing of the request is left in the pool.
  pair.onConnection = say(whole);
  const { answer } = await chat(pair.router, client, request);
  expect(answer.choices).toEqual([]);
  await pair.stop();
  // The server's key went with the router; other tests' handles are collected whenever they are.
  expect(native.memoryInfo().stats.bytesInUse).toBeLessThan(5_000_000);
});

describe("with a short deadline", () => {
  async function expectTimeout(onConnection: Connection, body: unknown, message: RegExp): Promise<void> {
    pair = await Pair.start({ timeoutMs: 700 });
    pair.onConnection = onConnection;
    const answer = await pair.post(body);
    expect([answer.status, detailOf(answer)]).toEqual([504, expect.stringMatching(message)]);
  }
  test.each<[string, Connection, unknown, RegExp]>([
    ["headers never come", (socket) => socket.resume(), request, /did not answer in time/],
    ["half a head comes", say("HTTP/1.1 200 OK\r\nContent-Le"), request, /did not answer in time/],
    ["the body never comes", say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), request, /did not answer in time/],
    ["half a body comes", say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), request, /did not answer in time/],
    [
      "the last chunk never comes",
      say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
      request,
      /did not answer in time/,
    ],
    ["only interim responses come", say("HTTP/1.1 103 Early Hints\r\n\r\n"), request, /did not answer in time/],
  ])("%s: 504", async (_what, onConnection, body, message) => {
    await expectTimeout(onConnection, body, message);
  });

  // Larger than what the kernel takes for a server that reads nothing.
  const tooLarge = whyNotLockable(64 << 20);
  (tooLarge === "" ? test : test.skip)(`the request is never read: 504${tooLarge}`, async () => {
    const big = { ...request, filler: "x".repeat(9_000_000) };
    await expectTimeout((socket) => socket.pause(), big, /did not answer in time/);
  });
});

describe("with a deadline that is far away", () => {
  beforeEach(async () => {
    pair = await Pair.start();
  });

  test("101 Switching Protocols: 502 at once, again and again", async () => {
    pair.onConnection = say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    for (let i = 0; i < 3; i += 1) expect((await pair.post()).status).toBe(502);
  });

  test("a connection that never closes after a whole answer: 200 at once", async () => {
    pair.onConnection = say(whole);
    expect((await pair.post()).status).toBe(200);
  });

  test("what follows a whole answer is not looked at", async () => {
    pair.onConnection = say(`${whole}HTTP/1.1 500 garbage\r\n\r\n`);
    expect((await pair.post()).status).toBe(200);
  });

  test.each<[string, Connection]>([
    ["before the head", (socket) => socket.once("data", () => socket.end())],
    ["in the head", say("HTTP/1.1 200 OK\r\nContent-Le", (socket) => socket.end())],
    ["in the body", say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", (socket) => socket.end())],
    ["in the body, by a reset", say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", (s) => s.resetAndDestroy())],
    ["in the chunks", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", (s) => s.end())],
    ["at once", (socket) => socket.destroy()],
  ])("the end comes %s: 502", async (_what, onConnection) => {
    pair.onConnection = onConnection;
    const answer = await pair.post();
    expect([answer.status, detailOf(answer)]).toEqual([502, "The connection to the model's server failed."]);
  });

  test.each([
    ["no HTTP", "SSH-2.0-hello\r\n"],
    ["a body up to the end of the connection", `HTTP/1.1 200 OK\r\n\r\n${completion}`],
    ["endless headers", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(4_000)}`],
  ])("%s: 502", async (_what, text) => {
    pair.onConnection = say(text);
    const answer = await pair.post();
    expect([answer.status, detailOf(answer)]).toEqual([502, expect.stringMatching(/not answer in a form/)]);
  });

  test("an answer that is longer than any may be: 502, by its length", async () => {
    pair.onConnection = say("HTTP/1.1 200 OK\r\nContent-Length: 99000000000\r\n\r\n");
    expect((await pair.post()).status).toBe(502);
  });

  test("nothing that it says gets into logs or refusals", async () => {
    const evil = "QUOKKA\x1b[2J\x9b31m\u202e";
    pair.onConnection = say(
      Buffer.from(
        `HTTP/1.1 500 ${evil}\r\nX-Evil: ${evil}\r\nRetry-After: ${evil}\r\nContent-Length: 20\r\n\r\n${evil}`,
      ),
    );
    const answer = await pair.post();
    expect(answer.status).toBe(502);
    const told = [answer.body.toString("latin1"), JSON.stringify(answer.headers), ...pair.logged].join("\n");
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(told).not.toMatch(/QUOKKA|[\0-\x09\x0b-\x1f\x7f-\x9f]|\u202e/);
  });
});

describe("a connection that never comes", () => {
  let full: ChildProcess;
  let port: number;
  beforeAll(async () => {
    // Nobody accepts, and the queue is full: the kernel answers no further SYN, as if the machine were not there.
    const script = `
import socket, sys
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(0)
waiting = [socket.socket() for _ in range(8)]
for one in waiting:
    one.setblocking(False)
    one.connect_ex(listening.getsockname())
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
`;
    full = spawn("/usr/bin/python3", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
    const [line] = (await once(full.stdout!, "data")) as [Buffer];
    port = Number(line.toString());
  });
  afterAll(() => full.kill());

  test.each([
    ["for connecting", { connectTimeoutMs: 500 }, /did not accept a connection in time/],
    ["for the whole answer", { timeoutMs: 500 }, /did not answer in time/],
  ])("ends with the time %s: 504", async (_what, times, message) => {
    const options: Pick<RouterOptions, "keyFile" | "maxRequests" | "stopTimeoutMs"> = {
      keyFile: keyFile.path,
      maxRequests: 1,
      stopTimeoutMs: 0,
    };
    const router = await startRouter({ ...options, upstream: { url: `http://127.0.0.1:${port}`, ...times } });
    try {
      // Twice: the one slot is given back.
      for (let i = 0; i < 2; i++) {
        const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
        expect([answer.status, detailOf(answer)]).toEqual([504, expect.stringMatching(message)]);
      }
    } finally {
      await router.close();
    }
    pair = await Pair.start();
  });
});

describe("over TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-upstream-tls-"));
  const [certFile, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  let identity: tls.TlsOptions;
  beforeAll(() => {
    execFileSync("openssl", [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-keyout", keyPath, "-out", certFile, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ]);
    identity = { cert: readFileSync(certFile), key: readFileSync(keyPath) };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("the handshake never comes: 504 after the time for connecting", async () => {
    pair = await Pair.start({ connectTimeoutMs: 700 }, "https");
    pair.onConnection = (socket) => socket.resume();
    const answer = await pair.post();
    expect([answer.status, detailOf(answer)]).toEqual([504, expect.stringMatching(/accept a connection in time/)]);
    await pair.stop();
    pair = await Pair.start();
  });

  test("a certificate that nobody vouches for: 502, and the request is not sent", async () => {
    pair = await Pair.start({}, "https", identity);
    let received = 0;
    pair.onConnection = (socket) => socket.on("data", (data) => (received += data.length));
    expect((await pair.post()).status).toBe(502);
    expect(received).toBe(0);
    await pair.stop();
    pair = await Pair.start();
  });

  test("one that a private authority vouches for, by its name: 200, 1 MB each way", async () => {
    pair = await Pair.start();
    // The authority has to be there when the process starts.
    const script = `
      const tls = require("node:tls");
      const { readFileSync } = require("node:fs");
      const { startRouter } = require("./dist/router/index.js");
      const { SecureChatCompletion } = require("./dist/index.js");
      const content = "y".repeat(1_000_000);
      const choices = [{ index: 0, message: { role: "assistant", content } }];
      const body = JSON.stringify({ object: "chat.completion", choices });
      const [cert, key] = process.argv.slice(1).map((file) => readFileSync(file));
      const server = tls.createServer({ cert, key }, (socket) => {
        let got = 0;
        socket.on("data", (data) => {
          got += data.length;
          if (got <= 1_000_000 || data.at(-1) !== 0x7d) return;
          socket.write("HTTP/1.1 200 OK\\r\\nContent-Length: " + body.length + "\\r\\n\\r\\n" + body);
        });
        socket.on("error", () => undefined);
      });
      server.listen(0, "localhost", async () => {
        const router = await startRouter({ upstream: { url: "https://localhost:" + server.address().port } });
        const client = new SecureChatCompletion({ baseUrl: router.url, allowHttp: true });
        const messages = [{ role: "user", content: "x".repeat(1_000_000) }];
        const answer = await client.create({ model: "m", messages });
        console.log(answer.choices[0].message.content === content);
        process.exit(0);
      });`;
    const run = spawnSync(process.execPath, ["-e", script, certFile, keyPath], {
      encoding: "utf8",
      env: { ...process.env, NODE_EXTRA_CA_CERTS: certFile },
      timeout: 250_000,
    });
    expect([run.stdout.trim(), run.status]).toEqual(["true", 0]);
  });
});
