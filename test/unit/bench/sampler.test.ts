import { Sampler } from "../../../lib/bench/sampler.js";
import type { Clock } from "../../../lib/bench/sampler.js";

/** A clock that moves only when it is told to: how fast the machine is says nothing here. */
class HandClock implements Clock {
  #now = 0;
  slept: number[] = [];

  readonly now = (): number => this.#now;

  readonly sleep = (milliseconds: number): Promise<void> => {
    this.slept.push(milliseconds);
    this.advance(milliseconds);
    return Promise.resolve();
  };

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }
}

let clock: HandClock;
beforeEach(() => {
  clock = new HandClock();
});

test("a slow operation runs once for each sample, as often as asked for at most", async () => {
  let runs = 0;
  const sampler = new Sampler(
    () => {
      runs++;
      clock.advance(3);
    },
    0,
    clock,
  );
  await sampler.warmUp(0);
  expect(runs).toBe(1);
  expect(await sampler.round(1000, 4)).toEqual([3, 3, 3, 3]);
  expect(runs).toBe(5);
});

test("a round ends when its time is over", async () => {
  const sampler = new Sampler(() => clock.advance(3), 0, clock);
  await sampler.warmUp(0);
  expect(await sampler.round(10)).toEqual([3, 3, 3, 3]);
});

test("a quick operation runs in batches, and the sample is the time of one", async () => {
  let runs = 0;
  const sampler = new Sampler(
    () => {
      runs++;
      clock.advance(1 / 512);
    },
    0,
    clock,
  );
  await sampler.warmUp(1);
  expect(runs).toBe(512);
  const samples = await sampler.round(1000, 10);
  // As many as make a sample of 0.05 ms.
  expect(runs - 512).toBe(10 * 26);
  expect(samples).toEqual(Array.from({ length: 10 }, () => 1 / 512));
});

test("a pause comes before each run, outside of the time that counts, and never a batch", async () => {
  let runs = 0;
  const sampler = new Sampler(
    () => {
      runs++;
      clock.advance(1 / 1024);
    },
    5,
    clock,
  );
  await sampler.warmUp(20);
  const before = runs;
  expect(clock.slept).toEqual(Array.from({ length: before }, () => 5));
  const samples = await sampler.round(1000, 10);
  expect(runs - before).toBe(10);
  expect(samples).toEqual(Array.from({ length: 10 }, () => 1 / 1024));
  expect(clock.slept).toHaveLength(runs);
});

test("a promise is awaited within the time that counts", async () => {
  const sampler = new Sampler(
    async () => {
      await Promise.resolve();
      clock.advance(10);
    },
    0,
    clock,
  );
  await sampler.warmUp(0);
  expect(await sampler.round(0)).toEqual([10]);
});

test("without a clock of its own it uses the process's", async () => {
  const sampler = new Sampler(() => {
    const end = performance.now() + 2;
    while (performance.now() < end);
  });
  await sampler.warmUp(0);
  const [sample] = await sampler.round(0);
  expect(sample).toBeGreaterThanOrEqual(2);
});
