/** `process.exit()` in the middle of anything: the process ends with its own exit code, never by a signal. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { makeKeyFolder } from "../../support/key-folder.js";
import type { KeyFolder } from "../../support/key-folder.js";
import { startLocalRouter } from "../../support/local-router.js";
import type { LocalRouter } from "../../support/local-router.js";
import { rounds } from "../../support/rounds.js";
import { seededRandom } from "../../support/seeded-random.js";

const tasks = ["keys", "requests", "buffers", "workers"] as const;
const children = rounds(200, 8);
const atOnce = 4;

interface Ended {
  readonly child: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  /** What it was doing. */
  readonly doing: string;
}

describe("process.exit() at a random moment", () => {
  let router: LocalRouter;
  let keys: KeyFolder;
  beforeAll(async () => {
    keys = makeKeyFolder();
    router = await startLocalRouter();
  });
  afterAll(async () => {
    await router.stop();
    keys.remove();
  });

  function run(task: string, moment: string, delay: number, code: number): Promise<Ended> {
    const args = [task, moment, String(delay), String(code), router.url, keys.path];
    const child = spawn(process.execPath, [join(__dirname, "exits.cjs"), ...args], {
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    const texts = [1, 2, 3].map(() => "");
    child.stdio
      .slice(1)
      .forEach((stream, i) => stream!.on("data", (part: Buffer) => (texts[i] = texts[i]! + part.toString())));
    return new Promise((resolve) =>
      child.once("close", (status, signal) => {
        const [out, err, doing] = texts as [string, string, string];
        resolve({ child: args.slice(0, 4).join(" "), code: status, signal, output: out + err, doing });
      }),
    );
  }

  test(`ends each of ${children} children with the exit code that was asked for, and without a word`, async () => {
    const random = seededRandom(3);
    // Half of them leave while Node and the addon are being loaded or soon afterwards, half in the middle of work.
    const orders = Array.from({ length: children }, (_, i) => ({
      task: tasks[i % tasks.length]!,
      moment: i % 8 < 4 ? "start" : "work",
      delay: Math.floor(random() * 150),
      code: 1 + Math.floor(random() * 90),
    }));
    const wrong: Ended[] = [];
    const doing = new Map<string, number>();
    const queue = orders.values();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const { task, moment, delay, code } of queue) {
          const ended = await run(task, moment, delay, code);
          doing.set(ended.doing, (doing.get(ended.doing) ?? 0) + 1);
          if (ended.code !== code || ended.signal !== null || ended.output !== "") wrong.push(ended);
        }
      }),
    );
    expect(wrong).toEqual([]);
    for (const task of tasks) expect(doing.get(task)).toBeGreaterThanOrEqual(children / 8);
  }, 300_000);
});
