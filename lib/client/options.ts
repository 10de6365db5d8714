/** The options of a client and of one request: what they are, their defaults and checks. */
import { enforcementOf } from "../attestation/enforcement.js";
import type { AttestationOption, Enforcement } from "../attestation/enforcement.js";
import { securityTiers } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { ConfigurationError, SecurityError } from "../errors.js";
import type { DispatcherLike, FetchLike } from "../http/fetch-transport.js";
import type { Rate } from "../http/rate-limiter.js";
import { checkKeyPassword } from "../keys/key-password.js";
import type { KeyPassword } from "../keys/key-password.js";
import { KnownServersFile } from "../keys/known-servers.js";
import { resolveSecureMemory } from "../memory/secure-memory.js";
import type { SecureMemory } from "../memory/secure-memory.js";
import { threadLimit } from "../memory/thread-limit.js";
import { boolean, callable, integer, number, oneOf, resolveByTable, text } from "../option-checks.js";
import type { OptionTable, ResolvedBy } from "../option-checks.js";
import { isHex, isPrintableWord } from "../printable.js";
import { checkReceipts } from "../receipts/receipt-options.js";
import type { ReceiptOptions } from "../receipts/receipt-options.js";
import { guardedLogger, isLogger } from "./logger.js";
import type { Logger } from "./logger.js";
import type { ServerKeyTrust } from "./server-key.js";

/** A key, or a function that gives one; it is called for every attempt, so that short-lived keys work. */
export type ApiKey = string | (() => string | Promise<string>);

/** How the server's key is trusted (PROTOCOL section 5). */
export interface ServerKeyOptions {
  /**
   * Pins: the server's key must be one of these. SHA-256 of its SubjectPublicKeyInfo DER in hex, either case, with or
   * without colons and the prefix `sha256:`.
   */
  readonly fingerprints?: string | readonly string[] | undefined;
  /**
   * How long a fetched key is used, in milliseconds. 3 600 000 (one hour) by default; 0 fetches it for every request.
   */
  readonly cacheTtl?: number | undefined;
  /** Smallest modulus in bits: 4096 by default, 2048 to 8192. */
  readonly minBits?: number | undefined;
  /** A file that remembers the keys of servers across processes, like `known_hosts`. */
  readonly knownServersFile?: string | undefined;
}

/**
 * A token bucket on this side. The hosted service documents one to two requests a second for each API key, and short
 * bursts of twice that: `{ requestsPerSecond: 1, burst: 2 }` keeps below it always, `{ requestsPerSecond: 2, burst: 4
 * }` uses it fully.
 */
export interface RateLimitOptions {
  /** Tokens that come back each second; above 0. */
  readonly requestsPerSecond: number;
  /** The most tokens that gather, so the size of a burst; at least 1. Twice `requestsPerSecond` by default. */
  readonly burst?: number | undefined;
}

/**
 * Options of a client. All are optional; every wrong or unknown one is refused with a `ConfigurationError` that names
 * it.
 */
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
   * What happens when memory cannot be locked: `"required"` (default; the same as `true`), `"preferred"`, `"off"`
   * (`false`). As an object it can demand a way of locking too.
   */
  readonly secureMemory?: SecureMemory | undefined;
  /**
   * The most threads that the package has of its own, for private-key work, opening and verifying: 1 to 64, for the
   * whole process. By default as many as the process has cores (on Linux `taskset` and quotas of containers count),
   * fewer under a low lock limit. A number other than an earlier client's is a `ConfigurationError`, and so is one that
   * is smaller than the number of threads which have started.
   */
  readonly threads?: number | undefined;
  readonly serverKey?: ServerKeyOptions | undefined;
  /** `"off"`, `"report"` (default), `"require"`, or a policy. */
  readonly attestation?: AttestationOption | undefined;
  /** A limit on this side; off by default. See {@link RateLimitOptions} for the hosted service's values. */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** Largest sealed answer in bytes; 67 108 864 (64 MiB) by default. */
  readonly maxResponseBytes?: number | undefined;
  /** A `fetch` to use instead of this package's own connections. */
  readonly fetch?: FetchLike | undefined;
  /**
   * An undici dispatcher (`ProxyAgent`, `Agent` with `connect: { ca, cert, key }` …), used through `fetch`, else Node's
   * own.
   */
  readonly dispatcher?: DispatcherLike | undefined;
  /**
   * A folder that gets a receipt of each answer before the answer is handed on, and of each that was refused
   * (docs/receipts.md). An answer whose receipt cannot be written is wiped, with a `SecurityError`
   * (`RECEIPT_NOT_WRITTEN`).
   */
  readonly receipts?: string | ReceiptOptions | undefined;
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

/** The longest delay of a Node timer; a longer `timeout` would end at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Every option of a client. A later one may ask for an earlier one. */
export const clientOptions = {
  apiKey: {
    get otherwise() {
      return emptyAsUnset(process.env["NOMYO_API_KEY"]);
    },
    nullable: true,
    parse: checkApiKey,
  },
  allowHttp: { otherwise: false, parse: boolean },
  baseUrl: {
    otherwise: "https://api.nomyo.ai",
    parse: (value, _name, { allowHttp }) => checkBaseUrl(value, allowHttp === true),
  },
  timeout: { otherwise: 600_000, parse: integer(1, MAX_TIMEOUT_MS) },
  maxRetries: { otherwise: 2, parse: integer(0, 10) },
  keyDir: { parse: text },
  keyPassword: {
    parse(value, name, { keyDir }) {
      if (keyDir !== undefined) return checkKeyPassword(value, name);
      throw new ConfigurationError(name, "`keyPassword` protects files in `keyDir`, which is not given.");
    },
  },
  keyRotationInterval: { otherwise: 86_400_000, parse: integer(0, Number.MAX_SAFE_INTEGER) },
  padding: { otherwise: "none", parse: oneOf<"none" | "bucket">(["none", "bucket"]) },
  secureMemory: { otherwise: "required", parse: (value) => resolveSecureMemory(value) },
  threads: { parse: threadLimit },
  serverKey: { otherwise: {}, parse: checkServerKey },
  attestation: { otherwise: "report", parse: enforcementOf },
  rateLimit: { parse: checkRateLimit },
  maxResponseBytes: { otherwise: 67_108_864, parse: integer(1024, 2 ** 31 - 1) },
  fetch: { parse: (value, name) => callable(value, name) },
  dispatcher: { parse: checkDispatcher },
  receipts: { parse: checkReceipts },
  logger: { parse: checkLogger },
} satisfies OptionTable<ClientOptions>;

/** Every option of `serverKey`. */
export const serverKeyOptions = {
  fingerprints: { parse: checkFingerprints },
  cacheTtl: { otherwise: 3_600_000, parse: integer(0, Number.MAX_SAFE_INTEGER) },
  minBits: { otherwise: 4096, parse: integer(2048, 8192) },
  knownServersFile: {
    parse(value, name, { fingerprints }) {
      if (fingerprints === undefined) return new KnownServersFile(text(value, name));
      throw new ConfigurationError(
        name,
        "`serverKey.fingerprints` and `serverKey.knownServersFile` contradict each other: a pinned key is not " +
          "learned from a file.",
      );
    },
  },
} satisfies OptionTable<ServerKeyOptions>;

const rateLimitOptions = {
  requestsPerSecond: { required: true, parse: number(0, true) },
  burst: { parse: number(1) },
} satisfies OptionTable<RateLimitOptions>;

/** Every option of one request. What is left out is the client's. */
export const requestOptions = (client: ResolvedOptions) =>
  ({
    signal: { nullable: true, parse: checkSignal },
    timeout: { parse: clientOptions.timeout.parse },
    maxRetries: { parse: clientOptions.maxRetries.parse },
    apiKey: { nullable: true, parse: checkApiKey },
    baseUrl: { parse: (value) => checkBaseUrl(value, client.allowHttp) },
    attestation: { parse: enforcementOf },
    security_tier: { parse: oneOf(securityTiers) },
  }) satisfies OptionTable<RequestOptions>;

/** A client's options, checked and complete. */
export type ResolvedOptions = Omit<ResolvedBy<typeof clientOptions>, "logger"> & { readonly logger: Logger };

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

/** Checks the constructor's options and fills in the defaults. Nothing is sent, opened or generated here. */
export function resolveClientOptions(given: ClientOptions): ResolvedOptions {
  const options = resolveByTable(given, clientOptions);
  return { ...options, logger: guardedLogger(options.logger) };
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
  const options = resolveByTable(given, requestOptions(client));
  const securityTier = checkTier(bodyTier ?? undefined, options.security_tier);
  const attestation = options.attestation ?? client.attestation;
  if (securityTier === "maximum" && options.attestation === undefined && attestation.mode === "off") {
    throw new ConfigurationError(
      "attestation",
      'Tier "maximum" promises attestation, and the client has `attestation: "off"`. Choose "report", "require" or a ' +
        "policy, " +
        'or pass `attestation: "off"` with this very request.',
    );
  }
  const apiKey = options.apiKey === undefined ? client.apiKey : options.apiKey;
  const baseUrl = options.baseUrl ?? client.baseUrl;
  checkKeyGiven(apiKey, baseUrl);
  return {
    signal: options.signal,
    timeout: options.timeout ?? client.timeout,
    maxRetries: options.maxRetries ?? client.maxRetries,
    apiKey: apiKey ?? undefined,
    baseUrl,
    attestation,
    securityTier,
  };
}

/**
 * The hosted service answers nobody without a key, which is known before anything is sealed and sent. A router may. Not
 * of `null`, which says that none is wanted.
 */
export function checkKeyGiven(apiKey: ApiKey | null | undefined, baseUrl: string): void {
  if (apiKey !== undefined) return;
  const { hostname } = new URL(baseUrl);
  if (hostname !== "nomyo.ai" && !hostname.endsWith(".nomyo.ai")) return;
  throw new ConfigurationError(
    "apiKey",
    `No API key was given, and ${hostname} wants one: set \`apiKey\`, or the environment variable NOMYO_API_KEY. ` +
      "Nothing was sent.",
  );
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

/** `null` stays: it says that none is to be sent, whatever the client or the environment has. */
function checkApiKey(apiKey: ApiKey | null): ApiKey | null {
  return apiKey === null || typeof apiKey === "function" ? apiKey : checkApiKeyText(apiKey);
}

/**
 * The value is never quoted. Without this check a fetch's `Headers` would do so: its error for a bad value contains the
 * value.
 */
function checkApiKeyText(value: unknown): string {
  if (typeof value === "string" && isPrintableWord(value)) return value;
  throw new ConfigurationError(
    "apiKey",
    "`apiKey` must be a string of visible ASCII characters, or a function that gives one: no spaces, no line breaks, " +
      "not empty.",
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
    throw new ConfigurationError(
      "baseUrl",
      "`baseUrl` must begin with https://, or with http:// and `allowHttp: true`.",
    );
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
      "`baseUrl` is plain http:, so everybody on the way could read the API key and replace the server's key. " +
        "Nothing was sent. " +
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
    "Each of `serverKey.fingerprints` must be a SHA-256 in hex: 64 digits, with or without colons and the prefix " +
      "sha256:",
  );
}

function checkServerKey(given: ServerKeyOptions, option: string): ServerKeyTrust {
  const { fingerprints, cacheTtl, minBits, knownServersFile } = resolveByTable(given, serverKeyOptions, option);
  return { fingerprints: fingerprints ?? [], cacheTtl, minBits, knownServers: knownServersFile };
}

function checkFingerprints(given: string | readonly string[], option: string): readonly string[] {
  const pins = typeof given === "string" ? [given] : given;
  if (!Array.isArray(pins)) {
    throw new ConfigurationError(option, `\`${option}\` must be a fingerprint, or a list of fingerprints.`);
  }
  if (pins.length === 0) {
    throw new ConfigurationError(option, `\`${option}\` is an empty list: leave it out, or pin a key.`);
  }
  return pins.map(normaliseFingerprint);
}

function checkRateLimit(given: RateLimitOptions, option: string): Rate {
  const { requestsPerSecond, burst } = resolveByTable(given, rateLimitOptions, option);
  return { perSecond: requestsPerSecond, burst: burst ?? Math.max(1, 2 * requestsPerSecond) };
}

function checkTier(inBody: unknown, inOptions: SecurityTier | undefined): SecurityTier | undefined {
  if (inBody !== undefined && inOptions !== undefined && inBody !== inOptions) {
    throw new ConfigurationError(
      "security_tier",
      "`security_tier` differs between the request's body and its options.",
    );
  }
  return inBody === undefined ? inOptions : oneOf(securityTiers)(inBody, "security_tier");
}

function checkSignal(signal: AbortSignal | null, option: string): AbortSignal | undefined {
  if (signal === null) return undefined;
  // By shape, not by class: polyfills and other realms have their own.
  if (
    typeof signal === "object" &&
    typeof signal.aborted === "boolean" &&
    typeof signal.addEventListener === "function"
  ) {
    return signal;
  }
  throw new ConfigurationError(option, `\`${option}\` must be an AbortSignal.`);
}

function checkDispatcher(dispatcher: DispatcherLike, option: string): DispatcherLike {
  if (typeof (dispatcher as Partial<DispatcherLike>).dispatch === "function") return dispatcher;
  throw new ConfigurationError(option, `\`${option}\` must be an undici Dispatcher, e.g. an Agent or a ProxyAgent.`);
}

function checkLogger(logger: Logger, option: string): Logger {
  if (isLogger(logger)) return logger;
  throw new ConfigurationError(option, `\`${option}\` must have the methods debug, info, warn and error.`);
}
