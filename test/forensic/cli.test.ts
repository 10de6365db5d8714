/**
 * The proof that the command line keeps a prompt from stdin in the pool: while the pipe is held open, and while the answer is waited for.
 * Under mlock, where the pool can be read: what the search finds there shows that it looks for the right thing.
 */
import { join } from "node:path";
import { startLocalRouter, type LocalRouter } from "../support/local-router.js";
import { outsidePool, whyNotReadable } from "../support/memory-scan.js";
import { secretText, textPatterns } from "../support/secret-patterns.js";
import { withoutMemfdSecret } from "../support/subject.js";
import { WatchedProcess } from "../support/watched-process.js";

jest.setTimeout(240_000);

const command = join(__dirname, "../../dist/cli/main.js");
const unreadable = whyNotReadable();
const testUnless = unreadable === undefined ? test : test.skip;

let router: LocalRouter;
let watched: WatchedProcess | undefined;
beforeAll(async () => {
  router = await startLocalRouter({ args: ["--echo-delay", "600000", "--stop-timeout", "0"] });
});
afterAll(async () => {
  await watched?.end();
  await router.stop();
});

testUnless(
  `a prompt from stdin is in the pool alone${unreadable === undefined ? "" : ` (skipped: ${unreadable})`}`,
  async () => {
    // More than the first buffer holds, so that it grows.
    const prompt = secretText(100_000);
    const secrets = textPatterns("prompt", prompt);
    watched = await WatchedProcess.start([command, "chat", "--base-url", router.url, "--allow-http", "--quiet"], {
      circumstances: withoutMemfdSecret,
    });
    watched.child.stdin.write(prompt);
    for (;;) {
      const { hits } = await watched.scan(secrets);
      const found = hits.filter(({ inPool }) => inPool).reduce((bytes, hit) => bytes + hit.bytes, 0);
      expect(hits.filter(({ inPool }) => !inPool)).toEqual([]);
      if (found >= prompt.length) break;
    }
    watched.child.stdin.end();
    const underWay = async (): Promise<unknown> =>
      ((await (await fetch(`${router.url}/healthz`)).json()) as Record<string, unknown>)["requests_under_way"];
    while ((await underWay()) !== 1) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(outsidePool(await watched.scan(secrets))).toEqual([]);
  },
);
