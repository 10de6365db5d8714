/** One question of `chat`: asked, waited for, and its answer printed. */
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationStateName } from "../attestation/attestation-state.js";
import { securityTiers } from "../chat/security-tier.js";
import type { ChatMessage } from "../chat/chat-types.js";
import type { SecureChatCompletion } from "../client/secure-chat-completion.js";
import type { SecureResponse } from "../client/secure-response.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { oneWord, wholeNumber } from "./arguments.js";
import { UsageError } from "./exit-code.js";
import { harmless } from "./output.js";
import { painterFor } from "./painter.js";
import type { Painter } from "./painter.js";
import { Progress } from "./progress.js";
import { writeSecret } from "./secret-output.js";
import type { Streams } from "./streams.js";

/** What `chat` asks when it is not told whom. */
export const DEFAULT_MODEL = "Qwen/Qwen3-0.6B";

/** What is said of every question on the command line. */
export interface QuestionFlags {
  readonly model?: string;
  readonly tier?: string;
  readonly "max-tokens"?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface Turn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | SecureBuffer;
}

export class Questions {
  readonly #client: SecureChatCompletion;
  readonly #flags: QuestionFlags;
  readonly #streams: Streams;
  readonly #paint: Painter;
  #hasKey = false;
  model: string;

  constructor(client: SecureChatCompletion, flags: QuestionFlags, streams: Streams) {
    this.#client = client;
    this.#flags = flags;
    this.#streams = streams;
    this.#paint = painterFor(streams, streams.stderr);
    this.model = flags.model ?? DEFAULT_MODEL;
  }

  /** Asks, with something that moves at a terminal meanwhile; then a line about time, tier and attestation. */
  async ask(turns: readonly Turn[], signal: AbortSignal): Promise<SecureResponse> {
    const maxTokens = wholeNumber("max-tokens", this.#flags["max-tokens"], ", 1 or more");
    if (maxTokens === 0) throw new UsageError("--max-tokens takes a whole number, 1 or more, and not 0.");
    const tier = oneWord("tier", this.#flags.tier, securityTiers);
    const start = performance.now();
    const answer = await this.waitFor("waiting for the answer", () =>
      this.#client.createSecure(
        {
          model: this.model,
          messages: [...turns] as ChatMessage[],
          ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
          ...(tier === undefined ? {} : { security_tier: tier }),
        },
        { signal },
      ),
    );
    if (this.#flags.quiet !== true) {
      this.#streams.stderr.writeStyled(`${summary(answer, performance.now() - start, this.#paint)}\n`);
    }
    return answer;
  }

  /** Waits for work of the client's: dots while its key is being made, where that is needed, then a spinner. */
  async waitFor<T>(what: string, work: () => PromiseLike<T>, needsKey = true): Promise<T> {
    const { stderr, env } = this.#streams;
    const silent = this.#flags.quiet === true || env["TERM"] === "dumb";
    const progress = new Progress(silent ? undefined : stderr);
    if (this.#hasKey || !needsKey) {
      progress.show("spinner", what);
    } else {
      progress.show("dots", "getting the client's key ready");
      this.#client.ready().then(
        () => {
          this.#hasKey = true;
          progress.show("spinner", what);
        },
        // The work itself says why.
        () => undefined,
      );
    }
    try {
      return await work();
    } finally {
      progress.end();
    }
  }

  /**
   * The answer goes from the pool to the descriptor. As JSON, and where there are only tool calls, it becomes a string.
   */
  async print(answer: SecureResponse): Promise<void> {
    const { stdout, stderr } = this.#streams;
    await stderr.flush();
    if (this.#flags.json === true) {
      stdout.writeJson(answer.json());
      await stdout.flush();
      return;
    }
    using content = contentOf(answer);
    if (content !== undefined) {
      await writeSecret(stdout, content);
      return;
    }
    const calls = answer.json().choices[0]?.message.tool_calls ?? [];
    stdout.write(`${calls.map((call) => JSON.stringify(call)).join("\n")}\n`);
    await stdout.flush();
  }
}

/** The message's text in the pool; `undefined` when there is none. */
export function contentOf(answer: SecureResponse): SecureBuffer | undefined {
  try {
    return answer.content();
  } catch (error) {
    if ((error as { code?: unknown }).code === "NOT_FOUND") return undefined;
    throw error;
  }
}

export function forget(turns: readonly Turn[]): void {
  for (const { content } of turns) if (content instanceof SecureBuffer) content.dispose();
}

/** In which colour a state is told. */
export function stateColour(state: AttestationStateName, paint: Painter): (text: string) => string {
  return state === "verified" ? paint.good : state === "refused" ? paint.bad : paint.caution;
}

function summary(answer: SecureResponse, milliseconds: number, paint: Painter): string {
  const { security_tier: tier, attestation_report: report } = answer._metadata;
  const attestation =
    report === undefined
      ? "attestation not looked at"
      : report.verified
        ? `TPM quote verified (${report.trust})`
        : report.code === "ATTESTATION_MISSING"
          ? "NO TPM quote came (ATTESTATION_MISSING)"
          : `TPM quote NOT verified (${report.code ?? "unknown"})`;
  const coloured = stateColour(attestationState(report).state, paint)(harmless(attestation, "\ufffd"));
  return `[${Math.round(milliseconds)} ms, tier ${harmless(tier ?? "not told", "\ufffd")}, ${coloured}]`;
}
