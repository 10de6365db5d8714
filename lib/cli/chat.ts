/** `nomyo-native chat`: a prompt from an argument, from stdin, or several in turn at a terminal. */
import { SecureChatCompletion } from "../client/secure-chat-completion.js";
import { checkKeyGiven, clientOptions as clientDefaults } from "../client/options.js";
import type { ClientOptions } from "../client/options.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { parse } from "./arguments.js";
import { clientOptions, readKeyPassword } from "./client-flags.js";
import { Conversation } from "./conversation.js";
import { exitCode, UsageError } from "./exit-code.js";
import { DEFAULT_MODEL, Questions } from "./question.js";
import { readApiKey } from "./secret.js";
import { withoutLineEnd } from "./secret-input.js";
import type { Streams } from "./streams.js";

export const CHAT_HELP = `Usage: nomyo-native chat [options] [PROMPT]

Sends the prompt, end-to-end encrypted, and prints the answer. Without PROMPT it is read from stdin; at a terminal you
get a conversation: /help there lists its commands, """ on a line begins and ends a text of many lines, Ctrl-C ends a
request and, twice, the conversation; so do /exit, an empty line and Ctrl-D.

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
  --secure-memory LOCKING   required, preferred or off: what to do when memory cannot be locked
  --quiet                   nothing on stderr about attestation and time, no greeting, nothing that moves
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
  const [prompt] = positionals;
  if (prompt?.trim() === "") throw new UsageError("The prompt is empty.");
  if (values.model?.trim() === "") {
    throw new UsageError(`--model wants a model's name, and got an empty one. Without it: ${DEFAULT_MODEL}.`);
  }
  using keyPassword = readKeyPassword(values, streams);
  const apiKey = readApiKey(
    { option: "--api-key-file", file: values["api-key-file"], variable: "NOMYO_API_KEY" },
    streams.env,
  );
  const settings = await clientOptions(values, apiKey, keyPassword);
  await using client = new SecureChatCompletion(settings);
  const questions = new Questions(client, values, streams);
  if (prompt !== undefined) return await once(prompt, values, questions);
  if (streams.input.isTTY) return await conversation(client, questions, settings, values, streams);
  using fromStdin = await readPrompt(streams);
  return await once(fromStdin, values, questions);
}

async function conversation(
  client: SecureChatCompletion,
  questions: Questions,
  settings: ClientOptions,
  values: Values,
  streams: Streams,
): Promise<number> {
  const server = settings.baseUrl ?? clientDefaults.baseUrl.otherwise;
  // Before it greets: not after the first question has been typed.
  checkKeyGiven(settings.apiKey, server);
  const { attestation } = settings;
  const mode = typeof attestation === "object" ? "by --policy" : (attestation ?? clientDefaults.attestation.otherwise);
  const introduction = {
    server,
    isPinned: values.pin !== undefined,
    attestation: mode,
    system: values.system,
    quiet: values.quiet === true,
  };
  return await new Conversation(client, questions, introduction, streams).run();
}

/** One prompt and its answer. */
async function once(prompt: string | SecureBuffer, values: Values, questions: Questions): Promise<number> {
  const abort = new AbortController();
  const onSignal = () => abort.abort();
  process.once("SIGINT", onSignal);
  try {
    const opening = values.system === undefined ? [] : [{ role: "system" as const, content: values.system }];
    using answer = await questions.ask([...opening, { role: "user", content: prompt }], abort.signal);
    await questions.print(answer);
    return exitCode.ok;
  } finally {
    process.off("SIGINT", onSignal);
  }
}

/** All of stdin, without the last line's end, in the pool. */
async function readPrompt({ input }: Streams): Promise<SecureBuffer> {
  const prompt = withoutLineEnd(await input.all(MAX_PROMPT_BYTES, "required"));
  if (prompt.length > 0) return prompt;
  prompt.dispose();
  throw new UsageError("The prompt is empty.");
}
