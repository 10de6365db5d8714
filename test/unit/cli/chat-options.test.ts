/**
 * `nomyo-native chat` before a made-up client: what its options ask for, and what it does with answers and failures.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runChat } from "../../../lib/cli/chat.js";
import type { ClientOptions } from "../../../lib/client/options.js";
import { APIUserAbortError, ServiceUnavailableError } from "../../../lib/errors.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { runCommand, testStreams } from "../../support/command-line.js";

interface Asked {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}
/** `secrets`: the contents that came as buffers, which are gone when the conversation is. */
type Ask = (request: Asked, options: { signal: AbortSignal }, secrets: readonly SecureBuffer[]) => Promise<unknown>;
const made = jest.fn<undefined, [ClientOptions]>();
const create = jest.fn<ReturnType<Ask>, Parameters<Ask>>();
const attest = jest.fn<Promise<unknown>, [{ readonly model: string }]>();
const serverKey = jest.fn<Promise<{ fingerprint: string }>, []>();
const ready = jest.fn<Promise<void>, []>();
const close = jest.fn<Promise<void>, [{ abort: boolean }]>();
jest.mock("../../../lib/client/secure-chat-completion.js", () => ({
  SecureChatCompletion: class {
    constructor(options: ClientOptions) {
      made(options);
    }
    createSecure(
      request: { messages: { role: string; content: string | SecureBuffer }[] },
      options: { signal: AbortSignal },
    ): Promise<unknown> {
      const messages = request.messages.map(({ role, content }) => ({ role, content: content.toString() }));
      const secrets = request.messages.map(({ content }) => content).filter((content) => typeof content !== "string");
      return create({ ...request, messages }, options, secrets);
    }
    attest = attest;
    serverKey = serverKey;
    ready = ready;
    close = close;
    [Symbol.asyncDispose] = () => Promise.resolve();
  },
}));

/** What of a `SecureResponse` the command uses. */
const secureAnswer = (choices: readonly { readonly message: object }[], metadata: object) => ({
  _metadata: metadata,
  json: () => ({ choices, _metadata: metadata }),
  content: () => {
    const { content } = (choices[0]?.message ?? {}) as { content?: unknown };
    if (typeof content === "string") return SecureBuffer.from(content);
    throw Object.assign(new Error("There is no string."), { code: "NOT_FOUND" });
  },
  [Symbol.dispose]: () => undefined,
});
const answerOf = (message: object, metadata: object = {}) => secureAnswer([{ message }], metadata);
const folder = mkdtempSync(join(tmpdir(), "nomyo-chat-options-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  made.mockReset();
  create.mockReset();
  create.mockResolvedValue(answerOf({ content: "an answer" }));
  attest.mockReset();
  serverKey.mockReset();
  serverKey.mockResolvedValue({ fingerprint: "ab".repeat(32) });
  ready.mockReset();
  ready.mockResolvedValue();
  close.mockReset();
  close.mockResolvedValue();
});

describe("options", () => {
  test("without any, the client's own defaults hold", async () => {
    expect((await runCommand(["chat", "hi"])).code).toBe(0);
    expect(made.mock.calls).toEqual([[{}]]);
    expect(create.mock.calls[0]![0]).toEqual({
      model: "Qwen/Qwen3-0.6B",
      messages: [{ role: "user", content: "hi" }],
    });
  });

  test("each arrives at the client or in the request, seconds as milliseconds", async () => {
    const args = [
      ...["--model", "m", "--system", "Be brief.", "--tier", "maximum", "--max-tokens", "7", "--timeout", "90"],
      ...["--base-url", "https://ward.example", "--allow-http", "--pin", "sha256:a", "--pin", "sha256:b"],
      ...["--attestation", "require", "--key-dir", "keys", "--retries", "0", "--secure-memory", "off"],
    ];
    const env = { NOMYO_API_KEY: "the-api-key" };
    expect((await runCommand(["chat", ...args, "hi"], { env })).code).toBe(0);
    expect(made.mock.calls).toEqual([
      [
        {
          apiKey: "the-api-key",
          baseUrl: "https://ward.example",
          allowHttp: true,
          keyDir: "keys",
          keyRotationInterval: 0,
          serverKey: { fingerprints: ["sha256:a", "sha256:b"] },
          timeout: 90_000,
          maxRetries: 0,
          secureMemory: "off",
          attestation: "require",
        },
      ],
    ]);
    expect(create.mock.calls[0]![0]).toEqual({
      model: "m",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "hi" },
      ],
      max_tokens: 7,
      security_tier: "maximum",
    });
  });

  test.each<[string, string[], RegExp]>([
    ["a policy that is not JSON", ["--policy", __filename], /--policy|policy/],
    ["a time that is no number", ["--timeout", "soon"], /--timeout takes a whole number/],
    ["a length that is no number", ["--max-tokens", "few"], /--max-tokens takes a whole number/],
    ["an API key file that is not there", ["--api-key-file", "/nonexistent"], /ENOENT/],
  ])("%s: exit code 2, and nothing is asked", async (_what, args, message) => {
    const { code, stderr } = await runCommand(["chat", ...args, "hi"]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(create).not.toHaveBeenCalled();
  });
});

describe("the answer", () => {
  test.each<[string, object, RegExp]>([
    ["nothing is known", {}, /tier not told, attestation not looked at\]\n$/],
    [
      "a quote verified",
      { security_tier: "high", attestation_report: { verified: true, trust: "certified" } },
      /tier high, TPM quote verified \(certified\)\]\n$/,
    ],
    [
      "a quote did not",
      { attestation_report: { verified: false, code: "PCR_BASELINE" } },
      /TPM quote NOT verified \(PCR_BASELINE\)\]\n$/,
    ],
    ["no check was reached", { attestation_report: { verified: false } }, /TPM quote NOT verified \(unknown\)\]\n$/],
  ])("stderr says so when %s", async (_what, metadata, line) => {
    create.mockResolvedValue(answerOf({ content: "an answer" }, metadata));
    const { stdout, stderr } = await runCommand(["chat", "hi"]);
    expect(stdout).toBe("an answer\n");
    expect(stderr).toMatch(line);
    expect((await runCommand(["chat", "--quiet", "hi"])).stderr).toBe("");
  });

  test("without content shows the calls of tools, and else is an empty line", async () => {
    const calls = [{ id: "1" }, { id: "2" }];
    create.mockResolvedValueOnce(answerOf({ content: null, tool_calls: calls }));
    expect((await runCommand(["chat", "hi"])).stdout).toBe('{"id":"1"}\n{"id":"2"}\n');
    create.mockResolvedValueOnce(answerOf({ content: null }));
    expect((await runCommand(["chat", "hi"])).stdout).toBe("\n");
    create.mockResolvedValueOnce(secureAnswer([], {}));
    expect((await runCommand(["chat", "hi"])).stdout).toBe("\n");
  });

  test.each([
    [true, "a\ufffd[2J\tb\ufffd\n"],
    [false, "a\u001b[2J\tb\u009b\n"],
  ])("cannot steer a terminal (a terminal: %s)", async (isTTY, expected) => {
    create.mockResolvedValue(answerOf({ content: "a\u001b[2J\tb\u009b" }));
    const streams = testStreams({ input: "", terminal: isTTY });
    expect(await runChat(["hi"], streams)).toBe(0);
    expect(streams.text.stdout).toBe(expected);
  });
});

describe("a prompt on stdin", () => {
  test.each([
    ["text", "text"],
    ["text\n", "text"],
    ["text\r\n", "text"],
    ["text\n\n", "text\n"],
    ["text\r", "text\r"],
  ])("%j is sent as %j", async (input, expected) => {
    let prompt: SecureBuffer | undefined;
    let content: string | undefined;
    create.mockImplementation((_request, _options, secrets) => {
      prompt = secrets[0]!;
      content = prompt.toString();
      return Promise.resolve(answerOf({ content: "an answer" }));
    });
    expect((await runCommand(["chat"], { input })).code).toBe(0);
    expect(content).toBe(expected);
    expect(prompt?.disposed).toBe(true);
  });

  test.each(["", "\n", "\r\n"])("%j is no prompt", async (input) => {
    const { code, stderr } = await runCommand(["chat"], { input });
    expect(stderr).toMatch(/The prompt is empty/);
    expect(code).toBe(2);
  });
});

test("Ctrl-C ends the request, with exit code 130", async () => {
  create.mockImplementation(
    (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new APIUserAbortError("Ended by you.")));
        process.emit("SIGINT", "SIGINT");
      }),
  );
  const listeners = process.listenerCount("SIGINT");
  const { code, stdout, stderr } = await runCommand(["chat", "hi"]);
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  expect(stderr).toBe("nomyo-native: interrupted; nothing was sent\n");
  expect(process.listenerCount("SIGINT")).toBe(listeners);
});

const env = { NOMYO_API_KEY: "k" };

describe("a conversation", () => {
  test("goes on after a failure as if the question had not been asked", async () => {
    create.mockRejectedValueOnce(new ServiceUnavailableError("Try again later."));
    const { code, stderr } = await runCommand(["chat"], {
      env,
      input: (terminal) => {
        terminal.answer("> ", "first\n");
        terminal.answer("Try again later.", "second\n");
        terminal.answer("an answer", "third\n");
        terminal.answer("an answer", "\n");
      },
    });
    expect(code).toBe(0);
    expect(stderr).toContain("nomyo-native: Try again later.\n");
    expect(create.mock.calls.map(([{ messages }]) => messages)).toEqual([
      [{ role: "user", content: "first" }],
      [{ role: "user", content: "second" }],
      [
        { role: "user", content: "second" },
        { role: "assistant", content: "an answer" },
        { role: "user", content: "third" },
      ],
    ]);
  });

  test("ends at a failure that is not the package's", async () => {
    create.mockRejectedValueOnce(new TypeError("a mistake in the program"));
    const { code, stderr } = await runCommand(["chat"], {
      env,
      input: (terminal) => terminal.answer("> ", "first\n"),
    });
    expect(stderr).toContain("a mistake in the program");
    expect(code).toBe(1);
  });

  test("Ctrl-C ends the answer that is waited for, and then the conversation with exit code 130", async () => {
    create.mockImplementation(
      (_request, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new APIUserAbortError("aborted by its signal")));
          process.emit("SIGINT", "SIGINT");
        }),
    );
    const { code, stderr } = await runCommand(["chat"], {
      env,
      input: (terminal) => {
        terminal.answer("> ", "first\n");
        terminal.answer("stopped", "\u0003");
      },
    });
    expect(stderr).toContain("nomyo-native: stopped");
    expect(stderr).not.toContain("its signal");
    expect(create).toHaveBeenCalledTimes(1);
    expect(code).toBe(130);
  });
});

test("a policy file is the client's attestation option", async () => {
  const file = join(folder, "policy.json");
  writeFileSync(file, JSON.stringify({ version: 1, mode: "require" }));
  expect((await runCommand(["chat", "--policy", file, "hi"])).code).toBe(0);
  expect(made.mock.calls[0]![0].attestation).toMatchObject({ mode: "require" });
});
