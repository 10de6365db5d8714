/** The router's options: their meaning, defaults and checks. */
import { isPrintableWord, withoutBrackets } from "../printable.js";
import { isIP } from "node:net";
import { ConfigurationError } from "../errors.js";
import type { KeyPassword } from "../keys/key-password.js";
import { resolveSecureMemory } from "../memory/secure-memory.js";
import type { MemoryMechanism, SecureMemory } from "../memory/secure-memory.js";
import type { LockPolicy, QuoteOptions } from "../native.js";
import { ownMembers } from "../own-members.js";
import { ApiKeys } from "../http/api-keys.js";
import { Attestor } from "./attestor.js";
import { errorKind } from "../http/error-kind.js";
import type { RateLimit } from "./rate-limit.js";
import { isSecurityTier, securityTiers } from "../chat/security-tier.js";
import type { TierModels } from "./tier-models.js";
import { completionsUrl } from "./upstream.js";

export interface RouterOptions {
  /** The address to listen on; `127.0.0.1` by default. Any other than loopback needs `apiKeys` and `tls`, or the `allow…` options. */
  readonly host?: string;
  /** The port; 0, the default, lets the system choose. */
  readonly port?: number;
  /** PEM texts. */
  readonly tls?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
  /** API keys of 16 or more visible ASCII characters, or `sha256:<64 hex digits>` of one. None: everyone is answered. */
  readonly apiKeys?: readonly string[];
  /** Answer everyone, on an address that others can reach. */
  readonly allowOpen?: boolean;
  /** Speak plain HTTP on an address that others can reach, e.g. behind a proxy that ends TLS. */
  readonly allowHttp?: boolean;
  /** A PKCS#8 PEM file with the server's RSA-4096 key, mode 0600; without it a key is made at each start. */
  readonly keyFile?: string;
  /** The password of `keyFile`; a `SecureBuffer` stays the caller's. */
  readonly keyPassword?: KeyPassword;
  /** Forward to this server; without it the echo model answers. */
  readonly upstream?: {
    /** e.g. `http://127.0.0.1:11434`; with or without `/v1`. */
    readonly url: string;
    /** Sent as a bearer token. */
    readonly apiKey?: string;
    /** Milliseconds for a whole answer; 600 000. */
    readonly timeoutMs?: number;
    /** Milliseconds for connecting; 10 000. */
    readonly connectTimeoutMs?: number;
    /** Send prompts over plain HTTP to an address that is not loopback. */
    readonly allowHttp?: boolean;
  };
  /** Attach a quote of this TPM to each answer. */
  readonly tpm?: {
    /** e.g. `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`. */
    readonly tcti: string;
    /** The kind of AIK to make for each quote; `ecc-p256`. */
    readonly aik?: NonNullable<QuoteOptions["aik"]>;
    /** tpm2-tools' grammar; `sha256:0,7,10`. */
    readonly pcrs?: string;
    /** A persistent AIK, e.g. 0x81010002, instead of one made for each quote. */
    readonly persistentHandle?: number;
    /** PEM certificates of that AIK, its own first. */
    readonly certificateChain?: string;
    /** Quotes that may wait; 64. */
    readonly queueLimit?: number;
    /** Milliseconds for one quote; 10 000. */
    readonly timeoutMs?: number;
    /** Milliseconds between attempts to reach a TPM that is gone; 1 000. */
    readonly reopenMs?: number;
  };
  /** The models that each tier allows; a tier without a list allows all. */
  readonly tierModels?: TierModels;
  /** For each API key; none by default. */
  readonly rateLimit?: RateLimit;
  /** Bytes of a request's body; 64 MiB. */
  readonly maxBodyBytes?: number;
  /** Bytes of a request's plaintext; 10 MiB. */
  readonly maxPlaintextBytes?: number;
  /** Requests whose bodies are there, at one time; 256. More are answered 503. Four times as many may be sending theirs. */
  readonly maxRequests?: number;
  /** Of these, for one API key; half of `maxRequests` where there are several keys, else all. More are answered 429. */
  readonly maxRequestsPerKey?: number;
  /** What to do when memory cannot be locked, `required` by default; as an object it can demand a way of locking too. */
  readonly secureMemory?: SecureMemory;
  /** False: the router is up, but answers 404, "secure inference not enabled". */
  readonly secureInference?: boolean;
  /** Milliseconds that the echo model takes; 0. */
  readonly echoDelayMs?: number;
  /** Milliseconds that requests under way get to finish when the router stops; 30 000. */
  readonly stopTimeoutMs?: number;
  /** One sentence for the operator. Never holds content of a request. */
  readonly log?: (message: string) => void;
  /** One entry for each answer. */
  readonly accessLog?: (entry: AccessEntry) => void;
}

/** Sizes, statuses and times; nothing of a request's content, not even its path or id. */
export interface AccessEntry {
  readonly route: "public_key" | "secure_completion" | "healthz" | "other";
  /** 0 when the client went away before there was an answer. */
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly milliseconds: number;
}

/** {@link RouterOptions} with defaults, checked. */
export interface RouterSettings {
  readonly host: string;
  readonly port: number;
  readonly tls: RouterOptions["tls"];
  readonly apiKeys: ApiKeys;
  readonly keyFile: string | undefined;
  readonly keyPassword: KeyPassword | undefined;
  readonly upstream:
    | {
        readonly url: URL;
        readonly apiKey: string | undefined;
        readonly timeoutMs: number;
        readonly connectTimeoutMs: number;
      }
    | undefined;
  readonly attestor: Attestor | undefined;
  readonly tierModels: TierModels;
  readonly rateLimit: RateLimit | undefined;
  readonly maxBodyBytes: number;
  readonly maxPlaintextBytes: number;
  readonly maxRequests: number;
  readonly maxRequestsPerKey: number;
  readonly policy: LockPolicy;
  readonly mechanism: MemoryMechanism | undefined;
  readonly secureInference: boolean;
  readonly echoDelayMs: number;
  readonly stopTimeoutMs: number;
  readonly log: (message: string) => void;
  readonly accessLog: ((entry: AccessEntry) => void) | undefined;
}

/** Throws a {@link ConfigurationError} that names the option. */
export function resolveOptions(given: RouterOptions): RouterSettings {
  // Own members only, and all the way down: what a polluted `Object.prototype` says is no option.
  const options = ownMembers(given);
  const host = options.host ?? "127.0.0.1";
  const apiKeys = new ApiKeys(options.apiKeys ?? []);
  if (!isLoopback(host)) {
    if (apiKeys.open && options.allowOpen !== true) {
      throw new ConfigurationError(
        "apiKeys",
        `Without API keys everyone who can reach ${host} could use the model. Give API keys, or set allowOpen if that is wanted.`,
      );
    }
    if (options.tls === undefined && options.allowHttp !== true) {
      throw new ConfigurationError(
        "tls",
        `On ${host} API keys and the server's public key would travel over plain HTTP. Give a TLS certificate and key, or set allowHttp ` +
          "if a proxy in front ends TLS.",
      );
    }
  }
  const log = guarded(options.log ?? (() => undefined), () => undefined);
  const maxRequests = integer("maxRequests", options.maxRequests, 256, 1, 1_000_000);
  const share = apiKeys.count > 1 ? Math.ceil(maxRequests / 2) : maxRequests;
  return {
    host,
    port: integer("port", options.port, 0, 0, 65_535),
    tls: options.tls === undefined ? undefined : ownMembers(options.tls),
    apiKeys,
    keyFile: options.keyFile,
    keyPassword: options.keyPassword,
    upstream: options.upstream === undefined ? undefined : resolveUpstream(ownMembers(options.upstream)),
    attestor: options.tpm === undefined ? undefined : resolveTpm(ownMembers(options.tpm), log),
    tierModels: checkTierModels(ownMembers(options.tierModels ?? {})),
    rateLimit: options.rateLimit === undefined ? undefined : checkRateLimit(ownMembers(options.rateLimit)),
    maxBodyBytes: integer("maxBodyBytes", options.maxBodyBytes, 64 * 1024 * 1024, 1024, 1024 * 1024 * 1024),
    maxPlaintextBytes: integer("maxPlaintextBytes", options.maxPlaintextBytes, 10 * 1024 * 1024, 2, 1024 * 1024 * 1024),
    maxRequests,
    maxRequestsPerKey: integer("maxRequestsPerKey", options.maxRequestsPerKey, share, 1, maxRequests),
    ...resolveSecureMemory(options.secureMemory),
    secureInference: options.secureInference ?? true,
    echoDelayMs: integer("echoDelayMs", options.echoDelayMs, 0, 0, 3_600_000),
    stopTimeoutMs: integer("stopTimeoutMs", options.stopTimeoutMs, 30_000, 0, 3_600_000),
    log,
    accessLog:
      options.accessLog && guarded(options.accessLog, (error) => log(`the access log failed (${errorKind(error)})`)),
  };
}

/**
 * The caller's function, of which no failure goes anywhere but to `failed`: what is told to a log must not decide whether a request is
 * answered, or the process lives.
 */
function guarded<T>(tell: (what: T) => unknown, failed: (error: unknown) => void): (what: T) => void {
  return (what) => {
    try {
      // It may be asynchronous, whatever its type says.
      Promise.resolve(tell(what)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}

/** Whether only this machine can reach the address. A name other than `localhost` may resolve to anything. */
export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host);
  if (isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "::1" || bare === "localhost";
}

function resolveUpstream(upstream: NonNullable<RouterOptions["upstream"]>): RouterSettings["upstream"] {
  if (!URL.canParse(upstream.url)) throw new ConfigurationError("upstream.url", "The upstream's URL is not a URL.");
  const url = completionsUrl(upstream.url);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new ConfigurationError("upstream.url", "The upstream's URL must begin with https:// or http://.");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigurationError(
      "upstream.url",
      "The upstream's URL must have no user name, password, query or fragment.",
    );
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname) && upstream.allowHttp !== true) {
    throw new ConfigurationError(
      "upstream.allowHttp",
      `Opened prompts would travel to ${url.host} over plain HTTP. Use https, or set upstream.allowHttp for a network that you trust.`,
    );
  }
  if (upstream.apiKey !== undefined && !isPrintableWord(upstream.apiKey)) {
    throw new ConfigurationError("upstream.apiKey", "The upstream's API key must be visible ASCII characters.");
  }
  return {
    url,
    apiKey: upstream.apiKey,
    timeoutMs: integer("upstream.timeoutMs", upstream.timeoutMs, 600_000, 1, 86_400_000),
    connectTimeoutMs: integer("upstream.connectTimeoutMs", upstream.connectTimeoutMs, 10_000, 1, 86_400_000),
  };
}

function resolveTpm(tpm: NonNullable<RouterOptions["tpm"]>, log: (message: string) => void): Attestor {
  const chain = certificates(tpm.certificateChain ?? "");
  if (tpm.certificateChain !== undefined && chain.length === 0) {
    throw new ConfigurationError("tpm.certificateChain", "The AIK's certificate chain holds no PEM certificate.");
  }
  if (chain.length > 0 && tpm.persistentHandle === undefined) {
    throw new ConfigurationError(
      "tpm.certificateChain",
      "A certificate chain needs a persistent AIK (tpm.persistentHandle): a key made for each quote has no certificate.",
    );
  }
  if (tpm.persistentHandle !== undefined && tpm.persistentHandle >>> 24 !== 0x81) {
    throw new ConfigurationError("tpm.persistentHandle", "A persistent handle lies between 0x81000000 and 0x81ffffff.");
  }
  return new Attestor({
    tcti: tpm.tcti,
    quote: {
      ...(tpm.aik === undefined ? {} : { aik: tpm.aik }),
      ...(tpm.pcrs === undefined ? {} : { pcrs: tpm.pcrs }),
      ...(tpm.persistentHandle === undefined ? {} : { persistentHandle: tpm.persistentHandle }),
    },
    certificateChain: chain,
    queueLimit: integer("tpm.queueLimit", tpm.queueLimit, 64, 1, 100_000),
    timeoutMs: integer("tpm.timeoutMs", tpm.timeoutMs, 10_000, 1, 600_000),
    reopenMs: integer("tpm.reopenMs", tpm.reopenMs, 1_000, 0, 600_000),
    log,
  });
}

/** Base64 of DER, one for each certificate of a PEM text. */
function certificates(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => block.replace(/-----[A-Z ]+-----|\s/g, ""));
}

function checkTierModels(models: TierModels): TierModels {
  for (const [tier, list] of Object.entries(models)) {
    if (!isSecurityTier(tier)) {
      throw new ConfigurationError("tierModels", `"${tier}" is not a security tier: use ${securityTiers.join(", ")}.`);
    }
    if (list.some((model) => model === ""))
      throw new ConfigurationError("tierModels", "A model's name must not be empty.");
  }
  return models;
}

function checkRateLimit(limit: RateLimit): RateLimit {
  if (!(limit.perSecond > 0 && Number.isFinite(limit.perSecond) && limit.burst >= 1 && Number.isFinite(limit.burst))) {
    throw new ConfigurationError(
      "rateLimit",
      "The rate limit needs a positive number of requests a second, and a burst of at least 1.",
    );
  }
  return limit;
}

function integer(option: string, value: number | undefined, fallback: number, least: number, most: number): number {
  if (value === undefined) return fallback;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new ConfigurationError(option, `${option} must be a whole number from ${least} to ${most}.`);
  }
  return value;
}
