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

test("without --json each line stands in the text, with its rate", async () => {
  const { output } = await run("--size", "2048", "--seconds", "1", "--job", "open", "--job", "seal");
  expect(output).toMatch(/^seal +2048 B .*MB\/s +Node .* ×$/m);
  expect(output).toMatch(/^open +2048 B .*MB\/s +Node .* ×$/m);
  expect(output).not.toContain("keygen");
}, 120_000);
