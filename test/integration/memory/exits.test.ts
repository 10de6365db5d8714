/** `process.exit()` in the middle of anything: the process ends with its own exit code, never by a signal. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { startLocalRouter, type LocalRouter } from "../../support/local-router.js";
import { seededRandom } from "../../support/seeded-random.js";

const tasks = ["keys", "requests", "buffers", "workers"] as const;
const children = 200;
const atOnce = 4;
/** Loading takes some 100 ms, the first key some 500: exits fall before, into and after both. */
const longestDelay = 600;

interface Ended {
  readonly child: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

describe("process.exit() at a random moment", () => {
  let router: LocalRouter;
  beforeAll(async () => {
    router = await startLocalRouter();
  });
  afterAll(() => router.stop());

  function run(task: string, delay: number, code: number): Promise<Ended> {
    const script = join(__dirname, "exits.cjs");
    const child = spawn(process.execPath, [script, task, String(delay), String(code), router.url], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()));
    return new Promise((resolve) =>
      child.once("close", (status, signal) =>
        resolve({ child: `${task} for ${delay} ms`, code: status, signal, output }),
      ),
    );
  }

  test(`ends each of ${children} children with the exit code that was asked for, and without a word`, async () => {
    const random = seededRandom(3);
    const orders = Array.from({ length: children }, (_, i) => ({
      task: tasks[i % tasks.length]!,
      delay: Math.floor(random() * longestDelay),
      code: 1 + Math.floor(random() * 90),
    }));
    const wrong: Ended[] = [];
    const queue = orders.values();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const { task, delay, code } of queue) {
          const ended = await run(task, delay, code);
          if (ended.code !== code || ended.signal !== null || ended.output !== "") wrong.push(ended);
        }
      }),
    );
    expect(wrong).toEqual([]);
  }, 180_000);
});
