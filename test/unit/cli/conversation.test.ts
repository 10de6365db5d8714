/** A conversation with `chat` at a terminal, before a made-up client: what is said, what is sent, and what is not. */
import fs, { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import { APIConnectionError, APIUserAbortError } from "../../../lib/errors.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { runCommand } from "../../support/command-line.js";
import type { Terminal } from "../../support/command-line.js";

const asked = jest.fn<undefined, [string, readonly string[]]>();
/** Every buffer that came with a question: gone when the conversation is. */
const secrets: SecureBuffer[] = [];
let answer: (signal: AbortSignal) => Promise<unknown>;
const attest = jest.fn<Promise<unknown>, [{ readonly model: string; readonly signal: AbortSignal }]>();
const serverKey = jest.fn<Promise<{ fingerprint: string }>, []>();
const close = jest.fn(() => Promise.resolve());
let ready: () => Promise<void>;
jest.mock("../../../lib/client/secure-chat-completion.js", () => ({
  SecureChatCompletion: class {
    createSecure(
      request: { model: string; messages: { role: string; content: string | SecureBuffer }[] },
      { signal }: { signal: AbortSignal },
    ): Promise<unknown> {
      for (const { content } of request.messages) if (content instanceof SecureBuffer) secrets.push(content);
      asked(
        request.model,
        request.messages.map(({ role, content }) => `${role}: ${content.toString()}`),
      );
      return answer(signal);
    }
    attest = attest;
    serverKey = serverKey;
    close = close;
    ready = () => ready();
    [Symbol.asyncDispose] = () => Promise.resolve();
  },
}));

const folder = mkdtempSync(join(tmpdir(), "nomyo-conversation-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fingerprint = "ab".repeat(32);
beforeEach(() => {
  for (const mock of [asked, attest, serverKey, close]) mock.mockClear();
  secrets.splice(0);
  serverKey.mockResolvedValue({ fingerprint });
  ready = () => Promise.resolve();
  answer = () =>
    Promise.resolve({
      _metadata: {},
      content: () => SecureBuffer.from("an answer"),
      [Symbol.dispose]: () => undefined,
    });
});
const env = { NOMYO_API_KEY: "k" };
const talk = (input: (terminal: Terminal) => void, { args = [] as string[], terminal = false, more = {} } = {}) =>
  runCommand(["chat", ...args], { env: { ...env, ...more }, input, terminal });
/** Each line when the prompt is there. */
const lines =
  (...typed: readonly string[]) =>
  (terminal: Terminal): void => {
    for (const line of typed) terminal.answer("> ", `${line}\n`);
  };
const asks = () => asked.mock.calls.map(([, messages]) => messages.at(-1));

describe("the greeting", () => {
  test("tells server, model, key, pin, attestation and the way out", async () => {
    const { code, stderr } = await talk(lines("/exit"), { args: ["--attestation", "require", "--model", "m"] });
    expect(code).toBe(0);
    const row = (name: string) => new RegExp(`^ {2}${name} +(.*)$`, "m").exec(stderr)?.[1];
    expect(row("server")).toBe("https://api.nomyo.ai");
    expect(row("model")).toBe("m");
    expect(row("key")).toBe(fingerprint);
    expect(row("pin")).toMatch(/^none; .*--pin$/);
    expect(row("attestation")).toBe("require; not checked yet: /attest asks now");
    expect(stderr).toMatch(/\/help .*\/exit ends/);
    for (const line of stderr.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(asked).not.toHaveBeenCalled();
  });

  test("says that the key is pinned, and nothing with --quiet", async () => {
    const { stderr } = await talk(lines("/exit"), { args: ["--pin", fingerprint] });
    expect(stderr).toMatch(/pin +the key is the pinned one\n/);
    expect((await talk(lines("/exit"), { args: ["--quiet"] })).stderr).toBe("");
  });

  test("fails at once where the server cannot be reached, or a key is wanted and not given", async () => {
    serverKey.mockRejectedValue(new APIConnectionError("nobody is there", { sent: "no" }));
    const { code, stdout, stderr } = await talk(() => undefined);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toContain("nobody is there");
    const without = await runCommand(["chat"], { input: () => undefined });
    expect(without.stderr).toMatch(/No API key was given.*--api-key-file/);
    expect(without.code).toBe(2);
  });

  test("Ctrl-C ends the waiting for the server's key, and the program", async () => {
    serverKey.mockImplementation(() => {
      process.emit("SIGINT", "SIGINT");
      return new Promise(() => undefined);
    });
    const { code, stderr } = await talk(() => undefined);
    expect(code).toBe(130);
    expect(stderr).toContain("interrupted; nothing was sent");
    expect(close).toHaveBeenCalledWith({ abort: true });
  });
});

describe("commands", () => {
  test("/help lists all, and how to type many lines", async () => {
    const { stderr } = await talk(lines("/help", "/exit"));
    for (const name of ["/help", "/new", "/model", "/attest", "/save", "/exit", '"""', "\\"]) {
      expect(stderr).toContain(`\n  ${name} `);
    }
    expect(asked).not.toHaveBeenCalled();
  });

  test.each(["/hlep", "/", "/new1", "/etc/passwd holds what?", "/exit\\x"])("%s is not sent", async (line) => {
    const { code, stderr } = await talk(lines(line, "/exit"));
    expect(code).toBe(0);
    expect(stderr).toContain("there is no such command, and it was not sent");
    expect(asked).not.toHaveBeenCalled();
  });

  test("a blank before the slash sends it", async () => {
    await talk(lines(" /etc/passwd holds what?", "/exit"));
    expect(asks()).toEqual(["user:  /etc/passwd holds what?"]);
  });

  test("/new wipes what was said, and keeps the system message", async () => {
    const { stderr } = await talk(lines("first", "/new", "second", "/exit"), { args: ["--system", "Be brief."] });
    expect(asked.mock.calls.map(([, messages]) => messages)).toEqual([
      ["system: Be brief.", "user: first"],
      ["system: Be brief.", "user: second"],
    ]);
    expect(stderr).toContain("A new conversation");
    expect(secrets.every(({ disposed }) => disposed)).toBe(true);
  });

  test("/model asks another one from then on", async () => {
    const { stderr } = await talk(lines("/model", "first", "/model  other/model ", "second", "/exit"));
    expect(asked.mock.calls.map(([model]) => model)).toEqual(["Qwen/Qwen3-0.6B", "other/model"]);
    expect(stderr).toContain("The model is Qwen/Qwen3-0.6B.\n");
    expect(stderr).toContain("The model is other/model.\n");
    // The conversation goes on.
    expect(asked.mock.calls[1]![1]).toEqual(["user: first", "assistant: an answer", "user: second"]);
  });

  test("/attest says what the quote is worth, also where it is refused", async () => {
    attest.mockResolvedValueOnce({ verified: true, trust: "certified", profile: "ward" });
    const report = { verified: false, code: "PCR_BASELINE" };
    attest.mockRejectedValueOnce(new AttestationError("refused", "PCR_BASELINE", report as never));
    const { stderr } = await talk(lines("/attest", "/attest", "/exit"));
    expect(stderr).toMatch(/verified: A TPM whose key is certified/);
    expect(stderr).toMatch(/refused: .*\(PCR_BASELINE\)\. Do not trust/);
    expect(attest.mock.calls[0]![0]).toMatchObject({ model: "Qwen/Qwen3-0.6B" });
    expect(asked).not.toHaveBeenCalled();
  });
});

describe("/save", () => {
  test("writes a new file that only its owner may read, and says that it is plaintext", async () => {
    const file = join(folder, "talk.md");
    const { stderr } = await talk(lines("Grüße", `/save ${file}`, "/exit"), { args: ["--system", "Be brief."] });
    expect(readFileSync(file, "utf8")).toBe(
      "## system\n\nBe brief.\n\n## user\n\nGrüße\n\n## assistant\n\nan answer\n\n",
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(stderr).toMatch(/mode 0600\)\. It is plaintext/);
  });

  test("never replaces a file, nor follows a link", async () => {
    const file = join(folder, "mine.md");
    writeFileSync(file, "mine");
    symlinkSync(join(folder, "elsewhere.md"), join(folder, "link.md"));
    const { code, stderr } = await talk(lines(`/save ${file}`, `/save ${join(folder, "link.md")}`, "/exit"));
    expect(code).toBe(0);
    expect(stderr.match(/There is a file .* already, and none is replaced/g)).toHaveLength(2);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(() => statSync(join(folder, "elsewhere.md"))).toThrow("ENOENT");
  });

  describe("of which a part cannot be written", () => {
    const file = join(folder, "half.md");
    /** A disk that is full after the first bytes. */
    function fill(): void {
      const write = fs.writeSync as (fd: number, bytes: Uint8Array, at?: number) => number;
      let written = 0;
      jest.spyOn(fs, "writeSync").mockImplementation(((fd: number, bytes: Uint8Array, at?: number) => {
        if (written > 10) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
        written += bytes.length;
        return write(fd, bytes, at);
      }) as never);
    }
    afterEach(() => {
      jest.restoreAllMocks();
      rmSync(file, { force: true });
    });

    test("leaves no file", async () => {
      fill();
      const { code, stderr } = await talk(lines("secret", `/save ${file}`, "/exit"));
      expect(code).toBe(0);
      expect(stderr).toContain(`${file} cannot be written (ENOSPC: the disk is full).`);
      expect(stderr).not.toContain("plaintext");
      expect(() => statSync(file)).toThrow("ENOENT");
    });

    test("says so where it cannot be removed, and it is empty by then", async () => {
      fill();
      jest.spyOn(fs, "unlinkSync").mockImplementation(() => {
        expect(readFileSync(file, "utf8")).toBe("");
        throw Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" });
      });
      const { stderr } = await talk(lines("secret", `/save ${file}`, "/exit"));
      expect(stderr).toContain(
        `${file} was written in part (ENOSPC: the disk is full); it was emptied again, and holds`,
      );
      expect(stderr).toContain("could not be removed (EPERM: this account may not do that): delete it.");
      expect(stderr).not.toContain("plaintext");
      expect(readFileSync(file, "utf8")).toBe("");
    });

    test("says so where it cannot be emptied, and is removed", async () => {
      fill();
      jest.spyOn(fs, "ftruncateSync").mockImplementation(() => {
        throw new Error("EIO: i/o error");
      });
      const { stderr } = await talk(lines("secret", `/save ${file}`, "/exit"));
      expect(stderr).toContain("Its name is removed; what had been written, plaintext, could not be cleared");
      expect(() => statSync(file)).toThrow("ENOENT");
    });

    test("says so where it can be neither emptied nor removed", async () => {
      fill();
      for (const name of ["ftruncateSync", "unlinkSync"] as const) {
        jest.spyOn(fs, name).mockImplementation(() => {
          throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
        });
      }
      const { stderr } = await talk(lines("secret", `/save ${file}`, "/exit"));
      expect(stderr).toMatch(
        /could be neither emptied nor removed \(EIO: .*\): what is in it is plaintext; delete it\./,
      );
    });
  });

  test("says what is missing or wrong", async () => {
    const { stderr } = await talk(lines("/save", "/save /nonexistent/x", "/exit"));
    expect(stderr).toContain("/save needs the name of a file");
    expect(stderr).toContain("/nonexistent/x cannot be written (ENOENT: there is no such file or folder)");
  });
});

describe("a text of many lines", () => {
  const block = (...typed: readonly string[]) => {
    return (terminal: Terminal): void => {
      terminal.answer("> ", `${typed[0]!}\n`);
      for (const line of typed.slice(1)) terminal.answer(". ", `${line}\n`);
      terminal.answer("> ", "/exit\n");
    };
  };

  test("between two fences, whatever is in it", async () => {
    await talk(block('"""', "one", "", "/exit", "two \\", '"""'));
    expect(asks()).toEqual(["user: one\n\n/exit\ntwo \\"]);
  });

  test("with a backslash at a line's end", async () => {
    await talk(block("one\\", "/two\\", "three"));
    expect(asks()).toEqual(["user: one\n/two\nthree"]);
  });

  test("that is not ended is not sent", async () => {
    const { code, stdout } = await talk((terminal) => {
      terminal.answer("> ", '"""\n');
      terminal.answer(". ", "half a text\n");
      terminal.answer(". ", "\u0004");
    });
    expect(code).toBe(0);
    expect(asked).not.toHaveBeenCalled();
    expect(stdout.endsWith("\n")).toBe(true);
  });
});

describe("the end", () => {
  test.each([["/exit\n"], ["\n"], [" \n"]])("by %j", async (typed) => {
    expect((await talk((terminal) => terminal.answer("> ", typed))).code).toBe(0);
  });

  test("by Ctrl-D: the shell's prompt gets a line of its own", async () => {
    const { code, stdout } = await talk((terminal) => terminal.answer("> ", "\u0004"));
    expect({ code, stdout }).toEqual({ code: 0, stdout: "> \n" });
  });

  test("by Ctrl-C twice; once says so, and a line in between starts over", async () => {
    const { code, stderr, stdout } = await talk((terminal) => {
      terminal.answer("/exit ends.", "\u0003");
      terminal.answer("once more", "hello\n");
      terminal.answer("an answer", "\u0003");
      terminal.answer("once more", "\u0003");
    });
    expect(code).toBe(130);
    expect(stderr.match(/Ctrl-C once more, or \/exit, ends/g)).toHaveLength(2);
    expect(asks()).toEqual(["user: hello"]);
    expect(stdout.endsWith("\n")).toBe(true);
  });

  test("all that was said is wiped", async () => {
    await talk(lines("one", "two", "/exit"));
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.every(({ disposed }) => disposed)).toBe(true);
  });

  test("Ctrl-C ends a request, whose question is wiped and forgotten", async () => {
    const usual = answer;
    answer = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new APIUserAbortError("ended by its signal")));
        process.emit("SIGINT", "SIGINT");
        answer = usual;
      });
    const { code, stderr } = await talk((terminal) => {
      terminal.answer("> ", "first\n");
      terminal.answer("stopped", "second\n");
      terminal.answer("an answer", "/exit\n");
    });
    expect(code).toBe(0);
    expect(stderr).toContain("stopped; the question is forgotten");
    expect(asked.mock.calls[1]![1]).toEqual(["user: second"]);
  });
});

describe("what moves and what has a colour", () => {
  test("at a terminal: dots while the key is made, then a spinner, and both are taken away", async () => {
    let made: () => void = () => undefined;
    ready = () => new Promise((resolve) => (made = resolve));
    const usual = answer;
    answer = async (signal) => {
      made();
      await new Promise((resolve) => setImmediate(resolve));
      return usual(signal);
    };
    const { stderr } = await talk(lines("hello", "/exit"), { terminal: true });
    const dots = stderr.indexOf("\r\u001b[Kgetting the client's key ready .");
    const spinner = stderr.indexOf("\r\u001b[K| waiting for the answer");
    const summary = stderr.indexOf("\r\u001b[K[");
    expect(dots).toBeGreaterThan(0);
    expect(spinner).toBeGreaterThan(dots);
    expect(summary).toBeGreaterThan(spinner);
    expect(stderr).toContain("\u001b[33mattestation not looked at\u001b[0m");
  });

  test.each<[string, { terminal?: boolean; more?: Record<string, string>; args?: string[] }]>([
    ["a pipe", { terminal: false }],
    ["NO_COLOR, but for what moves", { terminal: true, more: { NO_COLOR: "1" } }],
    ["a dumb terminal", { terminal: true, more: { TERM: "dumb" } }],
  ])("%s gets none", async (_what, how) => {
    const { stderr } = await talk(lines("hello", "/nope", "/exit"), how);
    for (const colour of ["\u001b[3", "\u001b[9", "\u001b[1", "\u001b[0m"]) expect(stderr).not.toContain(colour);
    if (how.more?.["NO_COLOR"] === undefined) expect(stderr).not.toContain("\u001b");
  });

  test("FORCE_COLOR gets colours, and nothing that moves, into a pipe", async () => {
    const { stderr } = await talk(lines("hello", "/exit"), { more: { FORCE_COLOR: "1" } });
    expect(stderr).toContain("\u001b[33m");
    expect(stderr).not.toContain("\r");
  });
});
