/** `nomyo-native proxy`: the local proxy as a process. */
import { join } from "node:path";
import type { parseArgs } from "node:util";
import { JsonFault, parseStrictJson } from "../attestation/strict-json.js";
import type { ClientOptions } from "../client/options.js";
import { ConfigurationError } from "../errors.js";
import { parseApiKeys } from "../http/api-keys.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { didYouMean } from "../nearest.js";
import { startProxy } from "../proxy/index.js";
import type { ProxyOptions } from "../proxy/index.js";
import { defined, parse, seconds, wholeNumber } from "./arguments.js";
import { clientOptions, readKeyPassword } from "./client-flags.js";
import { exitCode, UsageError } from "./exit-code.js";
import { readNamed } from "./named-file.js";
import { readApiKey, readSecretText } from "./secret.js";
import { accessLogTo, announced, listening, tlsOf, untilSignal } from "./serving.js";
import type { Streams } from "./streams.js";

export const PROXY_HELP = `Usage: nomyo-native proxy [options]

An OpenAI-compatible server on this machine: it seals every chat completion to NOMYO, checks the server's attestation,
and hands on the opened answer. Programs need no change but their base URL. Prompts and answers stay in locked memory.

Try it:          nomyo-native proxy --port 8585 --model Qwen/Qwen3-0.6B --api-key-file key.txt
                 and give your program the base URL http://127.0.0.1:8585/v1, with any API key
For confidence:  add --pin FINGERPRINT --policy policy.json (see nomyo-native attest)
As a sidecar:    nomyo-native proxy --socket /run/nomyo/proxy.sock …

Listening
  --host ADDRESS              127.0.0.1; any other needs local API keys and TLS, or the two --allow options
  --port NUMBER               0 (the system chooses; the first line on stdout says which)
  --socket PATH               a Unix socket instead, mode 0600
  --systemd-socket            the socket of systemd's unit instead, of one ListenStream=
  --tls-cert FILE --tls-key FILE
                              PEM files: speak HTTPS
  --allow-plain-http          plain HTTP on an address that others can reach
  --allow-open                no local API keys on an address that others can reach
  --local-keys-file FILE      what clients of the proxy must have as their API key: one a line, or sha256:<hex> of one;
                              mode 0600. Or NOMYO_PROXY_API_KEYS
  --allow-host NAME           another name that clients may call it by; repeat it
  --allow-origin ORIGIN       an origin whose pages may use it from a browser; repeat it
  --model NAME                what GET /v1/models lists; repeat it

Towards NOMYO
  --api-key-file FILE         NOMYO's API key; mode 0600. Or NOMYO_API_KEY
  --api-key-credential NAME   the same from systemd's LoadCredential
  --base-url URL              https://api.nomyo.ai
  --allow-http                allow http: in --base-url
  --tier TIER                 standard, high or maximum; without it the server decides
  --pin FINGERPRINT           the server's key must be this one (sha256:<64 hex digits>); repeat it for several
  --known-servers FILE        remember servers' keys in this file
  --attestation MODE          report (the default), off, or require: no answer without a quote that verifies
  --policy FILE               an attestation policy; requires attestation unless its mode says otherwise
  --padding HOW               none (the default) or bucket
  --key-dir DIR               your RSA key pair (see: nomyo-native keys); without it a new one at each start
  --key-password-file FILE    its password; or NOMYO_KEY_PASSWORD
  --timeout SECONDS           600, for each attempt
  --retries NUMBER            2

Receipts
  --receipts FOLDER           a receipt of each answer, on the disk before it is handed on (see: nomyo-native receipt)
  --receipt-key-file FILE     key for digests of prompts and answers in it, mode 0600; without it there are none

Limits and memory
  --max-requests NUMBER       64 at one time
  --max-requests-per-key NUMBER
                              of these, for one local key: half of them where there are several keys
  --max-connections NUMBER    512
  --secure-memory LOCKING     required (the default), preferred or off: what to do when memory cannot be locked
  --threads NUMBER            the most threads for private-key work and opening, 1 to 64; as many as there are cores, or
                              fewer under a low lock limit
  --stop-timeout SECONDS      30 for requests under way after SIGTERM or SIGINT; a second signal ends at once

Output
  --config FILE               these options as JSON: {"port": 8585, "model": ["a", "b"]}; flags win over it
  --json                      events as JSON lines on stdout, the first: {"event":"listening","base_url":…}
  --access-log                a line for each answer on stderr: sizes and statuses, no content
  -h, --help

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong options, 3 refused for security.
`;

const options = {
  host: { type: "string" },
  port: { type: "string" },
  socket: { type: "string" },
  "systemd-socket": { type: "boolean" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "allow-plain-http": { type: "boolean" },
  "allow-open": { type: "boolean" },
  "local-keys-file": { type: "string" },
  "allow-host": { type: "string", multiple: true },
  "allow-origin": { type: "string", multiple: true },
  model: { type: "string", multiple: true },
  "api-key-file": { type: "string" },
  "api-key-credential": { type: "string" },
  "base-url": { type: "string" },
  "allow-http": { type: "boolean" },
  tier: { type: "string" },
  pin: { type: "string", multiple: true },
  "known-servers": { type: "string" },
  attestation: { type: "string" },
  policy: { type: "string" },
  padding: { type: "string" },
  "key-dir": { type: "string" },
  "key-password-file": { type: "string" },
  timeout: { type: "string" },
  retries: { type: "string" },
  receipts: { type: "string" },
  "receipt-key-file": { type: "string" },
  "max-requests": { type: "string" },
  "max-requests-per-key": { type: "string" },
  "max-connections": { type: "string" },
  "secure-memory": { type: "string" },
  threads: { type: "string" },
  "stop-timeout": { type: "string" },
  config: { type: "string" },
  json: { type: "boolean" },
  "access-log": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parseArgs<{ args: string[]; options: typeof options }>>["values"];

/** Runs until a signal comes. */
export async function runProxy(args: readonly string[], streams: Streams): Promise<number> {
  const { values: given } = parse({ args: [...args], options, allowPositionals: false });
  if (given.help === true) {
    streams.stdout.write(PROXY_HELP);
    return exitCode.ok;
  }
  const values = given.config === undefined ? given : { ...(await readConfig(given.config)), ...given };
  const log = (message: string): void => {
    streams.stderr.write(`nomyo-native proxy: ${message}\n`);
  };
  using password = readKeyPassword(values, streams);
  const settings = await proxyOptions(values, streams, password, log);
  const proxy = await listening(values, () => startProxy(settings));
  const stopped = untilSignal(proxy, log);
  if (values.json === true) {
    streams.stdout.writeJson({ event: "listening", base_url: proxy.baseUrl, port: proxy.port, pid: process.pid });
  } else {
    streams.stdout.write(`nomyo-native proxy listening: the base URL is ${proxy.baseUrl}\n`);
  }
  await announced(proxy, streams);
  if (settings.client?.apiKey === undefined) {
    log("there is no API key for NOMYO: give --api-key-file, --api-key-credential or NOMYO_API_KEY");
  }
  if (settings.client?.attestation === undefined) {
    log("attestation is reported, not required: --attestation require or --policy lets no answer pass without it");
  }
  return await stopped;
}

/** The options of a file, as if they were flags. */
async function readConfig(file: string): Promise<Values> {
  const wrong = (what: string): ConfigurationError => new ConfigurationError("--config", `The file ${file} ${what}`);
  let value: unknown;
  try {
    value = parseStrictJson((await readNamed("--config", file)).toString("utf8"));
  } catch (error) {
    if (error instanceof JsonFault) throw wrong(`is not usable: ${error.message}`);
    throw error;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("must hold one JSON object.");
  const entries = Object.entries(value as Readonly<Record<string, unknown>>).map(([name, given]) => {
    const known = Object.hasOwn(options, name) && name !== "config" && name !== "help";
    if (!known) throw wrong(`has the unknown option ${JSON.stringify(name.slice(0, 80))}.${meantName(name)}`);
    return [name, configValue(name as keyof typeof options, given, wrong)];
  });
  return Object.fromEntries(entries) as Values;
}

/** In a file an option has no dashes before it. */
function meantName(name: string): string {
  return didYouMean(
    name,
    Object.keys(options).filter((one) => one !== "config" && one !== "help"),
  );
}

function configValue(
  name: keyof typeof options,
  given: unknown,
  wrong: (what: string) => ConfigurationError,
): string | boolean | string[] {
  const how: { readonly type: "string" | "boolean"; readonly multiple?: boolean } = options[name];
  if (how.type === "boolean") {
    if (typeof given === "boolean") return given;
    throw wrong(`must have true or false for "${name}".`);
  }
  const asText = (one: unknown): string => {
    if (typeof one === "string" && one !== "") return one;
    if (typeof one === "number" && Number.isSafeInteger(one) && one >= 0) return String(one);
    throw wrong(`must have a text or a whole number for "${name}".`);
  };
  if (how.multiple !== true) return asText(given);
  return (Array.isArray(given) ? given : [given]).map(asText);
}

async function proxyOptions(
  values: Values,
  streams: Streams,
  keyPassword: SecureBuffer | undefined,
  log: (message: string) => void,
): Promise<ProxyOptions> {
  const localKeys = readSecretText(
    { option: "--local-keys-file", file: values["local-keys-file"], variable: "NOMYO_PROXY_API_KEYS" },
    streams.env,
  );
  const apiKeys = parseApiKeys(localKeys ?? "");
  if (localKeys !== undefined && apiKeys.length === 0) {
    throw new UsageError("There is no API key where the proxy's own API keys were to be.");
  }
  return defined<ProxyOptions>({
    host: values.host,
    port: wholeNumber("port", values.port),
    socketPath: values.socket,
    listenFd: values["systemd-socket"] === true ? systemdSocket(streams.env) : undefined,
    tls: await tlsOf(values),
    apiKeys,
    allowOpen: values["allow-open"],
    allowPlainHttp: values["allow-plain-http"],
    allowedHosts: values["allow-host"],
    allowedOrigins: values["allow-origin"],
    models: values.model,
    // The library checks it, and says what is allowed.
    securityTier: values.tier as "standard" | undefined,
    receipts: receiptsOf(values),
    client: await ownClientOptions(values, streams, keyPassword, log),
    maxRequests: wholeNumber("max-requests", values["max-requests"]),
    maxRequestsPerKey: wholeNumber("max-requests-per-key", values["max-requests-per-key"]),
    maxConnections: wholeNumber("max-connections", values["max-connections"]),
    stopTimeoutMs: seconds("stop-timeout", values["stop-timeout"], 0),
    log,
    accessLog: values["access-log"] === true ? accessLogTo(streams) : undefined,
  });
}

function receiptsOf(values: Values): ProxyOptions["receipts"] {
  const { receipts: folder, "receipt-key-file": digestKeyFile } = values;
  if (folder !== undefined) return digestKeyFile === undefined ? folder : { folder, digestKeyFile };
  if (digestKeyFile !== undefined) throw new UsageError("--receipt-key-file needs --receipts.");
  return undefined;
}

/** The proxy's client: what `chat` has too, and what is the proxy's own. */
async function ownClientOptions(
  values: Values,
  streams: Streams,
  keyPassword: SecureBuffer | undefined,
  log: (message: string) => void,
): Promise<ClientOptions> {
  const shared = await clientOptions(values, apiKeyOf(values, streams), keyPassword);
  const { "known-servers": knownServersFile } = values;
  const tell = (message: string): void => log(message);
  return defined<ClientOptions>({
    ...shared,
    serverKey: knownServersFile === undefined ? shared.serverKey : { ...shared.serverKey, knownServersFile },
    padding: values.padding as "none" | undefined,
    threads: wholeNumber("threads", values.threads),
    logger: { debug: () => undefined, info: tell, warn: tell, error: tell },
  });
}

/** The descriptor that systemd hands down (sd_listen_fds(3)). */
function systemdSocket(env: Streams["env"]): number {
  if (env["LISTEN_PID"] !== String(process.pid)) {
    throw new UsageError("--systemd-socket needs systemd's socket unit: LISTEN_PID is not this process.");
  }
  if (env["LISTEN_FDS"] !== "1")
    throw new UsageError("--systemd-socket takes one socket: give the unit one ListenStream=.");
  return 3;
}

/** NOMYO's key: from a file, from a credential of systemd's, or from the environment. */
function apiKeyOf(values: Values, streams: Streams): string | undefined {
  const { "api-key-file": file, "api-key-credential": credential } = values;
  if (credential === undefined) {
    return readApiKey({ option: "--api-key-file", file, variable: "NOMYO_API_KEY" }, streams.env);
  }
  if (file !== undefined) throw new UsageError("--api-key-file and --api-key-credential are two places: give one.");
  const folder = streams.env["CREDENTIALS_DIRECTORY"];
  if (folder === undefined || folder === "") {
    throw new UsageError("--api-key-credential needs systemd's LoadCredential: CREDENTIALS_DIRECTORY is not set.");
  }
  if (credential.includes("/") || credential === "." || credential === "..") {
    throw new UsageError("--api-key-credential takes a credential's name, not a path.");
  }
  const source = { option: "--api-key-credential", file: join(folder, credential), variable: "" };
  return readApiKey(source, streams.env);
}
