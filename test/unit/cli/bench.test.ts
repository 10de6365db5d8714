import { runBench } from "../../../lib/cli/bench.js";
import { UsageError } from "../../../lib/cli/exit-code.js";
import { testStreams } from "../../support/command-line.js";

/** Runs the command and gives its exit code and standard output. */
async function run(...args: string[]): Promise<{ code: number; output: string }> {
  const streams = testStreams({ input: "" });
  const code = await runBench(args, streams);
  await streams.stdout.flush();
  return { code, output: streams.text.stdout };
}

test("--help tells the options", async () => {
  const { code, output } = await run("--help");
  expect(code).toBe(0);
  expect(output).toContain("--content KIND");
});

test.each([
  [["--size", "1023"], "--size"],
  [["--size", "10485761"], "--size"],
  [["--content", "klingon"], "--content"],
  [["--seconds", "0"], "--seconds"],
  [["--job", "sale"], "--job"],
  [["--unknown"], "--unknown"],
])("%p is refused", async (args, option) => {
  await expect(run(...args)).rejects.toThrow(UsageError);
  await expect(run(...args)).rejects.toThrow(option);
});

test("--json gives milliseconds for both sides of each line", async () => {
  const { code, output } = await run("--size", "1024", "--content", "cjk", "--seconds", "1", "--json");
  const { unit, lines } = JSON.parse(output) as { unit: string; lines: Record<string, unknown>[] };
  const summary = { count: expect.any(Number), median: expect.any(Number) };
  expect(code).toBe(0);
  expect(unit).toBe("ms");
  expect(lines).toMatchObject([
    { job: "seal", bytes: 1024, native: summary, node: summary },
    { job: "open", bytes: 1024, native: summary, node: summary },
    { job: "rsa", native: summary, node: summary },
    { job: "keygen", native: summary },
  ]);
}, 600_000);

test("without --json the verdict comes first on each line, then the rate; lines fit a terminal", async () => {
  const { output } = await run("--size", "2048", "--seconds", "1", "--job", "open", "--job", "seal");
  expect(output).toMatch(/^ *[\d.]+ × {2}seal +2 KB .*MB\/s +[\d.]+ .s$/m);
  expect(output).toMatch(/^ *[\d.]+ × {2}open +2 KB .*MB\/s +[\d.]+ .s$/m);
  expect(output).not.toContain("keygen");
  expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
}, 300_000);

describe("what is being measured", () => {
  const shown = async (isTTY: boolean, env: Record<string, string> = {}): Promise<string> => {
    const streams = testStreams({ input: "", terminal: isTTY, env });
    await runBench(["--size", "1024", "--seconds", "1", "--job", "seal"], streams);
    return streams.text.stderr;
  };

  test("is told in a line of its own on a terminal, which is empty in the end", async () => {
    const lines = (await shown(true)).split("\r").slice(1);
    expect(lines[0]).toBe("making a key …\u001b[K");
    expect(lines.slice(1, -1)).toEqual(
      ["0 %", "17 %", "33 %", "50 %", "67 %", "83 %"].map((done) => `seal 1 KB … ${done}\u001b[K`),
    );
    expect(lines.at(-1)).toBe("\u001b[K");
  }, 300_000);

  test("is told nobody else", async () => {
    expect(await shown(false)).toBe("");
    expect(await shown(true, { TERM: "dumb" })).toBe("");
  }, 300_000);
});
