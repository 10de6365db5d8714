/** `nomyo-native chat`: a prompt from an argument, from stdin, or several in turn at a terminal. */
import { SecureChatCompletion } from "../client/secure-chat-completion.js";
import { APIUserAbortError, AuthenticationError, NomyoError } from "../errors.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { SecureResponse } from "../client/secure-response.js";
import type { ChatMessage } from "../chat/chat-types.js";
import { isSecurityTier } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { parse, wholeNumber } from "./arguments.js";
import { clientOptions, readKeyPassword } from "./client-flags.js";
import { errorText } from "./error-text.js";
import { exitCode, UsageError } from "./exit-code.js";
import { readSecretText } from "./secret.js";
import { withoutLineEnd } from "./secret-input.js";
import { writeSecret } from "./secret-output.js";
import type { Streams } from "./streams.js";

export const CHAT_HELP = `Usage: nomyo-native chat [options] [PROMPT]

Sends the prompt, end-to-end encrypted, and prints the answer. Without PROMPT it is read from stdin; at a terminal you
get a conversation: an empty line or Ctrl-D ends it, /new starts over.

  nomyo-native chat "What does a TPM quote prove?"
  nomyo-native chat --tier maximum --attestation require --json < prompt.txt

  PROMPT is visible in the list of processes of this machine: give confidential prompts on stdin.

  --model NAME              Qwen/Qwen3-0.6B
  --system TEXT             a system message before the prompt
  --tier TIER               standard, high or maximum
  --max-tokens NUMBER
  --json                    the whole answer as one line of JSON, with its _metadata
  --base-url URL            https://api.nomyo.ai
  --allow-http              plain HTTP, for a router on this machine
  --pin FINGERPRINT         the server's key must be this one (sha256:<64 hex digits>); repeat it for several
  --attestation MODE        off, report (verify and tell) or require (no answer unless the quote verifies)
  --policy FILE             an attestation policy (see: nomyo-native attest --help)
  --api-key-file FILE       mode 0600; or NOMYO_API_KEY
  --key-dir FOLDER          your RSA key pair (see: nomyo-native keys); without it a new one is made for each run
  --key-password-file FILE  its password; or NOMYO_KEY_PASSWORD
  --timeout SECONDS         600
  --retries NUMBER          2
  --secure-memory POLICY    required, preferred or off: what to do when memory cannot be locked
  --quiet                   nothing on stderr about attestation and time
  -h, --help

Exit codes: 0 answered, 1 failed, 2 wrong arguments, 3 refused for security, 4 the server refused or failed,
5 no connection or out of time, 130 interrupted.
`;

const options = {
  model: { type: "string" },
  system: { type: "string" },
  tier: { type: "string" },
  "max-tokens": { type: "string" },
  json: { type: "boolean" },
  "base-url": { type: "string" },
  "allow-http": { type: "boolean" },
  pin: { type: "string", multiple: true },
  attestation: { type: "string" },
  policy: { type: "string" },
  "api-key-file": { type: "string" },
  "key-dir": { type: "string" },
  "key-password-file": { type: "string" },
  timeout: { type: "string" },
  retries: { type: "string" },
  "secure-memory": { type: "string" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parse<{ args: string[]; options: typeof options; allowPositionals: true }>>["values"];

/** No prompt is larger than a request may be (PROTOCOL 2). */
const MAX_PROMPT_BYTES = 10 * 1024 * 1024;

export async function runChat(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parse({ args: [...args], options, allowPositionals: true });
  if (values.help === true) {
    streams.stdout.write(CHAT_HELP);
    return exitCode.ok;
  }
  if (positionals.length > 1) throw new UsageError("There is an argument too many: put the prompt in quotation marks.");
  using keyPassword = readKeyPassword(values, streams);
  const apiKey = readSecretText(
    { option: "--api-key-file", file: values["api-key-file"], variable: "NOMYO_API_KEY" },
    streams.env,
  );
  const settings = await clientOptions(values, apiKey, keyPassword);
  await using client = new SecureChatCompletion(settings);
  const chat = new Chat(client, values, streams);
  const [prompt] = positionals;
  try {
    if (prompt !== undefined) return await chat.once(prompt);
    if (streams.input.isTTY) return await chat.conversation();
    using fromStdin = await readPrompt(streams);
    return await chat.once(fromStdin);
  } catch (error) {
    if (error instanceof AuthenticationError && settings.apiKey === undefined) {
      error.message = `No API key was given, and the server wants one: --api-key-file FILE, or NOMYO_API_KEY. (${error.message})`;
    }
    throw error;
  }
}

interface Turn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | SecureBuffer;
}

class Chat {
  readonly #client: SecureChatCompletion;
  readonly #values: Values;
  readonly #streams: Streams;

  constructor(client: SecureChatCompletion, values: Values, streams: Streams) {
    this.#client = client;
    this.#values = values;
    this.#streams = streams;
  }

  async once(prompt: string | SecureBuffer): Promise<number> {
    const abort = new AbortController();
    const onSignal = () => abort.abort();
    process.once("SIGINT", onSignal);
    try {
      using answer = await this.#ask([...this.#opening(), { role: "user", content: prompt }], abort.signal);
      await this.#print(answer);
      return exitCode.ok;
    } catch (error) {
      if (error instanceof APIUserAbortError) return exitCode.interrupted;
      throw error;
    } finally {
      process.off("SIGINT", onSignal);
    }
  }

  /**
   * Turn after turn, all of them in locked memory; an answer that fails leaves the conversation as it was before the
   * question.
   */
  async conversation(): Promise<number> {
    const { input, stdout, stderr } = this.#streams;
    let turns: readonly Turn[] = this.#opening();
    let code: number = exitCode.ok;
    let waiting: AbortController | undefined;
    const ended = new AbortController();
    // Ctrl-C ends the answer that is being waited for, or else the conversation.
    const onSignal = () => {
      if (waiting !== undefined) {
        waiting.abort();
        return;
      }
      code = exitCode.interrupted;
      ended.abort();
    };
    process.on("SIGINT", onSignal);
    try {
      for (;;) {
        stdout.write("> ");
        await stdout.flush();
        const line = await input.line("required", { echo: true, signal: ended.signal });
        const command = line === undefined ? "end" : commandOf(line);
        if (line === undefined || command !== undefined) {
          line?.dispose();
          if (command !== "new") break;
          forget(turns);
          turns = this.#opening();
          continue;
        }
        waiting = new AbortController();
        try {
          const asked: Turn[] = [...turns, { role: "user", content: line }];
          using answer = await this.#ask(asked, waiting.signal);
          await this.#print(answer);
          turns = [...asked, { role: "assistant", content: contentOf(answer) ?? "" }];
        } catch (error) {
          line.dispose();
          if (error instanceof APIUserAbortError) stderr.write("nomyo-native: stopped; the question is forgotten\n");
          else if (error instanceof NomyoError) stderr.write(`nomyo-native: ${errorText(error, "chat")}\n`);
          else throw error;
        } finally {
          waiting = undefined;
        }
      }
      return code;
    } finally {
      process.off("SIGINT", onSignal);
      forget(turns);
    }
  }

  #opening(): Turn[] {
    const { system } = this.#values;
    return system === undefined ? [] : [{ role: "system", content: system }];
  }

  async #ask(turns: readonly Turn[], signal: AbortSignal): Promise<SecureResponse> {
    const maxTokens = wholeNumber("max-tokens", this.#values["max-tokens"]);
    const tier = tierOf(this.#values.tier);
    const start = performance.now();
    const answer = await this.#client.createSecure(
      {
        model: this.#values.model ?? "Qwen/Qwen3-0.6B",
        messages: [...turns] as ChatMessage[],
        ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
        ...(tier === undefined ? {} : { security_tier: tier }),
      },
      { signal },
    );
    if (this.#values.quiet !== true) this.#streams.stderr.write(`${summary(answer, performance.now() - start)}\n`);
    return answer;
  }

  /**
   * The answer goes from the pool to the descriptor. As JSON, and where there are only tool calls, it becomes a string.
   */
  async #print(answer: SecureResponse): Promise<void> {
    const { stdout } = this.#streams;
    if (this.#values.json === true) {
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
function contentOf(answer: SecureResponse): SecureBuffer | undefined {
  try {
    return answer.content();
  } catch (error) {
    if ((error as { code?: unknown }).code === "NOT_FOUND") return undefined;
    throw error;
  }
}

function forget(turns: readonly Turn[]): void {
  for (const { content } of turns) if (content instanceof SecureBuffer) content.dispose();
}

/** What a line asks of the program instead of the model: `/new`, or, when it is blank, the end. */
function commandOf(line: SecureBuffer): "new" | "end" | undefined {
  return line.use((bytes) => {
    // In place: `filter` or `slice` would leave a copy of the line in ordinary memory.
    let blanks = 0;
    while (blanks < bytes.length && (bytes[blanks] ?? 0) <= 0x20) blanks++;
    let end = bytes.length;
    while (end > blanks && (bytes[end - 1] ?? 0) <= 0x20) end--;
    if (end === blanks) return "end";
    const isNew = end - blanks === newCommand.length && newCommand.every((byte, at) => bytes[blanks + at] === byte);
    return isNew ? "new" : undefined;
  });
}

const newCommand = [...Buffer.from("/new")];

function summary(answer: SecureResponse, milliseconds: number): string {
  const { security_tier: tier, attestation_report: report } = answer._metadata;
  const attestation =
    report === undefined
      ? "attestation not looked at"
      : report.verified
        ? `TPM quote verified (${report.trust})`
        : `TPM quote NOT verified (${report.code ?? "unknown"})`;
  return `[${Math.round(milliseconds)} ms, tier ${tier ?? "not told"}, ${attestation}]`;
}

function tierOf(tier: string | undefined): SecurityTier | undefined {
  if (tier === undefined || isSecurityTier(tier)) return tier;
  throw new UsageError("--tier is standard, high or maximum.");
}

/** All of stdin, without the last line's end, in the pool. */
async function readPrompt({ input }: Streams): Promise<SecureBuffer> {
  const prompt = withoutLineEnd(await input.all(MAX_PROMPT_BYTES, "required"));
  if (prompt.length > 0) return prompt;
  prompt.dispose();
  throw new UsageError("The prompt is empty.");
}
