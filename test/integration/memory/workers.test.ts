/** The process-wide pool under worker threads: its numbers stay exact, however the workers end. */
import { join } from "node:path";
import { startLocalRouter, type LocalRouter } from "../../support/local-router.js";
import { seededRandom } from "../../support/seeded-random.js";
import { Subject } from "../../support/subject.js";

interface Settled {
  readonly stats: { readonly bytesInUse: number; readonly allocations: number; readonly totalAllocations: number };
  readonly threads: { readonly started: number };
}

describe("worker threads", () => {
  let router: LocalRouter;
  let subject: Subject;
  beforeAll(async () => {
    router = await startLocalRouter();
  });
  afterAll(() => router.stop());
  beforeEach(async () => {
    subject = await Subject.start(join(__dirname, "workers.cjs"));
  });
  afterEach(() => subject.kill());

  /** What is in use while nothing is under way. The threads' stacks stay, so one round comes before the first look. */
  async function inUse(): Promise<{ bytesInUse: number; allocations: number }> {
    const { stats } = await subject.call<Settled>("settled");
    return { bytesInUse: stats.bytesInUse, allocations: stats.allocations };
  }

  test("eight with 64 requests at once leave the pool as they found it, round after round", async () => {
    const round = () => subject.call<number>("runToTheEnd", { baseUrl: router.url, workers: 8, requests: 8 });
    expect(await round()).toBe(64);
    const before = await inUse();
    for (let i = 0; i < 2; i++) {
      expect(await round()).toBe(64);
      expect(await inUse()).toEqual(before);
    }
  });

  test.each([
    ["key generation", "keys"],
    ["requests", "requests"],
  ])("terminated in the middle of %s neither crash the process nor leave a byte in the pool", async (_, task) => {
    const random = seededRandom(20_251_124);
    const terminate = (count: number) => {
      const delays = Array.from({ length: count }, () => random() * 60);
      return subject.call("terminateInTheMiddle", { task, baseUrl: router.url, requests: 4, delays });
    };
    await terminate(2);
    const { stats } = await subject.call<Settled>("settled");
    const before = await inUse();
    await terminate(task === "keys" ? 15 : 8);
    expect(await inUse()).toEqual(before);
    const after = await subject.call<Settled>("settled");
    expect(after.stats.totalAllocations).toBeGreaterThan(stats.totalAllocations);
    expect(subject.output).toBe("");
  });
});
