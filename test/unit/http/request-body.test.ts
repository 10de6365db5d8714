import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { BodyBudget, readBody } from "../../../lib/http/request-body.js";
import { Disconnected, Refusal } from "../../../lib/http/refusal.js";
import { Turns } from "../../../lib/http/turns.js";

const request = (headers: Record<string, string> = {}) => Object.assign(new PassThrough(), { headers });
const read = (stream: PassThrough, limits: { maxBytes?: number; budget?: BodyBudget } = {}) =>
  readBody(stream as unknown as IncomingMessage, {
    maxBytes: limits.maxBytes ?? 1_000_000,
    budget: limits.budget ?? new BodyBudget(10_000_000),
    idleMs: 1_000,
    turns: new Turns(),
  });
/** Sends `count` pieces of one byte, each by itself. */
async function drip(stream: PassThrough, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    stream.write(Buffer.alloc(1));
    if (i % 100 === 99) await new Promise(setImmediate);
  }
}

describe("a body", () => {
  test("comes whole", async () => {
    const stream = request();
    const reading = read(stream);
    stream.write("hello ");
    stream.end("world");
    const { bytes, held } = await reading;
    expect(Buffer.from(bytes).toString()).toBe("hello world");
    expect(held).toBeGreaterThanOrEqual(bytes.length);
  });

  test("counts as the memory that it holds, until the caller releases it", async () => {
    const budget = new BodyBudget(40_000);
    const stream = request({ "content-length": "30000" });
    const reading = read(stream, { budget });
    stream.end(Buffer.alloc(30_000));
    const { held } = await reading;
    expect(held).toBe(30_000);
    expect(() => budget.take(10_001)).toThrow(Refusal);
    budget.release(held);
    budget.take(40_000);
  });

  test("gives back what it held when it is refused or breaks off", async () => {
    const budget = new BodyBudget(20_000);
    const tooLarge = request();
    const refused = read(tooLarge, { budget, maxBytes: 10 });
    tooLarge.write(Buffer.alloc(5));
    tooLarge.write(Buffer.alloc(6));
    await expect(refused).rejects.toMatchObject({ status: 400 });
    const broken = request();
    const gone = read(broken, { budget });
    broken.write(Buffer.alloc(5));
    broken.destroy();
    await expect(gone).rejects.toBeInstanceOf(Disconnected);
    budget.take(20_000);
  });

  test("in a great many pieces of one byte is refused, in a few it is not", async () => {
    const patient = request();
    const reading = read(patient);
    await drip(patient, 1_000);
    patient.end();
    expect((await reading).bytes.length).toBe(1_000);
    const hostile = request();
    const refused = read(hostile);
    refused.catch(() => undefined);
    await drip(hostile, 2_000);
    await expect(refused).rejects.toMatchObject({ status: 400, message: expect.stringContaining("too small") });
  });

  test("that stops arriving is refused when it has paused for its time, and not before", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick"] });
    try {
      const stream = request();
      let outcome: unknown;
      void read(stream).catch((error: unknown) => (outcome = error));
      for (let i = 0; i < 5; i += 1) {
        jest.advanceTimersByTime(999);
        stream.write("x");
        await new Promise(setImmediate);
      }
      expect(outcome).toBeUndefined();
      jest.advanceTimersByTime(1_000);
      await new Promise(setImmediate);
      expect(outcome).toMatchObject({ status: 400, message: "The body did not arrive in time." });
    } finally {
      jest.useRealTimers();
    }
  });
});
