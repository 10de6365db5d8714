import { APIPromise } from "../../../lib/client/api-promise.js";
import type { ResponseInfo } from "../../../lib/client/api-promise.js";
import { madeUpReceipt } from "../../support/receipts.js";

const response: ResponseInfo = { status: 200, headers: new Headers(), payloadId: "p", attempts: 1 };
const receipt = madeUpReceipt();
const whole = { data: 5, response, receipt, request_id: null };
const good = (): APIPromise<number> => new APIPromise(Promise.resolve(whole));
const bad = (): APIPromise<number> => new APIPromise(Promise.reject(new RangeError("no")));

describe("APIPromise", () => {
  it("is a promise of the data", async () => {
    expect(good()).toBeInstanceOf(Promise);
    expect(await good()).toBe(5);
    await expect(good().then((value) => value + 1)).resolves.toBe(6);
    await expect(Promise.all([good(), good()])).resolves.toEqual([5, 5]);
  });

  it("gives the response beside the data", async () => {
    await expect(good().withResponse()).resolves.toEqual(whole);
  });

  it("passes a failure to catch, finally and withResponse", async () => {
    await expect(bad()).rejects.toThrow(RangeError);
    await expect(bad().catch(() => 7)).resolves.toBe(7);
    await expect(bad().withResponse()).rejects.toThrow(RangeError);
    const finish = jest.fn();
    await expect(bad().finally(finish)).rejects.toThrow(RangeError);
    expect(finish).toHaveBeenCalledTimes(1);
  });

  it("makes ordinary promises of itself", () => {
    expect(APIPromise[Symbol.species]).toBe(Promise);
    expect(good().then()).not.toBeInstanceOf(APIPromise);
  });
});
