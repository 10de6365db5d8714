/** The options of `nomyo-native router`: what each of them gives the router, and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { makeCertificates } from "../../support/certificates.js";
import { runCommand } from "../../support/command-line.js";
import type { Outcome } from "../../support/command-line.js";

const startRouter = jest.fn<Promise<Router>, [RouterOptions]>();
jest.mock("../../../lib/router/index.js", () => ({ startRouter: (options: RouterOptions) => startRouter(options) }));

const folder = mkdtempSync(join(tmpdir(), "nomyo-router-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  startRouter.mockReset();
  startRouter.mockRejectedValue(new Error("no router in this test"));
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** The options that the router would have been started with. */
async function optionsOf(args: readonly string[], env: Record<string, string> = {}): Promise<RouterOptions> {
  const { code, stderr } = await runCommand(["router", ...args], { env });
  expect({ code, stderr }).toEqual({ code: 1, stderr: "nomyo-native: no router in this test\n" });
  return startRouter.mock.calls[0]![0];
}

test("without options nothing is set that has a default", async () => {
  expect(await optionsOf([])).toEqual({
    apiKeys: [],
    tierModels: {},
    secureInference: true,
    log: expect.any(Function),
  });
});

test("every option arrives where it belongs, seconds as milliseconds", async () => {
  const certificates = makeCertificates();
  const { server } = certificates;
  certificates.remove();
  const cert = file("cert.pem", server.cert);
  const key = file("key.pem", server.key);
  const chain = file("chain.pem", "CHAIN");
  const apiKeys = file("api-keys", "# clinics\nclinic-a-0123456789abcdef\nclinic-b-0123456789abcdef\n");
  const upstreamKey = file("upstream-key", "upstream-secret\r\n");
  let password: string | undefined;
  startRouter.mockImplementation((options) => {
    // The command wipes it as soon as the router has started, or has not.
    password = (options.keyPassword as SecureBuffer).toString();
    return Promise.reject(new Error("no router in this test"));
  });
  const options = await optionsOf(
    [
      ...["--host", "10.0.0.1", "--port", "8443", "--tls-cert", cert, "--tls-key", key, "--allow-http", "--allow-open"],
      ...["--api-keys-file", apiKeys, "--rate-limit", "2.5:7", "--key-file", "server.pem"],
      ...["--upstream", "http://127.0.0.1:11434", "--upstream-key-file", upstreamKey, "--upstream-timeout", "90"],
      ...["--upstream-allow-http", "--allow-model", "high=a", "--allow-model", "high=b=c", "--allow-model"],
      ...[
        "maximum=d",
        "--echo-delay",
        "15",
        "--tcti",
        "swtpm:path=/x",
        "--aik",
        "rsa2048-rsapss",
        "--pcrs",
        "sha384:7",
      ],
      ...["--aik-handle", "0x81010002", "--aik-cert-chain", chain, "--tpm-queue", "9", "--max-requests", "12"],
      ...["--max-requests-per-key", "5"],
      ...[
        "--secure-memory",
        "preferred",
        "--threads",
        "3",
        "--no-secure-inference",
        "--stop-timeout",
        "3",
        "--access-log",
      ],
    ],
    { NOMYO_ROUTER_KEY_PASSWORD: "correct horse" },
  );
  expect(options).toEqual({
    host: "10.0.0.1",
    port: 8443,
    tls: { cert: Buffer.from(server.cert), key: Buffer.from(server.key) },
    allowHttp: true,
    allowOpen: true,
    apiKeys: ["clinic-a-0123456789abcdef", "clinic-b-0123456789abcdef"],
    rateLimit: { perSecond: 2.5, burst: 7 },
    keyFile: "server.pem",
    keyPassword: expect.anything(),
    upstream: { url: "http://127.0.0.1:11434", apiKey: "upstream-secret", timeoutMs: 90_000, allowHttp: true },
    tierModels: { high: ["a", "b=c"], maximum: ["d"] },
    echoDelayMs: 15,
    tpm: {
      tcti: "swtpm:path=/x",
      aik: "rsa2048-rsapss",
      pcrs: "sha384:7",
      persistentHandle: 0x81010002,
      certificateChain: "CHAIN",
      queueLimit: 9,
    },
    maxRequests: 12,
    maxRequestsPerKey: 5,
    secureMemory: "preferred",
    threads: 3,
    secureInference: false,
    stopTimeoutMs: 3000,
    accessLog: expect.any(Function),
    log: expect.any(Function),
  });
  expect(password).toBe("correct horse");
  expect((options.keyPassword as SecureBuffer).disposed).toBe(true);
});

test("secrets from the environment; a TPM or an upstream by its address alone", async () => {
  const options = await optionsOf(["--upstream", "http://127.0.0.1:1", "--tcti", "device:/dev/tpmrm0"], {
    NOMYO_ROUTER_API_KEYS: "clinic-a-0123456789abcdef,clinic-b-0123456789abcdef",
    NOMYO_ROUTER_UPSTREAM_KEY: "upstream-secret",
  });
  expect(options).toMatchObject({ apiKeys: ["clinic-a-0123456789abcdef", "clinic-b-0123456789abcdef"] });
  expect(options.upstream).toEqual({ url: "http://127.0.0.1:1", apiKey: "upstream-secret" });
  expect(options.tpm).toEqual({ tcti: "device:/dev/tpmrm0" });
});

test.each([
  ["3", { perSecond: 3, burst: 6 }],
  ["0.2", { perSecond: 0.2, burst: 1 }],
  ["0.2:4", { perSecond: 0.2, burst: 4 }],
])("--rate-limit %s", async (text, rateLimit) => {
  expect((await optionsOf(["--rate-limit", text])).rateLimit).toEqual(rateLimit);
});

describe("is refused with exit code 2, before anything starts:", () => {
  const needsTpm = /needs --tcti/;
  test.each<[string[], RegExp]>([
    [["--nonsense"], /Unknown option '--nonsense'/],
    [["serve"], /argument too many/],
    [["--port", "http"], /--port takes a whole number/],
    [["--port", "-1"], /--port/],
    [["--tls-cert", __filename], /--tls-cert and --tls-key go together/],
    [["--tls-key", __filename], /--tls-cert and --tls-key go together/],
    [
      ["--tls-cert", "/nonexistent", "--tls-key", __filename],
      /\/nonexistent cannot be read \(ENOENT: there is no such file/,
    ],
    [["--rate-limit", "fast"], /--rate-limit takes N or N:BURST/],
    [["--rate-limit", "1:"], /--rate-limit takes N or N:BURST/],
    [["--allow-model", "big"], /--allow-model takes TIER=MODEL/],
    [["--allow-model", "ultra=big"], /--allow-model takes TIER=MODEL/],
    [["--secure-memory", "maybe"], /--secure-memory is required, preferred or off/],
    [["--upstream-timeout", "1.5"], /--upstream-timeout takes a whole number/],
    [["--stop-timeout", "soon"], /--stop-timeout takes a whole number/],
    [["--aik", "ecc-p256"], needsTpm],
    [["--pcrs", "sha256:7"], needsTpm],
    [["--aik-handle", "0x81010002"], needsTpm],
    [["--aik-cert-chain", __filename], needsTpm],
    [["--tpm-queue", "1"], needsTpm],
    [["--tcti", "device:x", "--aik", "dsa"], /--aik is ecc-p256/],
    [["--tcti", "device:x", "--aik-handle", "81010002"], /--aik-handle takes a handle/],
    [["--tcti", "device:x", "--aik-cert-chain", "/nonexistent"], /cannot be read/],
    [["--tcti", "device:x", "--tpm-queue", "many"], /--tpm-queue takes a whole number/],
    [["--key-password-file", "/nonexistent"], /\/nonexistent cannot be read \(ENOENT: there is no such file/],
    [["--api-keys-file", folder], /is not a regular file/],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await runCommand(["router", ...args]);
    expect(stderr).toMatch(message);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(startRouter).not.toHaveBeenCalled();
  });
});

test("a list of API keys without one is refused: a mistake must not open the router to everyone", async () => {
  const args = ["router", "--api-keys-file", file("no-keys", "# none yet\n")];
  const { code, stderr } = await runCommand(args);
  expect(stderr).toMatch(/There is no API key/);
  expect(code).toBe(2);
  expect(startRouter).not.toHaveBeenCalled();
});

test("--help tells every option, and starts nothing", async () => {
  const { code, stdout } = await runCommand(["router", "--help"]);
  expect(code).toBe(0);
  for (const option of ["--tls-cert", "--api-keys-file", "--upstream-timeout", "--aik-cert-chain", "--stop-timeout"])
    expect(stdout).toContain(option);
  expect(startRouter).not.toHaveBeenCalled();
});

describe("from start to stop", () => {
  const publicKey = { pem: "", bits: 4096, spkiSha256: "ab".repeat(32) };
  let finish: () => void;
  let close: jest.Mock;
  const before = { SIGTERM: process.listeners("SIGTERM"), SIGINT: process.listeners("SIGINT") };
  beforeEach(() => {
    const closed = new Promise<void>((resolve) => (finish = resolve));
    close = jest.fn(() => closed);
    startRouter.mockResolvedValue({
      url: "http://127.0.0.1:4711",
      port: 4711,
      publicKey,
      close,
      [Symbol.asyncDispose]: close,
    });
  });
  afterEach(() => {
    // The command's process would end here and take its listeners along.
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      for (const listener of process.listeners(signal))
        if (!before[signal].includes(listener)) process.removeListener(signal, listener);
  });

  /** Runs the command; `act` comes when it listens for signals. */
  async function run(args: readonly string[], env: Record<string, string>, act: () => void): Promise<Outcome> {
    const listening = process.listenerCount("SIGTERM");
    const ended = runCommand(["router", ...args], { env });
    while (process.listenerCount("SIGTERM") === listening) await new Promise(setImmediate);
    act();
    return await ended;
  }

  test("one signal: it waits for the router, and ends with 0", async () => {
    const order: string[] = [];
    const outcome = run(["--json"], {}, () => {
      process.emit("SIGTERM", "SIGTERM");
      setTimeout(() => {
        order.push("router closed");
        finish();
      }, 50);
    });
    const { code, stdout, stderr } = await outcome.finally(() => order.push("command ended"));
    expect({ code, order }).toEqual({ code: 0, order: ["router closed", "command ended"] });
    expect(close).toHaveBeenCalledTimes(1);
    expect(JSON.parse(stdout)).toEqual({
      event: "listening",
      url: "http://127.0.0.1:4711",
      port: 4711,
      pid: process.pid,
      key_sha256: publicKey.spkiSha256,
    });
    expect(stderr).toContain(`fingerprint ${publicKey.spkiSha256}`);
    for (const said of ["the echo model answers", "there are no API keys", "there is no TPM", "stopping: "])
      expect(stderr).toContain(said);
    expect(stderr).not.toContain("FORENSIC");
  });

  test("a second signal: it ends at once with 130, though a request is under way", async () => {
    const env = { NOMYO_ROUTER_API_KEYS: "clinic-a-0123456789abcdef" };
    const args = ["--upstream", "http://127.0.0.1:1", "--tcti", "device:x"];
    const { code, stdout, stderr } = await run(args, env, () => {
      process.emit("SIGINT", "SIGINT");
      process.emit("SIGTERM", "SIGTERM");
    });
    expect(code).toBe(130);
    expect(stdout).toBe("nomyo-native router listening on http://127.0.0.1:4711\n");
    expect(close).toHaveBeenCalledTimes(1);
    expect(stderr).not.toMatch(/echo model|no API keys|no TPM/);
  });

  test("the access log and messages go to stderr, nothing but the first line to stdout", async () => {
    for (const asJson of [true, false]) {
      const args = ["--access-log", ...(asJson ? ["--json"] : [])];
      const { stdout, stderr } = await run(args, {}, () => {
        const options = startRouter.mock.calls.at(-1)![0];
        options.accessLog?.({ route: "healthz", status: 200, bytesIn: 1, bytesOut: 23, milliseconds: 4 });
        options.log?.("something happened");
        process.emit("SIGTERM", "SIGTERM");
        finish();
      });
      expect(stdout.trim().split("\n")).toHaveLength(1);
      expect(stderr).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z healthz 200 in=1 out=23 ms=4$/m);
      expect(stderr).toContain("nomyo-native router: something happened\n");
    }
  });
});
