/** `nomyo-native chat`: a prompt from an argument, from stdin, or several in turn at a terminal. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { parsePolicy } from "../attestation/policy.js";
import type { ClientOptions } from "../client/options.js";
import { SecureChatCompletion } from "../client/secure-chat-completion.js";
import { APIUserAbortError, ConfigurationError, NomyoError } from "../errors.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { ChatCompletion, ChatMessage } from "../openai/chat-types.js";
import { parse, wholeNumber } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import { readSecret, readSecretText } from "./secret.js";
import type { Streams } from "./streams.js";

export const chatHelp = `Usage: nomyo-native chat [options] [PROMPT]

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
const maxPromptBytes = 10 * 1024 * 1024;

export async function runChat(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parse({ args: [...args], options, allowPositionals: true });
  if (values.help === true) {
    streams.stdout.write(chatHelp);
    return exitCode.ok;
  }
  if (positionals.length > 1) throw new UsageError("There is an argument too many: put the prompt in quotation marks.");
  using keyPassword = await readKeyPassword(values, streams);
  await using client = new SecureChatCompletion(await clientOptions(values, keyPassword, streams));
  const chat = new Chat(client, values, streams);
  const [prompt] = positionals;
  if (prompt !== undefined) return await chat.once(prompt);
  if (streams.stdin.isTTY === true) return await chat.conversation();
  using fromStdin = await readPrompt(streams);
  return await chat.once(fromStdin);
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
      this.#print(await this.#ask([...this.#opening(), { role: "user", content: prompt }], abort.signal));
      return exitCode.ok;
    } catch (error) {
      if (error instanceof APIUserAbortError) return exitCode.interrupted;
      throw error;
    } finally {
      process.off("SIGINT", onSignal);
    }
  }

  /** Turn after turn; an answer that fails leaves the conversation as it was before the question. */
  async conversation(): Promise<number> {
    const { stdin, stdout, stderr } = this.#streams;
    const lines = createInterface({ input: stdin, output: stdout, terminal: true, prompt: "> " });
    let messages = this.#opening();
    let code: number = exitCode.ok;
    let waiting: AbortController | undefined;
    // Ctrl-C ends the answer that is being waited for, or else the conversation.
    lines.on("SIGINT", () => {
      if (waiting !== undefined) {
        waiting.abort();
        return;
      }
      code = exitCode.interrupted;
      lines.close();
    });
    lines.prompt();
    // The iterator keeps what is typed while an answer is waited for.
    for await (const line of lines) {
      if (line.trim() === "") break;
      if (line.trim() === "/new") {
        messages = this.#opening();
      } else {
        waiting = new AbortController();
        try {
          const turn: ChatMessage[] = [...messages, { role: "user", content: line }];
          const answer = await this.#ask(turn, waiting.signal);
          this.#print(answer);
          messages = [...turn, { role: "assistant", content: answer.choices[0]?.message.content ?? "" }];
        } catch (error) {
          if (!(error instanceof NomyoError)) throw error;
          stderr.write(`nomyo-native: ${error.message}\n`);
        } finally {
          waiting = undefined;
        }
      }
      lines.prompt();
    }
    lines.close();
    return code;
  }

  #opening(): ChatMessage[] {
    const { system } = this.#values;
    return system === undefined ? [] : [{ role: "system", content: system }];
  }

  async #ask(messages: readonly ChatMessage[], signal: AbortSignal): Promise<ChatCompletion> {
    const maxTokens = wholeNumber("max-tokens", this.#values["max-tokens"]);
    const tier = tierOf(this.#values.tier);
    const start = performance.now();
    const answer = await this.#client.create(
      {
        model: this.#values.model ?? "Qwen/Qwen3-0.6B",
        messages: [...messages],
        ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
        ...(tier === undefined ? {} : { security_tier: tier }),
      },
      { signal },
    );
    if (this.#values.quiet !== true) this.#streams.stderr.write(`${summary(answer, performance.now() - start)}\n`);
    return answer;
  }

  #print(answer: ChatCompletion): void {
    if (this.#values.json === true) {
      this.#streams.stdout.write(`${JSON.stringify(answer)}\n`);
      return;
    }
    const message = answer.choices[0]?.message;
    const calls = message?.tool_calls?.map((call) => JSON.stringify(call)).join("\n");
    this.#streams.stdout.write(`${forTerminal(message?.content ?? calls ?? "", this.#streams)}\n`);
  }
}

/** An answer is untrusted text: at a terminal its control characters could move the cursor, change the title or fake a prompt. */
function forTerminal(text: string, { stdout }: Streams): string {
  // eslint-disable-next-line no-control-regex
  return stdout.isTTY === true ? text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd") : text;
}

function summary(answer: ChatCompletion, milliseconds: number): string {
  const { security_tier: tier, attestation_report: report } = answer._metadata;
  const attestation =
    report === undefined
      ? "attestation not looked at"
      : report.verified
        ? `TPM quote verified (${report.trust})`
        : `TPM quote NOT verified (${report.code ?? "unknown"})`;
  return `[${Math.round(milliseconds)} ms, tier ${tier ?? "not told"}, ${attestation}]`;
}

async function readKeyPassword(values: Values, streams: Streams): Promise<SecureBuffer | undefined> {
  if (values["key-dir"] === undefined) return undefined;
  return await readSecret(
    { option: "--key-password-file", file: values["key-password-file"], variable: "NOMYO_KEY_PASSWORD" },
    streams.env,
    "required",
  );
}

async function clientOptions(
  values: Values,
  keyPassword: SecureBuffer | undefined,
  streams: Streams,
): Promise<ClientOptions> {
  const apiKey = await readSecretText(
    { option: "--api-key-file", file: values["api-key-file"], variable: "NOMYO_API_KEY" },
    streams.env,
  );
  const timeout = wholeNumber("timeout", values.timeout);
  const retries = wholeNumber("retries", values.retries);
  const policy = values["secure-memory"];
  const attestation = await attestationOption(values);
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(values["base-url"] === undefined ? {} : { baseUrl: values["base-url"] }),
    ...(values["allow-http"] === undefined ? {} : { allowHttp: values["allow-http"] }),
    ...(values["key-dir"] === undefined ? {} : { keyDir: values["key-dir"], keyRotationInterval: 0 }),
    ...(keyPassword === undefined ? {} : { keyPassword }),
    ...(values.pin === undefined ? {} : { serverKey: { fingerprints: values.pin } }),
    ...(timeout === undefined ? {} : { timeout: timeout * 1000 }),
    ...(retries === undefined ? {} : { maxRetries: retries }),
    // The client checks it, and says what is allowed.
    ...(policy === undefined ? {} : { secureMemory: policy as "required" }),
    ...(attestation === undefined ? {} : { attestation }),
  };
}

async function attestationOption(values: Values): Promise<ClientOptions["attestation"]> {
  const { attestation, policy } = values;
  if (policy === undefined) return attestation as "off" | "report" | "require" | undefined;
  if (attestation !== undefined) throw new UsageError("--policy says the mode itself: leave --attestation out.");
  try {
    return parsePolicy(await readFile(policy), "--policy");
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new ConfigurationError("--policy", `The file ${policy} cannot be read (${code ?? "unknown error"}).`);
  }
}

function tierOf(tier: string | undefined): "standard" | "high" | "maximum" | undefined {
  if (tier === undefined || tier === "standard" || tier === "high" || tier === "maximum") return tier;
  throw new UsageError("--tier is standard, high or maximum.");
}

/** All of stdin, without the last line's end, in the pool. */
async function readPrompt({ stdin }: Streams): Promise<SecureBuffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      length += bytes.length;
      chunks.push(bytes);
      if (length > maxPromptBytes) throw new UsageError("The prompt is larger than 10 MiB.");
    }
    const whole = Buffer.concat(chunks, length);
    try {
      const end = whole.at(-1) === 0x0a ? (whole.at(-2) === 0x0d ? length - 2 : length - 1) : length;
      if (end === 0) throw new UsageError("The prompt is empty.");
      return SecureBuffer.from(whole.subarray(0, end));
    } finally {
      whole.fill(0);
    }
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}
