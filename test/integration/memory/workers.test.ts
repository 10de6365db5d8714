/** The process-wide pool under worker threads: its numbers stay exact, however the workers end. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { makeKeyFolder } from "../../support/key-folder.js";
import type { KeyFolder } from "../../support/key-folder.js";
import { startLocalRouter } from "../../support/local-router.js";
import type { LocalRouter } from "../../support/local-router.js";
import { rounds } from "../../support/rounds.js";
import { seededRandom } from "../../support/seeded-random.js";
import { Subject } from "../../support/subject.js";

interface Settled {
  readonly bytesInUse: number;
  readonly allocations: number;
  readonly totalAllocations: number;
  readonly threads: number;
}

/** OpenSSL's list of errors of one of the package's threads, which OpenSSL 3.5 makes with the thread's first job. */
const errorListBytes = 4096;

jest.setTimeout(240_000); // on a busy machine

describe("worker threads", () => {
  let router: LocalRouter;
  let keys: KeyFolder;
  let subject: Subject;
  const work = () => ({ baseUrl: router.url, keyDir: keys.path });
  beforeAll(async () => {
    keys = makeKeyFolder();
    router = await startLocalRouter();
  });
  afterAll(async () => {
    await router.stop();
    keys.remove();
  });
  beforeEach(async () => {
    subject = await Subject.start(join(__dirname, "workers.cjs"));
  });
  afterEach(() => subject.kill());

  /**
   * What is in use while nothing is under way, beside the stacks of the package's threads: those start when they are
   * needed.
   */
  async function inUse(): Promise<{ bytesInUse: number; allocations: number }> {
    const { bytesInUse, allocations, threads } = await subject.call<Settled>("settled");
    expect(threads).toBeLessThanOrEqual(availableParallelism());
    return { bytesInUse, allocations };
  }

  const round = (workers: number, requests: number) =>
    subject.call<number>("runToTheEnd", { ...work(), workers, requests });

  /** OpenSSL's list of threads keeps its largest size: more threads than in the rounds that count come first. */
  async function warmUp(): Promise<void> {
    expect(await round(12, 2)).toBe(24);
  }

  test("eight with 64 requests at once leave the pool as they found it, round after round", async () => {
    expect(await inUse()).toEqual({ bytesInUse: 0, allocations: 0 });
    await warmUp();
    const before = await inUse();
    expect(before.bytesInUse).toBeLessThan(512 + availableParallelism() * errorListBytes);
    for (let i = 0; i < 3; i++) {
      expect(await round(8, 8)).toBe(64);
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
      return subject.call("terminateInTheMiddle", { ...work(), task, requests: 4, delays });
    };
    await warmUp();
    await terminate(2);
    const { totalAllocations } = await subject.call<Settled>("settled");
    const before = await inUse();
    await terminate(rounds(task === "keys" ? 15 : 8));
    expect(await inUse()).toEqual(before);
    const after = await subject.call<Settled>("settled");
    expect(after.totalAllocations).toBeGreaterThan(totalAllocations);
    expect(subject.output).toBe("");
  });

  test.each(["seal", "value", "buffer", "info", "scan"])(
    "terminated while they do nothing but %s do not take the process with them",
    async (task) => {
      const random = seededRandom(20_261_127);
      const delays = Array.from({ length: rounds(12) }, () => random() * 40);
      await subject.call("terminateInTheMiddle", { ...work(), task, requests: 0, delays });
      expect((await inUse()).allocations).toBeGreaterThanOrEqual(0);
      expect(subject.output).toBe("");
    },
  );

  // ArrayBuffer.prototype.transfer is there since Node 22.
  (process.versions.node.startsWith("20.") ? test.skip : test)(
    "a package that outlives its worker, moved to another thread, stays what it was",
    async () => {
      expect(await subject.call("outlivingPackage", { bytes: 4 << 20 })).toBe(true);
      expect(await subject.call("outlivingPackage", { bytes: 100_000 })).toBe(true);
    },
  );
});
