/**
 * The proof that the proxy leaves nothing of prompts and answers in memory which is not the pool's: it is stopped while
 * a request is half there, while its answer is waited for, while a client takes the answer slowly, and afterwards, and
 * everything that root can read of it is searched for every fragment of 12 bytes: memory, a diagnostic report, a heap
 * snapshot, and at last a core dump. It writes receipts, with digests of both, meanwhile.
 *
 * Client and server run in processes of their own.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeldExchange } from "../support/held-exchange.js";
import { asLockable } from "../support/lockable.js";
import { outsidePool, whyNotReadable } from "../support/memory-scan.js";
import type { Patterns } from "../support/memory-scan.js";
import { circumstancesOf } from "../support/rounds.js";
import { samplePatterns, secretText, textPatterns } from "../support/secret-patterns.js";
import { receiptsIn } from "../support/receipts.js";
import { withoutMemfdSecret } from "../support/subject.js";
import { WatchedProcess } from "../support/watched-process.js";

// Some seconds for each scan on an idle machine.
jest.setTimeout(600_000);

const command = join(__dirname, "../../dist/cli/main.js");
const unreadable = whyNotReadable();
const describeUnless = unreadable === undefined ? describe : describe.skip;
const skipped = unreadable === undefined ? "" : ` (skipped: ${unreadable})`;

const mechanisms = circumstancesOf([
  { memory: "the usual mechanism", circumstances: [] },
  // What differs is that the pool can be read: it shows that the search finds what is there.
  { memory: "mlock", circumstances: withoutMemfdSecret },
]);
describe.each(mechanisms)("$memory", ({ memory, circumstances }) => {
  describeUnless(`a proxy${skipped}`, () => {
    let exchange: HeldExchange;
    let watched: WatchedProcess;
    /** No secret: it stands in the process's environment. A scan that does not find it has not looked. */
    const beacon = secretText(43);
    const folder = mkdtempSync(join(tmpdir(), "nomyo-proxy-"));
    const receipts = join(folder, "receipts");
    const digestKey = join(folder, "digest.key");
    writeFileSync(digestKey, secretText(44), { mode: 0o600 });
    beforeAll(async () => {
      exchange = await HeldExchange.start();
    });
    afterAll(async () => {
      await exchange.stop();
      rmSync(folder, { recursive: true });
    });
    beforeEach(() => exchange.reset());
    afterEach(() => watched.end());

    /**
     * Starts the proxy and connects to it: over TCP, or over a Unix socket, of which the kernel takes no more than some
     * hundred KB ahead.
     */
    async function connect(over: "tcp" | "unix"): Promise<net.Socket> {
      const server = ["--base-url", exchange.baseUrl, "--allow-http", "--pin", exchange.keySha256];
      const path = join(folder, "proxy.sock");
      const listen = over === "unix" ? ["--socket", path] : [];
      const written = ["--receipts", receipts, "--receipt-key-file", digestKey];
      watched = await WatchedProcess.start([command, "proxy", ...server, ...listen, ...written], {
        circumstances,
        env: { BEACON: beacon },
      });
      const listening = await watched.until(/http:\/\/127\.0\.0\.1:(\d+)\/v1\n|proxy\.sock/);
      const socket = over === "unix" ? net.connect(path) : net.connect(Number(listening[1]), "127.0.0.1");
      await once(socket, "connect");
      return socket;
    }

    /** The names of what is in the pool; fails when anything is elsewhere. */
    async function search(secrets: Patterns, reports = true): Promise<Set<string>> {
      const { hits } = await watched.scan({ ...secrets, ...textPatterns("beacon", beacon) }, { reports });
      expect(hits.map(({ name }) => name)).toContain("beacon (UTF-8)");
      const found = hits.filter(({ name }) => !name.startsWith("beacon"));
      expect(outsidePool({ hits: found })).toEqual([]);
      return new Set(found.map(({ name }) => name));
    }
    /** The last receipt has digests of both plaintexts, and no 12 bytes of either. */
    function expectReceiptWithout(texts: readonly string[]): void {
      const all = receiptsIn(receipts);
      expect(all.at(-1)).toMatchObject({
        outcome: "answered",
        request: { plaintext_hmac: expect.any(String) },
        response: { plaintext_hmac: expect.any(String) },
      });
      const line = JSON.stringify(all.at(-1));
      const parts = new Set(Array.from({ length: line.length }, (_, at) => line.slice(at, at + 12)));
      for (const text of texts) {
        for (let at = 0; at + 12 <= text.length; at++) {
          if (parts.has(text.slice(at, at + 12))) throw new Error("a receipt holds a part of a plaintext");
        }
      }
    }
    const inReadablePool = (found: Set<string>, name: string) => {
      if (memory === "mlock") expect([...found]).toContain(name);
    };

    test.each([
      { bytes: 1_000, stream: false, chunked: false, slow: false },
      { bytes: 1_000, stream: true, chunked: true, slow: false },
      { bytes: 300_000, stream: false, chunked: true, slow: false },
      { bytes: 300_000, stream: true, chunked: false, slow: false },
      { bytes: asLockable(64 << 20, 3_000_000, 800_000), stream: true, chunked: false, slow: true },
    ])(
      "has prompt and answer of $bytes bytes in the pool alone (stream: $stream, chunked: $chunked, slow: $slow)",
      async ({ bytes, stream, chunked, slow }) => {
        const [prompt, answer] = [secretText(bytes), secretText(bytes)];
        const patterns = bytes > 1_000_000 ? samplePatterns : textPatterns;
        const secrets = { ...patterns("prompt", prompt), ...patterns("answer", answer) };
        const request = JSON.stringify({ model: "m", stream, messages: [{ role: "user", content: prompt }] });
        const half = request.length >> 1;
        const socket = await connect(slow ? "unix" : "tcp");
        const closed = once(socket, "close").then(() => {
          throw new Error("the proxy has closed the connection: its time limits are for clients, not for scans");
        });
        closed.catch(() => undefined);
        const framing = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${request.length}`;
        socket.write(
          "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: " +
            `application/json\r\n${framing}\r\n\r\n`,
        );
        const send = (part: string) =>
          new Promise((resolve) =>
            socket.write(chunked ? `${part.length.toString(16)}\r\n${part}\r\n` : part, resolve),
          );

        await send(request.slice(0, half));
        for (;;) {
          const found = await search(secrets, false);
          if (memory !== "mlock" || found.has("prompt (UTF-8)")) break;
        }
        await send(request.slice(half));
        if (chunked) socket.write("0\r\n\r\n");
        expect(JSON.parse(await Promise.race([exchange.held, closed]))).toMatchObject({
          messages: [{ content: prompt }],
        });
        inReadablePool(await search(secrets), "prompt (UTF-8)");

        // What the kernel does not take waits for this client. (Of TCP it may take some megabytes.)
        socket.pause();
        exchange.release(answer);
        if (slow) {
          let found = new Set<string>();
          while (memory === "mlock" && !found.has("answer (UTF-8)")) found = await search(secrets, false);
        }
        let received = "";
        socket.on("data", (part: Buffer) => (received += part.toString()));
        socket.resume();
        const end = stream ? "data: [DONE]\n\n" : "}";
        const expected = () => Number(/content-length: (\d+)/.exec(received)?.[1] ?? Infinity);
        while (received.length - (received.indexOf("\r\n\r\n") + 4) < expected())
          await Promise.race([once(socket, "data"), closed]);
        expect(received.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
        expect(received.endsWith(end)).toBe(true);
        expect(received).toContain(answer);
        // Between requests, with the connection open: nothing is left in the pool either.
        expect(await search(secrets)).toEqual(new Set());
        expectReceiptWithout([prompt, answer]);
        socket.destroy();
        const { hits, registers } = await watched.dump({ ...secrets, ...textPatterns("beacon", beacon) });
        expect(hits.map(({ name }) => name)).toContain("beacon (UTF-8)");
        expect(registers.general).toBeGreaterThan(4);
        expect(registers.vector).toBeGreaterThanOrEqual(registers.general);
        expect(hits.filter(({ name }) => !name.startsWith("beacon"))).toEqual([]);
      },
    );
  });
});
