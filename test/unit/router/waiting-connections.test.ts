import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { WaitingConnections } from "../../../lib/router/waiting-connections.js";

class FakeSocket extends EventEmitter {
  readonly remoteAddress = "127.0.0.1";
  destroyed = false;

  constructor(readonly remotePort: number | undefined) {
    super();
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}
const made = (port: number | undefined): FakeSocket & Socket => new FakeSocket(port) as unknown as FakeSocket & Socket;

test("one more than there may be, and the oldest goes", () => {
  const waiting = new WaitingConnections(2);
  const sockets = [1, 2, 3].map(made);
  for (const socket of sockets) waiting.opened(socket);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  expect(waiting.size).toBe(2);
});

test("one that is served stays, and is the youngest when it waits again", () => {
  const waiting = new WaitingConnections(2);
  const sockets = [1, 2, 3].map(made);
  waiting.opened(sockets[0]!);
  // With TLS the request comes on another object, of the same client.
  const over = waiting.serve(made(1));
  waiting.opened(sockets[1]!);
  waiting.opened(sockets[2]!);
  expect(sockets.some(({ destroyed }) => destroyed)).toBe(false);
  over();
  over();
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
});

test("one whose requests stand behind one another waits when the last of them is over", () => {
  const waiting = new WaitingConnections(1);
  const [socket, another] = [1, 2].map(made) as [FakeSocket & Socket, FakeSocket & Socket];
  waiting.opened(socket);
  const [first, second] = [waiting.serve(socket), waiting.serve(socket)];
  waiting.opened(another);
  first();
  first();
  expect([socket.destroyed, another.destroyed]).toEqual([false, false]);
  second();
  expect([socket.destroyed, another.destroyed]).toEqual([false, true]);
});

test("one that is closed is forgotten, waiting or served", () => {
  const waiting = new WaitingConnections(2);
  const [first, second, again] = [1, 2, 1].map(made) as [FakeSocket & Socket, FakeSocket & Socket, FakeSocket & Socket];
  waiting.opened(first);
  waiting.opened(second);
  const over = waiting.serve(first);
  first.destroy();
  second.destroy();
  expect(waiting.size).toBe(0);
  waiting.opened(again);
  over();
  expect(waiting.size).toBe(1);
  // Not accepted by this server: nothing to keep.
  expect(() => waiting.serve(made(9))()).not.toThrow();
});

test("one that was reset before it was accepted has no address, and is not kept", () => {
  const waiting = new WaitingConnections(2);
  const socket = made(undefined);
  waiting.opened(socket);
  expect(socket.destroyed).toBe(true);
  expect(waiting.size).toBe(0);
});
