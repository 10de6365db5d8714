import { setImmediate as nextImmediate } from "node:timers/promises";
import { Share, Turns } from "../../../lib/http/turns.js";

describe("turns", () => {
  test("come one for each turn of the event loop, in the order of those who wait", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    for (const name of ["a", "b", "c"]) turns.wait(() => seen.push(name));
    expect(seen).toEqual([]);
    await nextImmediate();
    expect(seen).toEqual(["a"]);
    while (seen.length < 3) {
      const before = seen.length;
      await nextImmediate();
      expect(seen.length - before).toBeLessThanOrEqual(1);
    }
    expect(seen).toEqual(["a", "b", "c"]);
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

  describe("that take long are followed by a rest", () => {
    const real = { setTimeout: globalThis.setTimeout };
    let clock = 0;
    const rests: number[] = [];
    beforeEach(() => {
      clock = 0;
      rests.length = 0;
      jest.spyOn(performance, "now").mockImplementation(() => clock);
      jest.spyOn(globalThis, "setTimeout").mockImplementation(((goOn: () => void, milliseconds: number) => {
        rests.push(milliseconds);
        return real.setTimeout(goOn, 0);
      }) as typeof setTimeout);
    });
    afterEach(() => jest.restoreAllMocks());

    const takeTurns = async (count: number, milliseconds: number): Promise<void> => {
      const turns = new Turns();
      let seen = 0;
      for (let i = 0; i < count; i += 1) {
        turns.wait(() => {
          seen += 1;
          clock += milliseconds;
        });
      }
      while (seen < count) await new Promise((resolve) => real.setTimeout(resolve, 0));
    };

    test("of four times as long, where several wait", async () => {
      await takeTurns(4, 10);
      // The last one waits alone: there is nobody to keep it from.
      expect(rests).toEqual([40, 40]);
    });

    test("of a quarter of a second at most", async () => {
      await takeTurns(3, 5_000);
      expect(rests).toEqual([250]);
    });

    test("and by none where they take next to nothing, or where one waits alone", async () => {
      await takeTurns(8, 0.5);
      await takeTurns(1, 5_000);
      expect(rests).toEqual([]);
    });
  });
});

test("a connection has 64 KiB before it waits for its turn", async () => {
  const turns = new Turns();
  const share = new Share(turns);
  const goOn = jest.fn();
  expect(share.isUsedUp(65_535, goOn)).toBe(false);
  expect(share.isUsedUp(1, goOn)).toBe(true);
  expect(goOn).not.toHaveBeenCalled();
  await turns.next();
  expect(goOn).toHaveBeenCalledTimes(1);
  expect(share.isUsedUp(65_535, goOn)).toBe(false);
});
