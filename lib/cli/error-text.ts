/**
 * What a person at the command line is told of an error: in the words of the command line, with what the server said.
 */
import type { ClientOptions, RequestOptions } from "../client/options.js";
import { APIError, APIUserAbortError } from "../errors.js";
import type { ProxyOptions } from "../proxy/options.js";
import type { RouterOptions } from "../router/options.js";

/** The names of options in errors: what an option that is an object holds follows a dot. */
type NamesOf<Options, Groups extends string & keyof Options> =
  | (string & keyof Options)
  | { [Group in Groups]: `${Group}.${string & keyof Extract<Options[Group], object>}` }[Groups];

/** The flag of each option, in any order; null: no flag sets it. It does not compile without a row for every option. */
type FlagsOf<Names extends string> = Readonly<Record<Names, string | null>>;

/** The flags of `chat`. */
export const chatFlags: FlagsOf<NamesOf<ClientOptions & RequestOptions, "serverKey" | "rateLimit">> = {
  apiKey: "--api-key-file",
  baseUrl: "--base-url",
  allowHttp: "--allow-http",
  timeout: "--timeout",
  maxRetries: "--retries",
  keyDir: "--key-dir",
  keyPassword: "--key-password-file",
  keyRotationInterval: null,
  padding: null,
  secureMemory: "--secure-memory",
  threads: null,
  serverKey: null,
  "serverKey.fingerprints": "--pin",
  "serverKey.cacheTtl": null,
  "serverKey.minBits": null,
  "serverKey.knownServersFile": null,
  attestation: "--attestation",
  rateLimit: null,
  "rateLimit.requestsPerSecond": null,
  "rateLimit.burst": null,
  maxResponseBytes: null,
  fetch: null,
  dispatcher: null,
  receipts: null,
  logger: null,
  signal: null,
  security_tier: "--tier",
};

/** The flags of `router`. */
export const routerFlags: FlagsOf<NamesOf<RouterOptions, "tls" | "upstream" | "tpm" | "rateLimit">> = {
  host: "--host",
  port: "--port",
  tls: "--tls-cert and --tls-key",
  "tls.cert": "--tls-cert",
  "tls.key": "--tls-key",
  apiKeys: "--api-keys-file",
  allowOpen: "--allow-open",
  allowHttp: "--allow-http",
  keyFile: "--key-file",
  keyPassword: "--key-password-file",
  upstream: "--upstream",
  "upstream.url": "--upstream",
  "upstream.apiKey": "--upstream-key-file",
  "upstream.timeoutMs": "--upstream-timeout",
  "upstream.connectTimeoutMs": null,
  "upstream.allowHttp": "--upstream-allow-http",
  tpm: "--tcti",
  "tpm.tcti": "--tcti",
  "tpm.aik": "--aik",
  "tpm.pcrs": "--pcrs",
  "tpm.persistentHandle": "--aik-handle",
  "tpm.certificateChain": "--aik-cert-chain",
  "tpm.queueLimit": "--tpm-queue",
  "tpm.timeoutMs": null,
  "tpm.reopenMs": null,
  tierModels: "--allow-model",
  rateLimit: "--rate-limit",
  "rateLimit.perSecond": "--rate-limit",
  "rateLimit.burst": "--rate-limit",
  maxBodyBytes: null,
  maxPlaintextBytes: null,
  maxRequests: "--max-requests",
  maxRequestsPerKey: "--max-requests-per-key",
  secureMemory: "--secure-memory",
  threads: "--threads",
  secureInference: "--no-secure-inference",
  echoDelayMs: "--echo-delay",
  stopTimeoutMs: "--stop-timeout",
  log: null,
  accessLog: "--access-log",
};

/** The flags of `keys`, which sets no options; errors about key folders speak of these two. */
const keysFlags = { keyDir: "--dir", keyPassword: "--password-file or --ask-password" };

/** The flags of `proxy`. What it is towards NOMYO has those of `chat`, and three of its own. */
export const proxyFlags: FlagsOf<NamesOf<Omit<ProxyOptions, "client">, "tls" | "receipts">> = {
  host: "--host",
  port: "--port",
  socketPath: "--socket",
  receipts: "--receipts",
  "receipts.folder": "--receipts",
  "receipts.digestKeyFile": "--receipt-key-file",
  "receipts.maxFileBytes": null,
  listenFd: "--systemd-socket",
  tls: "--tls-cert and --tls-key",
  "tls.cert": "--tls-cert",
  "tls.key": "--tls-key",
  apiKeys: "--local-keys-file",
  allowOpen: "--allow-open",
  allowPlainHttp: "--allow-plain-http",
  allowedHosts: "--allow-host",
  allowedOrigins: "--allow-origin",
  models: "--model",
  securityTier: "--tier",
  maxBodyBytes: null,
  maxRequests: "--max-requests",
  maxRequestsPerKey: "--max-requests-per-key",
  maxConnections: "--max-connections",
  stopTimeoutMs: "--stop-timeout",
  log: null,
  accessLog: "--access-log",
};
export const proxyClientFlags = {
  ...chatFlags,
  padding: "--padding",
  threads: "--threads",
  "serverKey.knownServersFile": "--known-servers",
};

/** A longer name before one that it holds: `apiKeys` before `apiKey`. */
const inOrder = (flags: Readonly<Record<string, string | null>>) =>
  Object.entries(flags).sort(([one], [other]) => other.length - one.length);

const flagsOf: ReadonlyMap<string | undefined, ReturnType<typeof inOrder>> = new Map([
  ["chat", inOrder(chatFlags)],
  ["router", inOrder(routerFlags)],
  ["keys", inOrder(keysFlags)],
  ["proxy", inOrder({ ...proxyClientFlags, ...proxyFlags })],
]);

/** Where the library's messages end with where to look. */
const WHERE_TO_LOOK = " What the server said is in `errorDetails`.";
const MOST_OF_SERVER = 400;

/**
 * The message of an error of `command`, with its flags for the library's options. It may hold text of the server's:
 * whoever prints it makes that harmless.
 */
export function errorText(error: unknown, command: string | undefined): string {
  let text = error instanceof Error ? error.message : String(error);
  if (error instanceof APIUserAbortError) return interrupted(error);
  if (error instanceof APIError) {
    const said = serverSentence(error.errorDetails);
    text = text.replace(WHERE_TO_LOOK, said === undefined ? "" : ` The server said: ${said}`);
  }
  if (command === "router" && (error as { code?: unknown }).code === "TPM_ERROR") {
    text += " Check --tcti, and that this account may use the TPM: on most systems it is of the group tss.";
  }
  for (const [option, flag] of flagsOf.get(command) ?? []) {
    if (flag === null) continue;
    text = text.split(`\`${option}\``).join(flag).split(`\`${option}: true\``).join(flag);
    // A name like `timeout` is a word too; one with a capital inside is not.
    if (option !== option.toLowerCase()) text = text.split(option).join(flag);
  }
  return text;
}

/** At the command line it was Ctrl-C. */
function interrupted({ sent }: APIUserAbortError): string {
  return sent === "no" || sent === undefined
    ? "interrupted; nothing was sent"
    : "interrupted; the server may have processed the request";
}

/** What a server gave as its reason, in the forms that NOMYO, OpenAI and their like use; a few lines at most. */
function serverSentence(details: unknown): string | undefined {
  const said = firstText(details, 0);
  // A web page tells nobody at a terminal anything.
  if (said === undefined || said.trim() === "" || said.trimStart().startsWith("<")) return undefined;
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
