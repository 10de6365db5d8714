import { setImmediate as nextImmediate } from "node:timers/promises";
import { Share, Turns } from "../../../lib/http/turns.js";

describe("turns", () => {
  test("come one for each turn of the event loop, in the order of those who wait", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    for (const name of ["a", "b", "c"]) turns.wait(() => seen.push(name));
    expect(seen).toEqual([]);
    for (let nth = 1; nth <= 3; nth += 1) {
      await nextImmediate();
      expect(seen).toEqual(["a", "b", "c"].slice(0, nth));
    }
  });

  test("who waits again stands behind the others", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    const again = (name: string) => (): void => {
      seen.push(name);
      if (seen.length < 6) turns.wait(again(name));
    };
    turns.wait(again("a"));
    turns.wait(again("b"));
    while (seen.length < 6) await nextImmediate();
    expect(seen).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  test("of a crowd go several at a time, so that nobody waits for thousands", async () => {
    const turns = new Turns();
    const seen: number[] = [];
    const all = Array.from({ length: 1000 }, (_, index) => index);
    for (const index of all) turns.wait(() => seen.push(index));
    await nextImmediate();
    expect(seen.length).toBe(16);
    for (let loops = 1; seen.length < 1000; loops += 1) {
      expect(loops).toBeLessThan(400);
      await nextImmediate();
    }
    expect(seen).toEqual(all);
  });

  test("one that throws takes nobody's turn", () => {
    const turns = new Turns();
    const immediate = jest.spyOn(globalThis, "setImmediate").mockImplementation((() => undefined) as never);
    const after = jest.fn();
    turns.wait(() => {
      throw new Error("a defect");
    });
    for (let i = 0; i < 100; i += 1) turns.wait(() => after(i));
    const turn = immediate.mock.calls[0]![0];
    expect(turn).toThrow("a defect");
    expect(turns.size).toBe(100);
    // The next one is on its way.
    expect(immediate).toHaveBeenCalledTimes(2);
    immediate.mock.calls[1]![0]();
    expect(after.mock.calls).toEqual([[0], [1]]);
    immediate.mockRestore();
  });

  test("who has gone away is not called, and not kept", async () => {
    const turns = new Turns();
    const gone = jest.fn();
    const here = jest.fn();
    for (let i = 0; i < 10_000; i += 1) {
      const comes = (): void => gone();
      turns.wait(comes);
      turns.cancel(comes);
    }
    turns.wait(here);
    expect(turns.size).toBe(1);
    await nextImmediate();
    expect(here).toHaveBeenCalledTimes(1);
    expect(gone).not.toHaveBeenCalled();
    expect(turns.size).toBe(0);
  });
});

test("a connection has 64 KiB before it waits for its turn", async () => {
  const turns = new Turns();
  const share = new Share(turns);
  const goOn = jest.fn();
  expect(share.isUsedUp(65_535, goOn)).toBe(false);
  expect(share.isUsedUp(1, goOn)).toBe(true);
  expect(goOn).not.toHaveBeenCalled();
  await nextImmediate();
  expect(goOn).toHaveBeenCalledTimes(1);
  expect(share.isUsedUp(65_535, goOn)).toBe(false);
});
