/** The router as a process of the built command. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startCommand, runCommand } from "../../support/command-line.js";
import type { CommandProcess } from "../../support/command-line.js";
import { startModel } from "../../support/model-server.js";
import { chat, fetchRaw, postPackage } from "../../support/node-client.js";
import type { Target } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA" }] };
const keyFile = routerKeyFile();
const folder = mkdtempSync(join(tmpdir(), "nomyo-cli-router-"));
const apiKey = "clinic-a-0123456789abcdef";
afterAll(() => {
  keyFile.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** Something that happens once. */
class Gate {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

/** Waits until the router has a request to answer. */
async function underWay(target: Target): Promise<void> {
  for (;;) {
    const health = JSON.parse((await fetchRaw(`${target.url}/healthz`)).body.toString()) as Record<string, unknown>;
    if (health["requests_under_way"] === 1) return;
    await sleep(10);
  }
}

/** Waits until the router has said that it has heard the signal. */
async function stopping(router: CommandProcess): Promise<void> {
  while (!router.output.stderr.includes("stopping")) await sleep(10);
}

async function withRouter(
  args: readonly string[],
  use: (target: Target, process: CommandProcess, event: Record<string, unknown>) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const router = startCommand(["router", "--json", "--key-file", keyFile.path, ...args], env);
  try {
    const event = JSON.parse(await router.firstLine) as Record<string, unknown>;
    const url = String(event["url"]);
    const pem = (await fetchRaw(`${url}/pki/public_key`)).body.toString();
    await use({ url, publicKey: { pem } }, router, event);
  } finally {
    router.child.kill("SIGKILL");
    await router.ended;
  }
}

test("says where it listens in one line of JSON, and stops on SIGTERM with exit code 0", async () => {
  await withRouter([], async (target, router, event) => {
    expect(event).toEqual({
      event: "listening",
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      port: expect.any(Number),
      pid: router.child.pid,
      key_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    await chat(target, client, request);
    router.child.kill("SIGTERM");
    expect(await router.ended).toBe(0);
    expect(router.output.stdout.trim().split("\n")).toHaveLength(1);
    expect(router.output.stderr).toMatch(/no API keys/);
    expect(router.output.stderr).toMatch(/echo model/);
    expect(router.output.stderr).not.toContain("QUOKKA");
  });
});

test("says where it listens in plain words without --json", async () => {
  const router = startCommand(["router", "--key-file", keyFile.path]);
  try {
    expect(await router.firstLine).toMatch(/^nomyo-native router listening on http:\/\/127\.0\.0\.1:\d+$/);
    router.child.kill("SIGINT");
    expect(await router.ended).toBe(0);
  } finally {
    router.child.kill("SIGKILL");
  }
});

test("lets a request under way finish after SIGTERM; a second signal ends at once", async () => {
  const asked = new Gate();
  const mayAnswer = new Gate();
  const model = await startModel(async () => {
    asked.open();
    await mayAnswer.opened;
    return "QUOKKA";
  });
  try {
    await withRouter(["--upstream", model.url], async (target, router) => {
      const answer = chat(target, client, request);
      await asked.opened;
      router.child.kill("SIGTERM");
      await stopping(router);
      mayAnswer.open();
      expect((await answer).answer.choices[0]!.message.content).toContain("QUOKKA");
      expect(await router.ended).toBe(0);
    });
  } finally {
    await model.stop();
  }
  await withRouter(["--echo-delay", "60000"], async (target, router) => {
    const answer = chat(target, client, request).catch((error: unknown) => error);
    await underWay(target);
    router.child.kill("SIGTERM");
    await stopping(router);
    router.child.kill("SIGTERM");
    expect(await router.ended).toBe(130);
    expect(await answer).toMatchObject({ code: "ECONNRESET" });
  });
});

test("API keys from a file, an access log on stderr, without what was said", async () => {
  const file = join(folder, "api-keys");
  writeFileSync(file, `# clinics\n${apiKey}\n`, { mode: 0o600 });
  await withRouter(["--api-keys-file", file, "--access-log", "--rate-limit", "100"], async (target, router) => {
    const body = nodeSeal(target.publicKey.pem, JSON.stringify(request));
    expect((await postPackage(target, client, body)).status).toBe(401);
    expect((await postPackage(target, client, body, { authorization: `Bearer ${apiKey}` })).status).toBe(200);
    router.child.kill("SIGTERM");
    await router.ended;
    expect(router.output.stderr).toMatch(/secure_completion 401 in=0 out=\d+ ms=\d+\n/);
    expect(router.output.stderr).toMatch(/secure_completion 200 in=\d{3,} out=\d{3,} ms=\d+\n/);
    expect(router.output.stderr).not.toMatch(new RegExp(`QUOKKA|${apiKey}|no API keys`));
  });
});

test("API keys from the environment, models for a tier, secure inference off", async () => {
  await withRouter(
    ["--allow-model", "high=big"],
    async (target) => {
      const body = nodeSeal(target.publicKey.pem, JSON.stringify(request));
      const headers = { authorization: `Bearer ${apiKey}`, "x-security-tier": "high" };
      expect((await postPackage(target, client, body, headers)).status).toBe(403);
    },
    { NOMYO_ROUTER_API_KEYS: apiKey },
  );
  await withRouter(["--no-secure-inference"], async (target) => {
    expect((await postPackage(target, client, Buffer.from("{}"))).status).toBe(404);
  });
});

describe("it does not start", () => {
  const run = async (args: readonly string[], env: Record<string, string> = {}) =>
    await runCommand(["router", ...args], { env });

  test.each<[string, number, string[], RegExp]>([
    [
      "on an address that others can reach without API keys and TLS",
      2,
      ["--host", "0.0.0.0"],
      /Without API keys everyone/,
    ],
    ["there without TLS", 2, ["--host", "0.0.0.0", "--allow-open"], /plain HTTP/],
    ["with a plain HTTP upstream elsewhere", 2, ["--upstream", "http://vllm.example"], /plain HTTP/],
    ["with a key file that is not there", 2, ["--key-file", "/nonexistent"], /ENOENT/],
    ["with a TPM that is not there", 1, ["--tcti", "swtpm:path=/nonexistent"], /TPM/],
  ])("%s: exit code %i", async (_what, expected, args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
  });

  test("with an empty list of API keys: a mistake must not open it to everyone", async () => {
    const { code, stderr } = await run([], { NOMYO_ROUTER_API_KEYS: "# none\n" });
    expect(stderr).toMatch(/There is no API key/);
    expect(code).toBe(2);
  });

  test("with an API key file that others may read", async () => {
    const file = join(folder, "open-keys");
    writeFileSync(file, `${apiKey}\n`, { mode: 0o644 });
    const { code, stderr } = await run(["--api-keys-file", file]);
    expect(stderr).toMatch(/chmod 600/);
    expect(code).toBe(2);
  });
});
