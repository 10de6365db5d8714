/** A conversation with `chat` at a terminal, turn after turn. All that is said stays in locked memory. */
import { AttestationError } from "../attestation/attestation-error.js";
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationReport } from "../attestation/report.js";
import type { SecureChatCompletion } from "../client/secure-chat-completion.js";
import { APIUserAbortError, NomyoError } from "../errors.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { errorText } from "./error-text.js";
import { exitCode, UsageError } from "./exit-code.js";
import { harmless } from "./output.js";
import { painterFor } from "./painter.js";
import type { Painter } from "./painter.js";
import { contentOf, forget, stateColour } from "./question.js";
import type { Questions, Turn } from "./question.js";
import { saveConversation } from "./saved-conversation.js";
import { readLine, slashHelp } from "./slash-command.js";
import type { SlashCommandName } from "./slash-command.js";
import type { Streams } from "./streams.js";
import { typedText } from "./typed-text.js";

/** What the greeting tells. */
export interface Introduction {
  readonly server: string;
  readonly isPinned: boolean;
  /** The mode: off, report or require. */
  readonly attestation: string;
  readonly system: string | undefined;
  readonly quiet: boolean;
}

/** How a conversation goes on after a line. */
type Next = "on" | "end";

/** No prompt is larger than a request may be (PROTOCOL 2). */
const MAX_TEXT_BYTES = 10 * 1024 * 1024;

export class Conversation {
  readonly #client: SecureChatCompletion;
  readonly #questions: Questions;
  readonly #introduction: Introduction;
  readonly #streams: Streams;
  readonly #paint: Painter;
  #turns: readonly Turn[];
  #code: number = exitCode.ok;
  /** Ends the waiting for the server. */
  #waiting: AbortController | undefined;
  readonly #ended = new AbortController();
  /** Whether the last thing that was typed is Ctrl-C: then another one ends the conversation. */
  #wasInterrupted = false;

  constructor(client: SecureChatCompletion, questions: Questions, introduction: Introduction, streams: Streams) {
    this.#client = client;
    this.#questions = questions;
    this.#introduction = introduction;
    this.#streams = streams;
    this.#paint = painterFor(streams, streams.stderr);
    this.#turns = this.#opening();
  }

  /** Runs until the user ends it; gives the exit code. Rejects when the server cannot be spoken to at all. */
  async run(): Promise<number> {
    process.on("SIGINT", this.#onSignal);
    try {
      await this.#greet();
      while (!this.#ended.signal.aborted && (await this.#turn()) === "on");
      return this.#code;
    } finally {
      process.off("SIGINT", this.#onSignal);
      forget(this.#turns);
      // What is still asked of the server is not waited for.
      if (this.#ended.signal.aborted) await this.#client.close({ abort: true });
    }
  }

  readonly #onSignal = (): void => {
    if (this.#wasInterrupted) {
      this.#code = exitCode.interrupted;
      this.#ended.abort();
      this.#waiting?.abort();
      return;
    }
    this.#wasInterrupted = true;
    if (this.#waiting === undefined) this.#tell("\nCtrl-C once more, or /exit, ends the conversation.\n> ");
    else this.#waiting.abort();
  };

  #opening(): Turn[] {
    const { system } = this.#introduction;
    return system === undefined ? [] : [{ role: "system", content: system }];
  }

  #tell(text: string): void {
    this.#streams.stderr.writeStyled(text);
  }

  async #greet(): Promise<void> {
    const { server, isPinned, attestation, quiet } = this.#introduction;
    if (quiet) return;
    const { faint, strong, good, caution } = this.#paint;
    const fingerprint = await this.#abortable((signal) =>
      this.#questions.waitFor("asking for the server's key", () => this.#serverKey(signal), false),
    );
    if (fingerprint === undefined) return;
    const rows = [
      ["server", harmless(server, "\ufffd")],
      ["model", harmless(this.#questions.model, "\ufffd")],
      ["key", fingerprint],
      [
        "pin",
        isPinned ? good("the key is the pinned one") : caution("none; once its operator confirms the key: --pin"),
      ],
      [
        "attestation",
        `${attestation}; ${stateColour("not-checked", this.#paint)("not checked yet: /attest asks now")}`,
      ],
    ];
    this.#tell(
      `${strong("A conversation, end-to-end encrypted.")}\n` +
        rows.map(([name = "", value = ""]) => `  ${faint(name.padEnd(11))}  ${value}\n`).join("") +
        '/help lists the commands, """ begins a text of many lines, /exit ends.\n',
    );
    await this.#streams.stderr.flush();
  }

  async #serverKey(signal: AbortSignal): Promise<string> {
    const ended = new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new APIUserAbortError("ended", { code: "ABORTED" })), {
        once: true,
      });
    });
    const asking = this.#client.serverKey();
    asking.catch(() => undefined);
    return (await Promise.race([asking, ended])).fingerprint;
  }

  /** Reads what is typed and does what it asks for. */
  async #turn(): Promise<Next> {
    const typed = await typedText((prompt) => this.#line(prompt), "required", MAX_TEXT_BYTES).catch(
      (error: unknown) => {
        if (!(error instanceof UsageError)) throw error;
        this.#refuse(error.message);
        return "nothing" as const;
      },
    );
    if (typed === "nothing") return "on";
    if (typed === undefined) {
      // Ctrl-D or Ctrl-C: the shell's prompt begins a line of its own.
      this.#streams.stdout.write("\n");
      await this.#streams.stdout.flush();
      return "end";
    }
    const { text, isSeveral } = typed;
    const line = isSeveral ? ({ kind: "text" } as const) : readLine(text);
    if (line.kind === "text") {
      await this.#question(text);
      return "on";
    }
    text.dispose();
    if (line.kind === "blank") return "end";
    if (line.kind === "command") return await this.#command(line.name, line.argument);
    this.#refuse("there is no such command, and it was not sent: /help lists them; a blank before the slash sends it");
    return "on";
  }

  async #line(prompt: string): Promise<SecureBuffer | undefined> {
    const { input, stdout, stderr } = this.#streams;
    await stderr.flush();
    stdout.write(prompt);
    await stdout.flush();
    const line = await input.line("required", { echo: true, signal: this.#ended.signal });
    this.#wasInterrupted = false;
    return line;
  }

  /** An answer that fails leaves the conversation as it was before the question. */
  async #question(text: SecureBuffer): Promise<void> {
    const asked: Turn[] = [...this.#turns, { role: "user", content: text }];
    const said = { isKept: false };
    try {
      await this.#abortable(async (signal) => {
        using answer = await this.#questions.ask(asked, signal);
        await this.#questions.print(answer);
        this.#turns = [...asked, { role: "assistant", content: contentOf(answer) ?? "" }];
        said.isKept = true;
      }, "stopped; the question is forgotten");
    } finally {
      if (!said.isKept) text.dispose();
    }
  }

  /** Work that Ctrl-C ends. What it fails with is told, unless it is no failure of ours. */
  async #abortable<T>(work: (signal: AbortSignal) => Promise<T>, stopped?: string): Promise<T | undefined> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    try {
      return await work(waiting.signal);
    } catch (error) {
      if (error instanceof APIUserAbortError) {
        if (stopped === undefined) {
          // There is nothing to go back to.
          this.#code = exitCode.interrupted;
          this.#ended.abort();
          this.#refuse("interrupted; nothing was sent");
        } else this.#refuse(stopped);
        return undefined;
      }
      if (stopped === undefined || !(error instanceof NomyoError)) throw error;
      this.#refuse(errorText(error, "chat"));
      return undefined;
    } finally {
      this.#waiting = undefined;
    }
  }

  #refuse(why: string): void {
    this.#tell(`${this.#paint.bad("nomyo-native:")} ${harmless(why, "\ufffd")}\n`);
  }

  async #command(name: SlashCommandName, argument: string): Promise<Next> {
    switch (name) {
      case "exit":
        return "end";
      case "help":
        this.#tell(slashHelp());
        return "on";
      case "new":
        forget(this.#turns);
        this.#turns = this.#opening();
        this.#tell("A new conversation; what was said is wiped.\n");
        return "on";
      case "model":
        if (argument !== "") this.#questions.model = argument;
        this.#tell(`The model is ${harmless(this.#questions.model, "\ufffd")}.\n`);
        return "on";
      case "attest":
        await this.#attest();
        return "on";
      case "save":
        this.#save(argument);
        return "on";
    }
  }

  async #attest(): Promise<void> {
    await this.#abortable(async (signal) => {
      let report: AttestationReport | undefined;
      try {
        report = await this.#questions.waitFor("waiting for the quote", () =>
          this.#client.attest({ signal, model: this.#questions.model }),
        );
      } catch (error) {
        if (!(error instanceof AttestationError)) throw error;
        report = error.report;
      }
      const { state, sentence, advice } = attestationState(report);
      const told = stateColour(state, this.#paint)(`${state}:`);
      this.#tell(`${told} ${harmless([sentence, advice ?? ""].join(" ").trim(), "\ufffd")}\n`);
    }, "stopped");
  }

  #save(path: string): void {
    if (path === "") {
      this.#refuse("/save needs the name of a file that is not there yet");
      return;
    }
    try {
      saveConversation(path, this.#turns);
      this.#tell(
        `Written to ${harmless(path, "\ufffd")}, which only you may read (mode 0600). ` +
          `${this.#paint.caution("It is plaintext")}: it is no longer protected by this program.\n`,
      );
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#refuse(error.message);
    }
  }
}
