/** `nomyo-native router`: the local router as a process. */
import type { parseArgs } from "node:util";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { parseApiKeys } from "../http/api-keys.js";
import { startRouter } from "../router/index.js";
import type { Router, RouterOptions } from "../router/index.js";
import { isSecurityTier } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { defined, oneWord, parse, seconds, wholeNumber } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import { readNamed } from "./named-file.js";
import { readApiKey, readSecret, readSecretText } from "./secret.js";
import { accessLogTo, announced, listening, tlsOf, untilSignal } from "./serving.js";
import type { Streams } from "./streams.js";

export const ROUTER_HELP = `Usage: nomyo-native router [options]

The server's side of the NOMYO protocol on your machine: it opens encrypted requests, has them answered by an
OpenAI-compatible server (Ollama, vLLM, llama.cpp …) or the built-in echo model, and seals the answers.

Try it:                 nomyo-native router
Before an Ollama:       nomyo-native router --port 8443 --upstream http://127.0.0.1:11434
In production:          nomyo-native router --host 0.0.0.0 --port 8443 --tls-cert cert.pem --tls-key key.pem \\
                          --api-keys-file keys.txt --key-file server.pem --upstream http://127.0.0.1:8000 \\
                          --tcti device:/dev/tpmrm0

Listening
  --host ADDRESS              127.0.0.1; any other needs API keys and TLS, or the two --allow options
  --port NUMBER               0 (the system chooses; the first line on stdout says which)
  --tls-cert FILE --tls-key FILE
                              PEM files: speak HTTPS
  --allow-http                plain HTTP on an address that others can reach (a proxy in front ends TLS)
  --allow-open                no API keys on an address that others can reach

Keys
  --api-keys-file FILE        one API key a line, or sha256:<hex> of one; mode 0600. Or NOMYO_ROUTER_API_KEYS
  --rate-limit N[:BURST]      requests a second for each API key, and at once (twice N)
  --key-file FILE             the server's RSA-4096 key (make one: nomyo-native keys generate); without it: a new one
                              at each start
  --key-password-file FILE    its password; or NOMYO_ROUTER_KEY_PASSWORD

The model
  --upstream URL              the OpenAI-compatible server
  --upstream-key-file FILE    its API key; or NOMYO_ROUTER_UPSTREAM_KEY
  --upstream-timeout SECONDS  600
  --upstream-allow-http       plain HTTP to an upstream on another machine
  --allow-model TIER=MODEL    allow this model for the tier; repeat it. A tier without any allows all models
  --echo-delay MS             how long the echo model takes

Attestation
  --tcti TCTI                 the TPM: device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321 …
  --aik KIND                  ecc-p256, rsa2048-rsassa or rsa2048-rsapss, made for each answer
  --pcrs SELECTION            sha256:0,7,10
  --aik-handle HANDLE         a persistent AIK instead, e.g. 0x81010002
  --aik-cert-chain FILE       its PEM certificates, the AIK's first
  --tpm-queue NUMBER          64 quotes may wait; more are answered 503

Limits and memory
  --max-requests NUMBER       256 at one time
  --max-requests-per-key NUMBER
                              of these, for one API key: half of them where there are several keys
  --secure-memory LOCKING     required, preferred or off: what to do when memory cannot be locked
  --threads NUMBER            the most threads for private-key work and opening, 1 to 64; as many as there are cores, or
                              fewer under a low lock limit
  --no-secure-inference       answer 404, secure inference not enabled
  --stop-timeout SECONDS      30 for requests under way after SIGTERM or SIGINT; a second signal ends at once

Output
  --json                      events as JSON lines on stdout, the first: {"event":"listening","url":…}
  --access-log                a line for each answer on stderr: sizes and statuses, no content
  -h, --help

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong options.
`;

const options = {
  host: { type: "string" },
  port: { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  "allow-http": { type: "boolean" },
  "allow-open": { type: "boolean" },
  "api-keys-file": { type: "string" },
  "rate-limit": { type: "string" },
  "key-file": { type: "string" },
  "key-password-file": { type: "string" },
  upstream: { type: "string" },
  "upstream-key-file": { type: "string" },
  "upstream-timeout": { type: "string" },
  "upstream-allow-http": { type: "boolean" },
  "allow-model": { type: "string", multiple: true },
  "echo-delay": { type: "string" },
  tcti: { type: "string" },
  aik: { type: "string" },
  pcrs: { type: "string" },
  "aik-handle": { type: "string" },
  "aik-cert-chain": { type: "string" },
  "tpm-queue": { type: "string" },
  "max-requests": { type: "string" },
  "max-requests-per-key": { type: "string" },
  "secure-memory": { type: "string" },
  threads: { type: "string" },
  "no-secure-inference": { type: "boolean" },
  "stop-timeout": { type: "string" },
  json: { type: "boolean" },
  "access-log": { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = ReturnType<typeof parseArgs<{ args: string[]; options: typeof options }>>["values"];

/** Runs until a signal comes. */
export async function runRouter(args: readonly string[], streams: Streams): Promise<number> {
  const { values } = parse({ args: [...args], options, allowPositionals: false });
  if (values.help === true) {
    streams.stdout.write(ROUTER_HELP);
    return exitCode.ok;
  }
  const asJson = values.json === true;
  const say = (event: Record<string, unknown>, text: string) => {
    if (asJson) streams.stdout.writeJson(event);
    else streams.stdout.write(`${text}\n`);
  };
  const log = (message: string) => {
    streams.stderr.write(`nomyo-native router: ${message}\n`);
  };
  const password = readSecret(
    { option: "--key-password-file", file: values["key-password-file"], variable: "NOMYO_ROUTER_KEY_PASSWORD" },
    streams.env,
    lockingOf(values) ?? "required",
  );
  let router: Router;
  try {
    const settings = await routerOptions(values, streams, password);
    router = await listening(values, () => startRouter({ ...settings, log }));
  } finally {
    password?.dispose();
  }

  const stopped = untilSignal(router, log);
  say(
    {
      event: "listening",
      url: router.url,
      port: router.port,
      pid: process.pid,
      key_sha256: router.publicKey.spkiSha256,
    },
    `nomyo-native router listening on ${router.url}`,
  );
  await announced(router, streams);
  log(
    `the server's key has the fingerprint ${router.publicKey.spkiSha256} (SHA-256 of its SubjectPublicKeyInfo): ` +
      "clients can pin it",
  );
  if (values.upstream === undefined) log("the echo model answers: give --upstream for a language model");
  if (values["api-keys-file"] === undefined && !streams.env["NOMYO_ROUTER_API_KEYS"]) {
    log("WARNING: there are no API keys: everyone who can reach this address is answered");
  }
  if (values.tcti === undefined)
    log("there is no TPM (--tcti): answers go without attestation, tier maximum is refused");
  return await stopped;
}

async function routerOptions(
  values: Values,
  streams: Streams,
  keyPassword: SecureBuffer | undefined,
): Promise<RouterOptions> {
  const upstreamKey = readApiKey(
    { option: "--upstream-key-file", file: values["upstream-key-file"], variable: "NOMYO_ROUTER_UPSTREAM_KEY" },
    streams.env,
  );
  const apiKeys = readSecretText(
    { option: "--api-keys-file", file: values["api-keys-file"], variable: "NOMYO_ROUTER_API_KEYS" },
    streams.env,
  );
  const parsedKeys = parseApiKeys(apiKeys ?? "");
  if (apiKeys !== undefined && parsedKeys.length === 0)
    throw new UsageError("There is no API key where API keys were to be.");
  const tls = await tlsOf(values);
  const locking = lockingOf(values);
  const upstreamTimeout = seconds("upstream-timeout", values["upstream-timeout"]);
  const rateLimit = rateLimitOf(values["rate-limit"]);
  return defined({
    host: values.host,
    port: wholeNumber("port", values.port),
    tls,
    apiKeys: parsedKeys,
    allowOpen: values["allow-open"],
    allowHttp: values["allow-http"],
    keyFile: values["key-file"],
    keyPassword,
    upstream:
      values.upstream === undefined
        ? undefined
        : defined({
            url: values.upstream,
            apiKey: upstreamKey,
            timeoutMs: upstreamTimeout,
            allowHttp: values["upstream-allow-http"],
          }),
    tpm: await tpmOptions(values),
    tierModels: tierModelsOf(values["allow-model"] ?? []),
    rateLimit,
    maxRequests: wholeNumber("max-requests", values["max-requests"]),
    maxRequestsPerKey: wholeNumber("max-requests-per-key", values["max-requests-per-key"]),
    secureMemory: locking,
    threads: wholeNumber("threads", values.threads),
    secureInference: values["no-secure-inference"] !== true,
    echoDelayMs: wholeNumber("echo-delay", values["echo-delay"], " of milliseconds"),
    stopTimeoutMs: seconds("stop-timeout", values["stop-timeout"], 0),
    accessLog: values["access-log"] === true ? accessLogTo(streams) : undefined,
  });
}

async function tpmOptions(values: Values): Promise<RouterOptions["tpm"]> {
  const { tcti, aik, pcrs } = values;
  if (tcti === undefined) {
    for (const option of ["aik", "pcrs", "aik-handle", "aik-cert-chain", "tpm-queue"] as const) {
      if (values[option] !== undefined) throw new UsageError(`--${option} needs --tcti, which names the TPM.`);
    }
    return undefined;
  }
  const kind = oneWord("aik", aik, ["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"]);
  const handle = values["aik-handle"];
  if (handle !== undefined && !/^0x[0-9a-f]{8}$/i.test(handle)) {
    throw new UsageError("--aik-handle takes a handle such as 0x81010002.");
  }
  const chainFile = values["aik-cert-chain"];
  const chain = chainFile === undefined ? undefined : await readNamed("--aik-cert-chain", chainFile);
  return defined<NonNullable<RouterOptions["tpm"]>>({
    tcti,
    aik: kind,
    pcrs,
    persistentHandle: handle === undefined ? undefined : Number(handle),
    certificateChain: chain?.toString("latin1"),
    queueLimit: wholeNumber("tpm-queue", values["tpm-queue"]),
  });
}

function tierModelsOf(entries: readonly string[]): Partial<Record<SecurityTier, string[]>> {
  const models: Partial<Record<SecurityTier, string[]>> = {};
  for (const entry of entries) {
    const at = entry.indexOf("=");
    const tier = entry.slice(0, at);
    if (at < 0 || !isSecurityTier(tier))
      throw new UsageError("--allow-model takes TIER=MODEL, the tier being standard, high or maximum.");
    (models[tier] ??= []).push(entry.slice(at + 1));
  }
  return models;
}

function rateLimitOf(text: string | undefined): RouterOptions["rateLimit"] {
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)(?::(\d+))?$/.exec(text);
  if (match === null) throw new UsageError("--rate-limit takes N or N:BURST, e.g. 2:4.");
  const perSecond = Number(match[1]);
  return { perSecond, burst: match[2] === undefined ? Math.max(1, 2 * perSecond) : Number(match[2]) };
}

function lockingOf(values: Values): Locking | undefined {
  return oneWord("secure-memory", values["secure-memory"], ["required", "preferred", "off"]);
}
