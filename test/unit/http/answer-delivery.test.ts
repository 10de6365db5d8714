/**
 * Answers that their client does not read: how long they are held, and that it is noticed when they are not any more.
 */
import { once } from "node:events";
import http from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { delivered } from "../../../lib/http/answer-delivery.js";
import type { DeliveryLimits } from "../../../lib/http/answer-delivery.js";

const FOR_EVER = 3_600_000;
/** More than the system takes for a client that reads nothing. */
const large = Buffer.alloc(32 * 1024 * 1024);
const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

let server: http.Server;
let client: Socket;
let accepted: Socket;
let deliveries: Promise<void>[];
let answered: () => void;

/** Answers each request with the next of `bodies`; resolves once there are `count` of them. */
async function ask(limits: DeliveryLimits, bodies: readonly Buffer[], text = request): Promise<void> {
  const all = new Promise<void>((resolve) => (answered = resolve));
  deliveries = [];
  server = http.createServer((_, response) => {
    const body = bodies[deliveries.length]!;
    accepted = response.socket ?? accepted;
    deliveries.push(delivered(response, limits));
    response.writeHead(200, { "content-length": body.length }).end(body);
    if (deliveries.length === bodies.length) answered();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
  client.on("error", () => undefined);
  client.write(text);
  await all;
}

afterEach(async () => {
  client.destroy();
  const closed = once(server, "close");
  server.close();
  await closed;
});

test("an answer of which no byte is taken is given up, and its connection with it", async () => {
  await ask({ idleMs: 50, totalMs: FOR_EVER }, [large]);
  await deliveries[0];
  expect(await connections()).toBe(0);
});

test("an answer that is not taken in its time is given up", async () => {
  await ask({ idleMs: FOR_EVER, totalMs: 50 }, [large]);
  await deliveries[0];
  expect(await connections()).toBe(0);
});

test("an answer is over when its client has gone, also one that waits behind another", async () => {
  await ask({ idleMs: FOR_EVER, totalMs: FOR_EVER }, [large, Buffer.from("second")], request + request);
  client.destroy();
  await Promise.all(deliveries);
});

test("an answer that is read is delivered whole, and the connection lives on without its clock", async () => {
  await ask({ idleMs: FOR_EVER, totalMs: FOR_EVER }, [Buffer.from("first"), large], request + request);
  await Promise.all([received(large.length), ...deliveries]);
  expect(accepted.destroyed).toBe(false);
  expect(accepted.timeout).not.toBe(FOR_EVER);
});

async function connections(): Promise<number> {
  return await new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}

async function received(bytes: number): Promise<void> {
  let count = 0;
  await new Promise<void>((resolve) => {
    client.on("data", (piece: Buffer) => {
      if ((count += piece.length) > bytes) resolve();
    });
    client.resume();
  });
}
