import { isHex, isPrintableWord } from "../printable.js";
import { ConfigurationError, SecurityError } from "../errors.js";
import { enforcementOf } from "../attestation/enforcement.js";
import type { AttestationOption, Enforcement } from "../attestation/enforcement.js";
import { securityTiers } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import type { LockPolicy } from "../native.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { resolveSecureMemory } from "../memory/secure-memory.js";
import type { MemoryMechanism, SecureMemory } from "../memory/secure-memory.js";
import { boolean, callable, checkNames, integer, oneOf, text } from "../option-checks.js";
import type { DispatcherLike, FetchLike } from "../http/fetch-transport.js";
import { KnownServersFile } from "../keys/known-servers.js";
import type { KeyPassword } from "../keys/key-password.js";
import { guardedLogger, isLogger } from "./logger.js";
import type { Logger } from "./logger.js";
import type { RateLimitOptions } from "./rate-limit.js";
import type { ServerKeyPolicy } from "./server-key.js";

/** A key, or a function that gives one; it is called for every attempt, so that short-lived keys work. */
export type ApiKey = string | (() => string | Promise<string>);

/** How the server's key is trusted (PROTOCOL section 5). */
export interface ServerKeyOptions {
  /**
   * Pins: the server's key must be one of these. SHA-256 of its SubjectPublicKeyInfo DER in hex, either case, with or without colons
   * and the prefix `sha256:`.
   */
  readonly fingerprints?: string | readonly string[] | undefined;
  /** How long a fetched key is used, in milliseconds. 3 600 000 (one hour) by default; 0 fetches it for every request. */
  readonly cacheTtl?: number | undefined;
  /** Smallest modulus in bits: 4096 by default, 2048 to 8192. */
  readonly minBits?: number | undefined;
  /** A file that remembers the keys of servers across processes, like `known_hosts`. */
  readonly knownServersFile?: string | undefined;
}

/** Options of a client. All are optional; every wrong or unknown one is refused with a `ConfigurationError` that names it. */
export interface ClientOptions {
  /** Read from the environment variable `NOMYO_API_KEY` when it is not given. `null`: send none. */
  readonly apiKey?: ApiKey | null | undefined;
  /** `https://api.nomyo.ai` by default. Never read from the environment: that could redirect prompts. */
  readonly baseUrl?: string | undefined;
  /** Allows `http:` in `baseUrl`; for tests and for a router on the same machine. `false` by default. */
  readonly allowHttp?: boolean | undefined;
  /** For one attempt, from connecting to the last byte, in milliseconds; 600 000 (10 minutes) by default. */
  readonly timeout?: number | undefined;
  /** Extra attempts after the first, 0 to 10; 2 by default. */
  readonly maxRetries?: number | undefined;
  /** A folder for the client's key pair. Without one the key lives in memory only and dies with the client. */
  readonly keyDir?: string | undefined;
  /** Protects `private_key.pem` in `keyDir`; at least 8 characters to write a key, any password to read one. */
  readonly keyPassword?: KeyPassword | undefined;
  /** Age at which the client's key is replaced, in milliseconds; 86 400 000 (24 hours) by default, 0 for never. */
  readonly keyRotationInterval?: number | undefined;
  /** `"bucket"` appends spaces to the JSON so that only a few lengths are ever seen; `"none"` by default. */
  readonly padding?: "none" | "bucket" | undefined;
  /**
   * What happens when memory cannot be locked: `"required"` (default; the same as `true`), `"preferred"`, `"off"` (`false`). As an object
   * it can demand a way of locking too.
   */
  readonly secureMemory?: SecureMemory | undefined;
  readonly serverKey?: ServerKeyOptions | undefined;
  /** `"off"`, `"report"` (default), `"require"`, or a policy. */
  readonly attestation?: AttestationOption | undefined;
  /** A limit on this side; off by default. See {@link RateLimitOptions} for the hosted service's values. */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** Largest sealed answer in bytes; 67 108 864 (64 MiB) by default. */
  readonly maxResponseBytes?: number | undefined;
  /** A `fetch` to use instead of this package's own connections. */
  readonly fetch?: FetchLike | undefined;
  /** An undici dispatcher (`ProxyAgent`, `Agent` with `connect: { ca, cert, key }` …), used through `fetch`, else Node's own. */
  readonly dispatcher?: DispatcherLike | undefined;
  /** Told what the client does; silent without one. */
  readonly logger?: Logger | undefined;
}

/** Options of one request. They win over the client's. */
export interface RequestOptions {
  /** Ends the request, in whatever phase it is, with an `APIUserAbortError`. */
  readonly signal?: AbortSignal | null | undefined;
  readonly timeout?: number | undefined;
  readonly maxRetries?: number | undefined;
  readonly apiKey?: ApiKey | null | undefined;
  readonly baseUrl?: string | undefined;
  readonly attestation?: AttestationOption | undefined;
  /** The same as `security_tier` in the request's body, for those whose types do not know it there. */
  readonly security_tier?: SecurityTier | undefined;
}

/** A client's options, checked and complete. */
export interface ResolvedOptions {
  readonly apiKey: ApiKey | undefined;
  readonly baseUrl: string;
  readonly allowHttp: boolean;
  readonly timeout: number;
  readonly maxRetries: number;
  readonly keyDir: string | undefined;
  readonly keyPassword: KeyPassword | undefined;
  readonly keyRotationInterval: number;
  readonly padding: "none" | "bucket";
  readonly policy: LockPolicy;
  readonly mechanism: MemoryMechanism | undefined;
  readonly serverKey: ServerKeyPolicy;
  readonly attestation: Enforcement;
  readonly rateLimit: RateLimitOptions | undefined;
  readonly maxResponseBytes: number;
  readonly fetch: FetchLike | undefined;
  readonly dispatcher: DispatcherLike | undefined;
  readonly logger: Logger;
}

/** One request's options, checked and complete. */
export interface ResolvedRequestOptions {
  readonly signal: AbortSignal | undefined;
  readonly timeout: number;
  readonly maxRetries: number;
  readonly apiKey: ApiKey | undefined;
  readonly baseUrl: string;
  readonly attestation: Enforcement;
  readonly securityTier: SecurityTier | undefined;
}

const DEFAULT_BASE_URL = "https://api.nomyo.ai";
/** The longest delay of a Node timer; a longer `timeout` would end at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const clientOptionNames: ReadonlySet<string> = new Set<keyof ClientOptions>([
  "apiKey",
  "baseUrl",
  "allowHttp",
  "timeout",
  "maxRetries",
  "keyDir",
  "keyPassword",
  "keyRotationInterval",
  "padding",
  "secureMemory",
  "serverKey",
  "attestation",
  "rateLimit",
  "maxResponseBytes",
  "fetch",
  "dispatcher",
  "logger",
]);
const requestOptionNames: ReadonlySet<string> = new Set<keyof RequestOptions>([
  "signal",
  "timeout",
  "maxRetries",
  "apiKey",
  "baseUrl",
  "attestation",
  "security_tier",
]);

/** Checks the constructor's options and fills in the defaults. Nothing is sent, opened or generated here. */
export function resolveClientOptions(given: ClientOptions): ResolvedOptions {
  const options = checkNames(given, clientOptionNames, "");
  const allowHttp = boolean("allowHttp", options.allowHttp, false);
  const keyDir = options.keyDir === undefined ? undefined : text("keyDir", options.keyDir);
  return {
    apiKey: checkApiKey(options.apiKey === undefined ? emptyAsUnset(process.env["NOMYO_API_KEY"]) : options.apiKey),
    baseUrl: checkBaseUrl(options.baseUrl ?? DEFAULT_BASE_URL, allowHttp),
    allowHttp,
    timeout: integer("timeout", options.timeout ?? 600_000, 1, MAX_TIMEOUT_MS),
    maxRetries: integer("maxRetries", options.maxRetries ?? 2, 0, 10),
    keyDir,
    keyPassword: checkKeyPassword(options.keyPassword, keyDir),
    keyRotationInterval: integer(
      "keyRotationInterval",
      options.keyRotationInterval ?? 86_400_000,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    padding: oneOf("padding", options.padding ?? "none", ["none", "bucket"]),
    ...resolveSecureMemory(options.secureMemory),
    serverKey: checkServerKey(options.serverKey ?? {}),
    attestation: enforcementOf(options.attestation ?? "report"),
    rateLimit: checkRateLimit(options.rateLimit),
    maxResponseBytes: integer("maxResponseBytes", options.maxResponseBytes ?? 67_108_864, 1024, 2 ** 31 - 1),
    fetch: options.fetch === undefined ? undefined : callable("fetch", options.fetch),
    dispatcher: checkDispatcher(options.dispatcher),
    logger: guardedLogger(checkLogger(options.logger)),
  };
}

/**
 * Checks one request's options against the client's.
 *
 * @param bodyTier - `security_tier` of the request's body.
 */
export function resolveRequestOptions(
  client: ResolvedOptions,
  given: RequestOptions,
  bodyTier: unknown,
): ResolvedRequestOptions {
  const options = checkNames(given, requestOptionNames, "");
  const securityTier = checkTier(bodyTier ?? undefined, options.security_tier);
  const attestation = options.attestation === undefined ? client.attestation : enforcementOf(options.attestation);
  if (securityTier === "maximum" && options.attestation === undefined && attestation.mode === "off") {
    throw new ConfigurationError(
      "attestation",
      'Tier "maximum" promises attestation, and the client has `attestation: "off"`. Choose "report", "require" or a policy, ' +
        'or pass `attestation: "off"` with this very request.',
    );
  }
  return {
    signal: checkSignal(options.signal),
    timeout: options.timeout === undefined ? client.timeout : integer("timeout", options.timeout, 1, MAX_TIMEOUT_MS),
    maxRetries: options.maxRetries === undefined ? client.maxRetries : integer("maxRetries", options.maxRetries, 0, 10),
    apiKey: options.apiKey === undefined ? client.apiKey : checkApiKey(options.apiKey),
    baseUrl: options.baseUrl === undefined ? client.baseUrl : checkBaseUrl(options.baseUrl, client.allowHttp),
    attestation,
    securityTier,
  };
}

/** The value of `Authorization`, asked for anew for every attempt. */
export async function authorization(apiKey: ApiKey | undefined): Promise<string | undefined> {
  if (apiKey === undefined) return undefined;
  let key: unknown = apiKey;
  if (typeof apiKey === "function") {
    try {
      key = await apiKey();
    } catch {
      // Neither its text nor the error itself: what a secret store's error says may hold what it stores.
      throw new ConfigurationError("apiKey", "The `apiKey` function failed. Catch inside it to see why.");
    }
  }
  return `Bearer ${checkApiKeyText(key)}`;
}

function checkApiKey(apiKey: ApiKey | null | undefined): ApiKey | undefined {
  if (apiKey === undefined || apiKey === null) return undefined;
  return typeof apiKey === "function" ? apiKey : checkApiKeyText(apiKey);
}

/** The value is never quoted. Without this check a fetch's `Headers` would do so: its error for a bad value contains the value. */
function checkApiKeyText(value: unknown): string {
  if (typeof value === "string" && isPrintableWord(value)) return value;
  throw new ConfigurationError(
    "apiKey",
    "`apiKey` must be a string of visible ASCII characters, or a function that gives one: no spaces, no line breaks, not empty.",
  );
}

function emptyAsUnset(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

/** Checks a base URL and removes its trailing slash. */
export function checkBaseUrl(value: string, allowHttp: boolean): string {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw new ConfigurationError("baseUrl", "`baseUrl` is not a URL. Example: https://api.nomyo.ai");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new ConfigurationError("baseUrl", "`baseUrl` must begin with https://");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigurationError("baseUrl", "`baseUrl` must not hold a user, a password, a query or a fragment.");
  }
  let path = url.pathname;
  while (path.endsWith("/")) path = path.slice(0, -1);
  if (path.endsWith("/v1")) {
    throw new ConfigurationError("baseUrl", "`baseUrl` must not end with /v1: the client adds the path itself.");
  }
  if (url.protocol === "http:" && !allowHttp) {
    throw new SecurityError(
      "`baseUrl` is plain http:, so everybody on the way could read the API key and replace the server's key. Nothing was sent. " +
        "Use https:, or set `allowHttp: true` for a server on the same machine.",
      "PLAIN_HTTP",
    );
  }
  return url.origin + path;
}

/** A pin in any of the accepted forms, as lower-case hex. */
export function normaliseFingerprint(value: unknown): string {
  const text = typeof value === "string" ? value.trim().toLowerCase() : "";
  const hex = (text.startsWith("sha256:") ? text.slice("sha256:".length) : text).replaceAll(":", "");
  if (isHex(hex, 64)) return hex;
  throw new ConfigurationError(
    "serverKey.fingerprints",
    "Each of `serverKey.fingerprints` must be a SHA-256 in hex: 64 digits, with or without colons and the prefix sha256:",
  );
}

function checkServerKey(given: ServerKeyOptions): ServerKeyPolicy {
  if (typeof given !== "object") throw new ConfigurationError("serverKey", "`serverKey` must be an object.");
  const options = checkNames(given, new Set(["fingerprints", "cacheTtl", "minBits", "knownServersFile"]), "serverKey.");
  const { fingerprints, knownServersFile } = options;
  const pins = fingerprints === undefined ? [] : typeof fingerprints === "string" ? [fingerprints] : fingerprints;
  if (!Array.isArray(pins)) {
    throw new ConfigurationError(
      "serverKey.fingerprints",
      "`serverKey.fingerprints` must be a fingerprint, or a list of fingerprints.",
    );
  }
  if (fingerprints !== undefined && pins.length === 0) {
    throw new ConfigurationError(
      "serverKey.fingerprints",
      "`serverKey.fingerprints` is an empty list: leave it out, or pin a key.",
    );
  }
  if (fingerprints !== undefined && knownServersFile !== undefined) {
    throw new ConfigurationError(
      "serverKey.knownServersFile",
      "`serverKey.fingerprints` and `serverKey.knownServersFile` contradict each other: a pinned key is not learned from a file.",
    );
  }
  const file = knownServersFile === undefined ? undefined : text("serverKey.knownServersFile", knownServersFile);
  return {
    fingerprints: pins.map(normaliseFingerprint),
    cacheTtl: integer("serverKey.cacheTtl", options.cacheTtl ?? 3_600_000, 0, Number.MAX_SAFE_INTEGER),
    minBits: integer("serverKey.minBits", options.minBits ?? 4096, 2048, 8192),
    knownServers: file === undefined ? undefined : new KnownServersFile(file),
  };
}

function checkRateLimit(given: RateLimitOptions | undefined): RateLimitOptions | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== "object") throw new ConfigurationError("rateLimit", "`rateLimit` must be an object.");
  const options = checkNames(given, new Set(["requestsPerSecond", "burst"]), "rateLimit.");
  const { requestsPerSecond, burst } = options;
  if (!(Number.isFinite(requestsPerSecond) && requestsPerSecond > 0)) {
    throw new ConfigurationError(
      "rateLimit.requestsPerSecond",
      "`rateLimit.requestsPerSecond` must be a number above 0.",
    );
  }
  if (burst !== undefined && !(Number.isFinite(burst) && burst >= 1)) {
    throw new ConfigurationError("rateLimit.burst", "`rateLimit.burst` must be a number of at least 1.");
  }
  return { requestsPerSecond, burst };
}

function checkKeyPassword(password: KeyPassword | undefined, keyDir: string | undefined): KeyPassword | undefined {
  if (password === undefined) return undefined;
  if (keyDir === undefined) {
    throw new ConfigurationError("keyPassword", "`keyPassword` protects files in `keyDir`, which is not given.");
  }
  if (password === "") throw new ConfigurationError("keyPassword", "`keyPassword` must not be empty.");
  if (typeof password !== "string" && typeof password !== "function" && !(password instanceof SecureBuffer)) {
    throw new ConfigurationError(
      "keyPassword",
      "`keyPassword` must be a string, a SecureBuffer, or a function that gives one.",
    );
  }
  return password;
}

function checkTier(inBody: unknown, inOptions: unknown): SecurityTier | undefined {
  if (inBody !== undefined && inOptions !== undefined && inBody !== inOptions) {
    throw new ConfigurationError(
      "security_tier",
      "`security_tier` differs between the request's body and its options.",
    );
  }
  const tier = inBody ?? inOptions;
  return tier === undefined ? undefined : oneOf("security_tier", tier, securityTiers);
}

function checkSignal(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  // By shape, not by class: polyfills and other realms have their own.
  if (
    typeof signal === "object" &&
    typeof signal.aborted === "boolean" &&
    typeof signal.addEventListener === "function"
  ) {
    return signal;
  }
  throw new ConfigurationError("signal", "`signal` must be an AbortSignal.");
}

function checkDispatcher(dispatcher: DispatcherLike | undefined): DispatcherLike | undefined {
  if (dispatcher === undefined) return undefined;
  if (typeof (dispatcher as Partial<DispatcherLike> | null)?.dispatch === "function") return dispatcher;
  throw new ConfigurationError(
    "dispatcher",
    "`dispatcher` must be an undici Dispatcher, e.g. an Agent or a ProxyAgent.",
  );
}

function checkLogger(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined || isLogger(logger)) return logger;
  throw new ConfigurationError("logger", "`logger` must have the methods debug, info, warn and error.");
}
