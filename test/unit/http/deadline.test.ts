import { getEventListeners } from "node:events";

import { Deadline } from "../../../lib/http/deadline.js";
import { APIConnectionTimeoutError, APIUserAbortError } from "../../../lib/errors.js";

describe("Deadline", () => {
  it("ends with a time-out error that names the time, once its clock runs", async () => {
    const deadline = new Deadline(20, []);
    expect(deadline.remaining()).toBe(Infinity);
    deadline.startClock();
    expect(deadline.remaining()).toBeLessThanOrEqual(20);
    const error: unknown = await deadline.race(new Promise(() => undefined)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(APIConnectionTimeoutError);
    expect((error as Error).message).toMatch(/timed out after 20 ms/);
    expect(deadline.remaining()).toBe(0);
  });

  it("ends with an abort error when any of its signals is aborted, already or later", async () => {
    expect(new Deadline(1000, [undefined, AbortSignal.abort()]).error).toBeInstanceOf(APIUserAbortError);
    const controller = new AbortController();
    const deadline = new Deadline(1000, [controller.signal]);
    const waiting = deadline.sleep(1000);
    controller.abort(new Error("a reason of the caller's, which stays the caller's"));
    await expect(waiting).rejects.toThrow(APIUserAbortError);
    await expect(waiting).rejects.not.toHaveProperty("cause");
    expect(() => deadline.throwIfOver()).toThrow(APIUserAbortError);
  });

  it("lets the faster one win and leaves no listener behind", async () => {
    const controller = new AbortController();
    const deadline = new Deadline(1000, [controller.signal]);
    deadline.startClock();
    await expect(deadline.race(Promise.resolve(5))).resolves.toBe(5);
    await expect(deadline.race(Promise.reject(new RangeError("mine")))).rejects.toThrow(RangeError);
    // One for all races, on its own signal, which goes with it.
    expect(getEventListeners(deadline.signal, "abort")).toHaveLength(1);
    deadline.dispose();
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
  });

  it("stops its clock without letting go of the signals", async () => {
    const controller = new AbortController();
    const deadline = new Deadline(10, [controller.signal]);
    deadline.startClock();
    deadline.stopClock();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(deadline.error).toBeUndefined();
    controller.abort();
    expect(deadline.error).toBeInstanceOf(APIUserAbortError);
  });
});
