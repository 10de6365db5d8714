/** A client under an account that may lock little: 8 MiB, as systemd gives it, and 64 KiB, as older containers do. */
import { spawnSync } from "node:child_process";
import { startLocalRouter } from "../../support/local-router.js";
import type { LocalRouter } from "../../support/local-router.js";
import { startModel } from "../../support/model-server.js";
import type { TestServer } from "../../support/model-server.js";
import { copyPackage } from "../../support/package-copy.js";
import type { PackageCopy } from "../../support/package-copy.js";
import { Subject, unprivileged } from "../../support/subject.js";

const MiB = 1024 * 1024;
const subjectFile = "test/integration/memory/requests.cjs";

interface Memory {
  readonly mechanism: string;
  readonly degraded: boolean;
  readonly lockLimitSoft: number | null;
  readonly stats: {
    readonly bytesInUse: number;
    readonly bytesLocked: number;
    readonly bytesPeak: number;
    readonly allocations: number;
  };
}

/** OpenSSL's list of errors of one thread: it comes with the thread's first error and stays as long as the thread. */
const errorListBytes = 4096;

/** Why no child can be started without privileges here. */
function whyNot(): string | undefined {
  if (process.platform !== "linux") return "lock limits of accounts are tested on Linux";
  const [command, ...rest] = [...unprivileged(8 * MiB), "true"];
  const { status, stderr, error } = spawnSync(command, rest, { encoding: "utf8" });
  return status === 0 ? undefined : `no other account can run a program here: ${error?.message ?? stderr.trim()}`;
}
const reason = whyNot();

(reason === undefined ? describe : describe.skip)(
  `a client under an unprivileged account${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    let model: TestServer;
    let router: LocalRouter;
    let copy: PackageCopy;
    let promptLengths: number[];
    let subject: Subject;

    beforeAll(async () => {
      // The first message says how long the answer is to be.
      model = await startModel((request) => {
        promptLengths.push(request.length);
        const { messages } = JSON.parse(request) as { messages: { content: string }[] };
        return "a".repeat(Number(messages[0]!.content));
      });
      // The account of the tests itself may have no more than the client is to have.
      router = await startLocalRouter({ upstream: model.url, args: ["--secure-memory", "preferred"] });
      copy = copyPackage(subjectFile);
    });
    afterAll(async () => {
      copy.remove();
      await router.stop();
      await model.stop();
    });
    beforeEach(() => {
      promptLengths = [];
    });

    async function startUnder(lockLimit: number): Promise<void> {
      const circumstances = unprivileged(lockLimit);
      subject = await Subject.start(copy.path(subjectFile), { circumstances, node: copy.node });
    }
    const connect = (secureMemory?: string) => subject.call("connect", { baseUrl: router.url, secureMemory });
    const ask = (promptBytes: number, answerBytes: number) => subject.call<number>("ask", { promptBytes, answerBytes });
    const memory = () => subject.call<Memory>("memory");

    describe("that may lock 8 MiB", () => {
      beforeAll(async () => {
        await startUnder(8 * MiB);
        await connect();
      });
      afterAll(() => subject.kill());

      test("locks by default, as 'required' has it, and knows its limit", async () => {
        const info = await memory();
        expect(["memfd_secret", "mlock"]).toContain(info.mechanism);
        expect(info).toMatchObject({ degraded: false, lockLimitSoft: 8 * MiB });
        expect(info.stats.bytesLocked).toBeGreaterThan(0);
      });

      test("seals a request of 10 MiB, with well under 1 MiB more of locked memory", async () => {
        const before = await memory();
        expect(await ask(10 * MiB, 10)).toBe(10);
        expect(promptLengths).toEqual([10 * MiB]);
        const after = await memory();
        expect(after.stats.bytesPeak - before.stats.bytesInUse).toBeLessThan(MiB);
      });

      test("opens answers up to what the limit leaves", async () => {
        for (const size of [1, 6]) expect(await ask(100, size * MiB)).toBe(size * MiB);
      });

      test("refuses a larger answer with the limit and the remedy, and the next request works", async () => {
        // The key that is made ahead for the next request included, on both sides.
        const before = await subject.call<{ bytesInUse: number; threads: number }>("settled");
        for (let i = 0; i < 2; i++) {
          const error = await ask(100, 9 * MiB).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          expect(error).toMatchObject({ name: "MemoryProtectionError", code: "MEMORY_LOCK" });
          const { message } = error as Error;
          expect(message).toContain(String(8 * MiB));
          for (const remedy of ["ulimit -l", "LimitMEMLOCK", "--ulimit memlock", "Kubernetes"]) {
            expect(message).toContain(remedy);
          }
          expect(await ask(100, 6 * MiB)).toBe(6 * MiB);
        }
        const after = await subject.call<typeof before>("settled");
        // What a refused answer left behind would be megabytes.
        expect(after.bytesInUse - before.bytesInUse).toBeLessThanOrEqual(after.threads * errorListBytes);
        expect((await memory()).degraded).toBe(false);
      });
    });

    describe("that may lock 64 KiB", () => {
      beforeEach(() => startUnder(64 * 1024));
      afterEach(() => subject.kill());

      test("explains itself at construction under 'required', before anything is sent", async () => {
        const error = await connect("required").then(
          () => undefined,
          (reason: unknown) => reason,
        );
        expect(error).toMatchObject({ name: "MemoryProtectionError", code: "MEMORY_LOCK" });
        const { message } = error as Error;
        for (const part of [String(64 * 1024), "ulimit -l", "preferred"]) expect(message).toContain(part);
        // It was the constructor that threw: there is no client to close.
        await expect(subject.call("close")).rejects.toThrow(/undefined/);
      });

      test("works under 'preferred', and says that memory is not locked", async () => {
        await connect("preferred");
        expect(await ask(MiB, MiB)).toBe(MiB);
        expect(await memory()).toMatchObject({ degraded: true, lockLimitSoft: 64 * 1024 });
        const warnings = await subject.call<string[]>("warnings");
        expect(warnings.filter((warning) => /lock/i.test(warning))).toHaveLength(1);
      });
    });
  },
);
