/**
 * What a system may refuse or do for a while, descriptors and an even clock: each request ends in its answer or in an
 * error that says so.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage } from "../../support/built-package.js";
import { startLocalRouter } from "../../support/local-router.js";
import { fetchRaw } from "../../support/node-client.js";
import { connectRaw } from "../../support/raw-http.js";
import type { RawConnection } from "../../support/raw-http.js";
import { routerKeyFile } from "../../support/router-key.js";
import { TestClients } from "../../support/test-clients.js";

const possible = process.platform === "linux" && spawnSync("prlimit", ["--version"]).status === 0;
const keyFile = routerKeyFile();
const clients = new TestClients();
let router: Router;
beforeAll(async () => {
  buildPackage();
  router = await startRouter({ keyFile: keyFile.path });
});
afterAll(async () => {
  await clients.close();
  clients.removeKeys();
  await router.close();
  keyFile.remove();
});

/** Runs a script that asks for other limits of descriptors by lines of its own; gives its last line. */
async function runWithLimits(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  let pending = "";
  for await (const part of child.stdout) {
    const lines = (pending + String(part)).split("\n");
    pending = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith("limit ")) return line;
      expect(spawnSync("prlimit", ["--pid", String(child.pid), `--nofile=${line.slice(6)}:`]).status).toBe(0);
      child.stdin.write("!");
    }
  }
  throw new Error(`it ended without its last line: ${pending}`);
}

(possible ? describe : describe.skip)("descriptors", () => {
  test("a client that gets none says so, and works again when it gets some", async () => {
    const folder = mkdtempSync(join(tmpdir(), "few-descriptors-"));
    try {
      const told = JSON.parse(await runWithLimits(join(__dirname, "few-descriptors.cjs"), router.url, folder)) as {
        scarce: string | { name: string; message: string; ours: boolean };
        then: unknown;
      }[];
      expect(told).toHaveLength(5);
      for (const { scarce, then } of told) {
        if (typeof scarce === "string") expect(scarce).toBe("answer");
        else expect(scarce).toMatchObject({ ours: true, message: expect.not.stringContaining("QUOKKA") });
        expect(then).toBe("answer");
      }
      expect(typeof told[0]!.scarce).toBe("object");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a router whose descriptors a flood has taken lives, and answers when the flood is over", async () => {
    const few = await startLocalRouter({
      circumstances: ["prlimit", "--nofile=64:64"],
      args: ["--key-file", keyFile.path],
    });
    try {
      const flood: RawConnection[] = [];
      const port = Number(new URL(few.url).port);
      for (let i = 0; i < 200; i += 1) flood.push(await connectRaw(port, "GET /healthz HTTP/1.1\r\nX: "));
      for (const { socket } of flood) socket.destroy();
      await Promise.all(flood.map(({ received }) => received));
      const client = clients.make({ baseUrl: few.url, apiKey: null, maxRetries: 5 });
      const answer = await client.create({ model: "m", messages: [{ role: "user", content: "QUOKKA" }] });
      expect(answer.choices[0]!.message.content).toContain("QUOKKA");
      expect((await fetchRaw(`${few.url}/healthz`)).status).toBe(200);
    } finally {
      await few.stop();
    }
  });
});

test("a clock that jumps, years forward and back, between requests and during them, keeps no answer back", async () => {
  const client = clients.make({ baseUrl: router.url, apiKey: null, maxRetries: 0 });
  const now = Date.now();
  let jumps = 0;
  const clock = jest.spyOn(Date, "now");
  try {
    for (const [from, to] of [
      [0, 10],
      [10, -10],
      [-10, 0],
    ] as const) {
      // Each reading of the clock is another time than the one before.
      clock.mockImplementation(() => now + ((jumps += 1) % 2 === 0 ? from : to) * 365 * 86_400_000);
      const answer = await client.create({ model: "m", messages: [{ role: "user", content: `at ${to}.` }] });
      expect(answer.choices[0]!.message.content).toContain(`at ${to}.`);
    }
    expect(jumps).toBeGreaterThan(3);
  } finally {
    clock.mockRestore();
  }
});
