/**
 * What a person at the command line is told of an error: in the words of the command line, with what the server said.
 */
import { APIError } from "../errors.js";

/** The flag for each option of the API that a command can set. Errors of the library speak of options. */
export const flags: Readonly<Record<string, string>> = {
  "serverKey.fingerprints": "--pin",
  "upstream.allowHttp": "--upstream-allow-http",
  "upstream.timeoutMs": "--upstream-timeout",
  "upstream.apiKey": "--upstream-key-file",
  "upstream.url": "--upstream",
  "tpm.persistentHandle": "--aik-handle",
  "tpm.certificateChain": "--aik-cert-chain",
  "tpm.queueLimit": "--tpm-queue",
  "tpm.tcti": "--tcti",
  "rateLimit.perSecond": "--rate-limit",
  "rateLimit.burst": "--rate-limit",
  secureInference: "--no-secure-inference",
  stopTimeoutMs: "--stop-timeout",
  secureMemory: "--secure-memory",
  echoDelayMs: "--echo-delay",
  maxRequests: "--max-requests",
  attestation: "--attestation",
  keyPassword: "--key-password-file",
  tierModels: "--allow-model",
  maxRetries: "--retries",
  accessLog: "--access-log",
  rateLimit: "--rate-limit",
  allowHttp: "--allow-http",
  allowOpen: "--allow-open",
  baseUrl: "--base-url",
  apiKeys: "--api-keys-file",
  timeout: "--timeout",
  keyFile: "--key-file",
  apiKey: "--api-key-file",
  keyDir: "--key-dir",
};

/** The flags of `keys`, where they differ. */
const keysFlags: Readonly<Record<string, string>> = {
  keyPassword: "--password-file or --ask-password",
  keyDir: "--dir",
};

/** The flags of `proxy`, where they differ; what the library calls `client.` is a flag without it. */
const proxyFlags: Readonly<Record<string, string>> = {
  "serverKey.knownServersFile": "--known-servers",
  allowedOrigins: "--allow-origin",
  allowPlainHttp: "--allow-plain-http",
  maxConnections: "--max-connections",
  securityTier: "--tier",
  allowedHosts: "--allow-host",
  socketPath: "--socket",
  apiKeys: "--local-keys-file",
};

const flagsOf: Readonly<Record<string, Readonly<Record<string, string>>>> = { keys: keysFlags, proxy: proxyFlags };

/** Where the library's messages end with where to look. */
const WHERE_TO_LOOK = " What the server said is in `errorDetails`.";
const MOST_OF_SERVER = 400;

/** The message of an error of `command`. It may hold text of the server's: whoever prints it makes that harmless. */
export function errorText(error: unknown, command: string | undefined): string {
  let text = error instanceof Error ? error.message : String(error);
  if (error instanceof APIError) {
    const said = serverSentence(error.errorDetails);
    text = text.replace(WHERE_TO_LOOK, said === undefined ? "" : ` The server said: ${said}`);
  }
  const own = { ...flags, ...(command === undefined ? {} : flagsOf[command]) };
  for (const [option, flag] of Object.entries(own)) {
    text = text.split(`\`${option}\``).join(flag);
    // A name like `timeout` is a word too; one with a capital inside is not.
    if (option !== option.toLowerCase()) text = text.split(option).join(flag);
  }
  return text;
}

/** What a server gave as its reason, in the forms that NOMYO, OpenAI and their like use; a few lines at most. */
function serverSentence(details: unknown): string | undefined {
  const said = firstText(details, 0);
  if (said === undefined || said.trim() === "") return undefined;
  const few = said.trim().split("\n").slice(0, 3).join(" ");
  return few.length > MOST_OF_SERVER ? `${few.slice(0, MOST_OF_SERVER)}…` : few;
}

function firstText(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || depth > 3) return undefined;
  for (const name of ["detail", "error", "message", "msg", "0"]) {
    const member = Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
    const text = firstText(member, depth + 1);
    if (text !== undefined) return text;
  }
  return undefined;
}
