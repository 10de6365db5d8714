/**
 * A conversation with the built `chat` at a real pseudo-terminal: what moves, what has colours, what Ctrl-C does, and how
 * it ends.
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage } from "../../support/built-package.js";
import { startModel } from "../../support/model-server.js";
import type { TestServer } from "../../support/model-server.js";
import { routerKeyFile } from "../../support/router-key.js";

jest.setTimeout(600_000);

const command = join(__dirname, "../../../dist/cli/main.js");
const onTerminal = join(__dirname, "../../support/on-terminal.py");
const keyFile = routerKeyFile();
const keyDir = mkdtempSync(join(tmpdir(), "nomyo-terminal-"));
let router: Router;
let model: TestServer;
/** What the model was asked, and how it answers. */
let asked: string[] = [];
let answer: () => Promise<string>;

beforeAll(async () => {
  buildPackage();
  cpSync(join(__dirname, "../../vectors/keys/client_private.pem"), join(keyDir, "private_key.pem"));
  chmodSync(join(keyDir, "private_key.pem"), 0o600);
  model = await startModel((request) => {
    asked.push((JSON.parse(request) as { messages: { content: string }[] }).messages.at(-1)!.content);
    return answer();
  });
  router = await startRouter({ keyFile: keyFile.path, upstream: { url: model.url } });
});
afterAll(async () => {
  await router.close();
  await model.stop();
  keyFile.remove();
  rmSync(keyDir, { recursive: true });
});

/** The command at a terminal, as a person has it. */
class AtTerminal {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly ended: Promise<readonly unknown[]>;
  /** All that the terminal has shown; escape as its symbol. */
  shown = "";
  #seen = 0;
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(args: readonly string[], env: Record<string, string>) {
    const all = [onTerminal, process.execPath, command, "chat", "--base-url", router.url, "--allow-http", ...args];
    const { PATH = "" } = process.env;
    this.#child = spawn("/usr/bin/python3", all, { env: { PATH, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        this.shown += bytes.toString().replaceAll("\u001b", "␛");
        this.#wake();
      });
    }
    this.ended = once(this.#child, "close").then((how) => {
      this.#isOver = true;
      this.#wake();
      return how as unknown[];
    });
  }

  /** Until the terminal shows this after what was waited for before. */
  async until(pattern: RegExp): Promise<void> {
    for (;;) {
      const found = pattern.exec(this.shown.slice(this.#seen));
      if (found !== null) {
        this.#seen += found.index + found[0].length;
        return;
      }
      if (this.#isOver) throw new Error(`${String(pattern)} was not shown: ${JSON.stringify(this.shown)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}

let terminal: AtTerminal | undefined;
afterEach(() => terminal?.end());
beforeEach(() => {
  asked = [];
  answer = () => Promise.resolve("an answer");
});
const chat = (args: readonly string[], env: Record<string, string>): AtTerminal =>
  (terminal = new AtTerminal(args, env));

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

test("dots while the key is made, a spinner, many lines, Ctrl-C for a request and twice for the program", async () => {
  let isAsked: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (isAsked = resolve));
  answer = () => {
    isAsked();
    return new Promise(() => undefined);
  };
  // No key folder: one is made.
  const at = chat([], { TERM: "xterm" });
  await at.until(/␛\[1mA conversation, end-to-end encrypted\.␛\[0m\r\n[^]*\r\n> $/);
  for (const line of ['"""', "one", "two"]) {
    at.type(`${line}\n`);
    await at.until(/\r\n\. $/);
  }
  at.type('"""\n');
  await at.until(/\r␛\[Kgetting the client's key ready \./);
  await waiting;
  expect(asked).toEqual(["one\ntwo"]);
  // It moves.
  const frames = ["\\|", "/", "-", "\\\\"];
  for (const frame of frames) await at.until(new RegExp(`\\r␛\\[K${frame} waiting for the answer`));
  at.type(CTRL_C);
  // The line is taken away first.
  await at.until(/\r␛\[K␛\[31mnomyo-native:␛\[0m stopped; the question is forgotten\r\n> $/);
  answer = () => Promise.resolve("an answer");
  at.type("again\n");
  await at.until(/\r␛\[K\[\d+ ms, [^\r]*␛\[33m[^\r]*␛\[0m\]\r\nan answer\r\n> $/);
  expect(asked).toEqual(["one\ntwo", "again"]);
  at.type(CTRL_C);
  await at.until(/\r\nCtrl-C once more, or \/exit, ends the conversation\.\r\n> $/);
  at.type(CTRL_C);
  expect(await at.ended).toEqual([130, null]);
  expect(at.shown.endsWith("\r\n")).toBe(true);
});

test.each<[string, Record<string, string>, { colours: boolean; moves: boolean }]>([
  ["an ordinary terminal", { TERM: "xterm" }, { colours: true, moves: true }],
  ["NO_COLOR", { TERM: "xterm", NO_COLOR: "1" }, { colours: false, moves: true }],
  ["a dumb terminal", { TERM: "dumb" }, { colours: false, moves: false }],
])(
  "%s: what has colours and what moves; after Ctrl-D the shell begins a line",
  async (_what, env, { colours, moves }) => {
    const at = chat(["--key-dir", keyDir], env);
    await at.until(/\r\n> $/);
    at.type("hello\n");
    await at.until(/an answer\r\n> $/);
    at.type(CTRL_D);
    expect(await at.ended).toEqual([0, null]);
    expect(at.shown.endsWith("> \r\n")).toBe(true);
    expect(/␛\[\d+m/.test(at.shown)).toBe(colours);
    expect(at.shown.includes("\r␛[K")).toBe(moves);
    // Nothing else that steers it.
    expect(at.shown.replace(/␛\[(?:\d+m|K)/g, "")).not.toContain("␛");
  },
);
