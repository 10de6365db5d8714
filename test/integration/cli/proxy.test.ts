/** The proxy as a process of the built command, with its options in a file. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { buildPackage } from "../../support/built-package.js";
import { runCommand, startCommand } from "../../support/command-line.js";
import { ReferenceServer } from "../../support/reference-server.js";
import { vectorKeyDir } from "../../support/test-clients.js";

const folder = mkdtempSync(join(tmpdir(), "nomyo-cli-proxy-"));
const keyDir = vectorKeyDir();
const localKey = "program-0123456789abcdef";
const put = (name: string, text: string, mode = 0o600): string => {
  writeFileSync(join(folder, name), text, { mode });
  return join(folder, name);
};
const config = (value: unknown): string => put("proxy.json", typeof value === "string" ? value : JSON.stringify(value));
let server: ReferenceServer;
beforeAll(async () => {
  buildPackage();
  server = await ReferenceServer.start();
}, 300_000);
afterAll(async () => {
  await server.stop();
  for (const made of [folder, keyDir]) rmSync(made, { recursive: true });
});
const messages = [{ role: "user" as const, content: "QUOKKA" }];

test("a file of options, flags that win over it, one line of JSON, a log without content, and SIGTERM", async () => {
  const file = config({
    ...{ "base-url": server.url, "allow-http": true, "key-dir": keyDir, port: 0, model: ["a", "b"], tier: "high" },
    ...{ "api-key-file": put("nomyo", "nomyo-key\n"), "local-keys-file": put("local", `# programs\n${localKey}\n`) },
    ...{ "access-log": true, json: true, timeout: 60, retries: "0", "allow-host": "proxy.internal" },
  });
  const proxy = startCommand(["proxy", "--config", file, "--model", "c"]);
  try {
    const event = JSON.parse(await proxy.firstLine) as Record<string, unknown>;
    expect(event).toEqual({
      event: "listening",
      base_url: `http://127.0.0.1:${String(event["port"])}/v1`,
      port: expect.any(Number),
      pid: proxy.child.pid,
    });
    const sdk = (apiKey: string) => new OpenAI({ baseURL: event["base_url"] as string, apiKey, maxRetries: 0 });
    const ids: string[] = [];
    for await (const { id } of sdk(localKey).models.list()) ids.push(id);
    expect(ids).toEqual(["c"]);
    await expect(sdk("another").chat.completions.create({ model: "c", messages })).rejects.toMatchObject({
      status: 401,
    });
    await sdk(localKey).chat.completions.create({ model: "c", messages });
    expect(server.received.map(({ headers }) => [headers.authorization, headers["x-security-tier"]])).toEqual([
      ["Bearer nomyo-key", "high"],
    ]);
    proxy.child.kill("SIGTERM");
    expect(await proxy.ended).toBe(0);
    expect(proxy.output.stdout.trim().split("\n")).toHaveLength(1);
    expect(proxy.output.stderr).toMatch(/^\S+Z chat_completions 401 in=0 out=\d+ ms=\d+$/m);
    expect(proxy.output.stderr).toMatch(/^\S+Z chat_completions 200 in=\d+ out=\d+ ms=\d+$/m);
    for (const secret of ["QUOKKA", localKey, "nomyo-key"]) expect(proxy.output.stderr).not.toContain(secret);
  } finally {
    proxy.child.kill("SIGKILL");
    await proxy.ended;
  }
});

test.each<[string, unknown, RegExp]>([
  ["an unknown option", { prot: 8585 }, /unknown option "prot"/],
  ["one of the command line's own", { config: "x" }, /unknown option "config"/],
  ["an inherited name", '{"__proto__": {"port": 1}}', /unknown option "__proto__"/],
  ["one twice", '{"port": 1, "port": 2}', /proxy\.json is not usable/],
  ["a text for true", { "allow-http": "yes" }, /true or false for "allow-http"/],
  ["a fraction", { port: 1.5 }, /a text or a whole number for "port"/],
  ["a list for one", { port: [1] }, /a text or a whole number for "port"/],
  ["a list in a list", { model: [["a"]] }, /a text or a whole number for "model"/],
  ["an empty text", { "base-url": "" }, /a text or a whole number for "base-url"/],
  ["a list of options", [], /one JSON object/],
  ["no JSON", "port: 8585", /proxy\.json is not usable/],
  ["a port that is none", { port: 65_536 }, /--port/],
  ["too many threads", { threads: 65 }, /--threads[^]*64/],
  ["a mode that is none", { attestation: "sometimes" }, /off, report or require/],
])("%s in the file: exit code 2, and it says which", async (_what, value, said) => {
  const { code, stdout, stderr } = await runCommand(["proxy", "--config", config(value)], {
    env: { NOMYO_API_KEY: "k" },
  });
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(said) });
});

test.each<[string, string[], Record<string, string>, RegExp]>([
  ["no file", ["--config", join(folder, "none")], {}, /cannot be read \(ENOENT: there is no such file/],
  ["a credential without systemd", ["--api-key-credential", "key"], {}, /LoadCredential/],
  ["a path for a credential", ["--api-key-credential", "../key"], { CREDENTIALS_DIRECTORY: folder }, /not a path/],
  ["two places for the key", ["--api-key-credential", "a", "--api-key-file", "b"], {}, /two places/],
  ["a certificate alone", ["--tls-cert", "a"], {}, /go together/],
  ["a policy and a mode", ["--policy", "a", "--attestation", "require"], {}, /leave --attestation out/],
  ["no local keys where they were to be", ["--local-keys-file", put("empty", "# none\n")], {}, /no API key/],
  ["another address without keys", ["--host", "0.0.0.0"], {}, /--local-keys-file|--allow-open/],
])("%s: exit code 2", async (_what, args, env, said) => {
  const { code, stderr } = await runCommand(["proxy", ...args], { env });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(said) });
});
