/** What moves while somebody waits, with a clock that the test winds. */
import { painterFor } from "../../../lib/cli/painter.js";
import { Progress } from "../../../lib/cli/progress.js";
import type { Ticker } from "../../../lib/cli/progress.js";
import { testStreams } from "../../support/command-line.js";

class Clock implements Ticker {
  running: (() => void)[] = [];
  every(_ms: number, tick: () => void): () => void {
    this.running.push(tick);
    return () => void (this.running = this.running.filter((one) => one !== tick));
  }
  tick(): void {
    for (const one of this.running) one();
  }
}
const line = "\r\u001b[K";

test("each tick draws over the last, and the end leaves nothing, not even a clock", async () => {
  const { stderr, text } = testStreams({ terminal: true });
  const clock = new Clock();
  const progress = new Progress(stderr, clock);
  progress.show("dots", "making");
  clock.tick();
  progress.show("spinner", "waiting");
  clock.tick();
  progress.end();
  clock.tick();
  progress.show("spinner", "too late");
  await stderr.flush();
  expect(text.stderr).toBe(`${line}making .${line}making ..${line}| waiting${line}/ waiting${line}`);
  expect(clock.running).toEqual([]);
});

test("a pipe gets nothing", async () => {
  const { stderr, text } = testStreams({ terminal: false });
  const clock = new Clock();
  const progress = new Progress(stderr, clock);
  progress.show("dots", "making");
  progress.end();
  await stderr.flush();
  expect(text.stderr).toBe("");
  expect(clock.running).toEqual([]);
});

test.each<[string, boolean, Record<string, string>, boolean]>([
  ["a terminal", true, {}, true],
  ["a pipe", false, {}, false],
  ["NO_COLOR", true, { NO_COLOR: "1" }, false],
  ["an empty NO_COLOR", true, { NO_COLOR: "" }, true],
  ["FORCE_COLOR into a pipe", false, { FORCE_COLOR: "1" }, true],
  ["FORCE_COLOR=0", true, { FORCE_COLOR: "0" }, false],
  ["both, of which the one that asks for less wins", true, { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
  ["TERM=dumb", true, { TERM: "dumb" }, false],
])("colours: %s", (_what, terminal, env, coloured) => {
  const { stdout } = testStreams({ terminal });
  expect(painterFor({ stdout, env }).good("x")).toBe(coloured ? "\u001b[32mx\u001b[0m" : "x");
});
