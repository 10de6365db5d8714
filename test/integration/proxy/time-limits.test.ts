/**
 * Clients that take their time, and the limit that ends each. The limit in question is short, all others are hours, and
 * no client ever does what would keep within it: a slow machine comes to the same end, later.
 */
import { BodyBudget } from "../../../lib/http/request-body.js";
import { defaultTimes } from "../../../lib/proxy/connection.js";
import type { ConnectionTimes, Outcome } from "../../../lib/proxy/connection.js";
import { errorAnswer } from "../../../lib/proxy/answer.js";
import { Listener } from "../../../lib/proxy/listener.js";
import { connectRaw } from "../../support/raw-http.js";
import type { RawConnection } from "../../support/raw-http.js";

const HOURS = 3_600_000;
/** More than the kernel keeps for a client that does not read. */
const LARGE = Buffer.alloc(64 * 1024 * 1024, "x");
let listener: Listener;
let port: number;
let over: Outcome[];
let unforeseen: unknown[];
let client: RawConnection;
let dripping: NodeJS.Timeout | undefined;

async function start(short: Partial<ConnectionTimes>, body: Uint8Array = Buffer.from("ok")): Promise<void> {
  over = [];
  unforeseen = [];
  const times = { idle: HOURS, head: HOURS, request: HOURS, stall: HOURS, linger: 2_000, ...short };
  listener = new Listener({
    ...{
      place: { host: "127.0.0.1", port: 0 },
      tls: undefined,
      checkExposure: () => undefined,
      checkOpenSocket: () => undefined,
      maxConnections: 4,
      stopTimeoutMs: 0,
    },
    connection: {
      ...{ locking: "preferred", budget: new BodyBudget(1024 * 1024), times, headers: ["host", "connection"] },
      admit: () => ({
        maxBodyBytes: 1024,
        answer: (taken) => {
          taken?.dispose();
          return Promise.resolve({ status: 200, headers: {}, body });
        },
        over: (outcome) => void over.push(outcome),
      }),
      refuse: (error) => errorAnswer("status" in error ? error.status : 400, "REFUSED", error.message),
      failed: (error) => void unforeseen.push(error),
      isStopping: () => false,
    },
  });
  port = ((await listener.listen()) as { port: number }).port;
}
/** Writes one byte after the other, and never as many as are awaited. */
function drip(text: string): void {
  let left = 900;
  dripping = setInterval(() => left-- > 0 && client.socket.write(text), 2);
}
afterEach(async () => {
  clearInterval(dripping);
  client.socket.destroy();
  await listener.stop();
  expect(unforeseen).toEqual([]);
});

const head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
const refusal = /^HTTP\/1\.1 408 [^]*connection: close[^]*did not arrive in time/;

test("no request: the connection ends without a word", async () => {
  await start({ idle: 50 });
  client = await connectRaw(port);
  expect(await client.received).toBe("");
});

test("no second request", async () => {
  await start({ idle: 200 });
  client = await connectRaw(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const text = await client.received;
  // A machine that is too slow even to write the request has no answer; it ends all the same.
  expect(text === "" || text.endsWith("\r\n\r\nok")).toBe(true);
});

test("headers that drip: 408, however often one comes", async () => {
  await start({ head: 50 });
  client = await connectRaw(port, "POST / HTTP/1.1\r\nHost: localhost\r\nX: ");
  drip("x");
  expect(await client.received).toMatch(refusal);
});

test("a body that drips: 408, however often a byte comes", async () => {
  await start({ request: 100 });
  client = await connectRaw(port, head);
  drip("x");
  const text = await client.received;
  expect(text).toMatch(refusal);
  expect(over).toMatchObject([{ status: 408 }]);
});

test("a body that stops: 408", async () => {
  await start({ stall: 50 });
  client = await connectRaw(port, `${head}{`);
  expect(await client.received).toMatch(refusal);
  expect(over).toEqual([{ status: 408, bytesIn: 1, bytesOut: expect.any(Number) }]);
});

test("an answer that is not taken: the connection is cut, and it counts as none", async () => {
  await start({ stall: 50 }, LARGE);
  client = await connectRaw(port);
  client.socket.pause();
  client.socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (over.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(over).toEqual([{ status: 0, bytesIn: 0, bytesOut: 0 }]);
  client.socket.resume();
  expect((await client.received).length).toBeLessThan(LARGE.length);
});

test("the limits are those that docs/proxy.md tells", () => {
  expect(defaultTimes).toEqual({ idle: 65_000, head: 10_000, request: 120_000, stall: 60_000, linger: 2_000 });
});
