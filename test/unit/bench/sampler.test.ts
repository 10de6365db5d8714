import { setTimeout as sleep } from "node:timers/promises";
import { Sampler } from "../../../lib/bench/sampler.js";

test("a slow operation runs once for each sample, as often as asked for at most", async () => {
  let runs = 0;
  const sampler = new Sampler(() => {
    runs++;
    const end = performance.now() + 3;
    while (performance.now() < end);
  });
  await sampler.warmUp(0);
  expect(runs).toBe(1);
  const samples = await sampler.round(1000, 4);
  expect(samples).toHaveLength(4);
  expect(runs).toBe(5);
  for (const sample of samples) expect(sample).toBeGreaterThanOrEqual(3);
});

test("a quick operation runs in batches, and the sample is the time of one", async () => {
  let runs = 0;
  const sampler = new Sampler(() => runs++);
  await sampler.warmUp(20);
  const before = runs;
  const samples = await sampler.round(20, 10);
  expect(samples).toHaveLength(10);
  expect((runs - before) / 10).toBeGreaterThan(10);
  expect(Math.min(...samples)).toBeLessThan(0.05);
});

test("a pause comes before each run, outside of the time that counts, and never a batch", async () => {
  let last = performance.now();
  let runs = 0;
  let shortest = Number.POSITIVE_INFINITY;
  const sampler = new Sampler(() => {
    const now = performance.now();
    if (runs++ > 0) shortest = Math.min(shortest, now - last);
    last = now;
  }, 5);
  await sampler.warmUp(20);
  const before = runs;
  const samples = await sampler.round(1000, 10);
  expect(runs - before).toBe(10);
  expect(Math.min(...samples)).toBeLessThan(3);
  // A timer may be up to a millisecond early.
  expect(shortest).toBeGreaterThanOrEqual(4);
});

test("a promise is awaited within the time that counts", async () => {
  const sampler = new Sampler(() => sleep(10));
  await sampler.warmUp(0);
  const [sample] = await sampler.round(0);
  // A timer may be up to a millisecond early.
  expect(sample).toBeGreaterThanOrEqual(9);
});
