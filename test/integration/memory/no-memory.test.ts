/** The addon without memory: a promise is settled or an exception comes, and nothing stays. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runNode } from "../../support/built-package.js";

interface Left {
  readonly bytesInUse: number;
  readonly allocations: number;
  readonly alive: number;
}

interface Report {
  /** For each function how often it ended how, one allocation after the other having failed; and once none had. */
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
  readonly first: Left;
  readonly last: Left;
}

// The allocator stands before glibc's.
const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
const isGlibc = header.glibcVersionRuntime !== undefined;

(isGlibc ? describe : describe.skip)("when any one of the addon's allocations fails on the JavaScript thread", () => {
  let folder: string;
  let report: Report;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nomyo-test-"));
    const allocator = join(folder, "failing-malloc.so");
    const source = join(__dirname, "..", "..", "support", "failing-malloc.c");
    execFileSync("cc", ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", allocator, source]);
    const orders = join(folder, "orders");
    const none = new BigInt64Array(5);
    none[2] = -1n;
    writeFileSync(orders, none);
    const ended = await runNode(["--expose-gc", join(__dirname, "no-memory.cjs"), orders], {
      LD_PRELOAD: allocator,
      NOMYO_FAILING_MALLOC: orders,
      TSS2_LOG: "all+none",
    });
    // By itself: had a promise not been settled, the event loop would have been empty, or have stayed alive for it.
    expect({ ...ended, stdout: "" }).toMatchObject({ code: 0, stderr: "" });
    report = JSON.parse(ended.stdout) as Report;
  }, 240_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("every call of both kinds of job ends with OUT_OF_MEMORY, and the next one is right", () => {
    expect(Object.keys(report.outcomes)).toEqual(
      expect.arrayContaining(["open", "importPrivateKey", "echo", "verifyAttestation", "cancelled", "tpmOpen"]),
    );
    for (const [name, outcome] of Object.entries(report.outcomes)) {
      const { right = 0, ...others } = outcome;
      expect([name, others]).toEqual([name, { OUT_OF_MEMORY: expect.any(Number), unhindered: "right" }]);
      // A known key's quote is checked on this thread, by an OpenSSL that can do without its error queue.
      expect([name, right]).toEqual([name, name === "verifyAttestation" ? expect.any(Number) : 0]);
      if (name === "verifyAttestation") expect(right).toBeLessThanOrEqual(10);
      // The promise's settlement, and what is beside it: the job, its place in the queue, its cancellation.
      expect(outcome["OUT_OF_MEMORY"]).toBeGreaterThanOrEqual(4);
    }
  });

  test("nothing stays: no secret memory, and nothing that the addon has allocated", () => {
    expect(report.last).toEqual(report.first);
  });
});
