/** The router's options: their meaning, defaults and checks. */
import { isSecurityTier, securityTiers } from "../chat/security-tier.js";
import { ConfigurationError } from "../errors.js";
import { ApiKeys } from "../http/api-keys.js";
import { errorKind } from "../http/error-kind.js";
import { isLoopback } from "../http/loopback.js";
import { guarded } from "../http/operator.js";
import { checkKeyPassword } from "../keys/key-password.js";
import type { KeyPassword } from "../keys/key-password.js";
import { resolveSecureMemory } from "../memory/secure-memory.js";
import type { SecureMemory } from "../memory/secure-memory.js";
import { threadLimit } from "../memory/thread-limit.js";
import type { QuoteOptions } from "../native.js";
import { boolean, callable, integer, number, oneOf, resolveByTable, text } from "../option-checks.js";
import type { OptionTable, ResolvedBy } from "../option-checks.js";
import { ownMembers } from "../own-members.js";
import { isPrintableWord } from "../printable.js";
import { Attestor } from "./attestor.js";
import type { AttestorSettings } from "./attestor.js";
import type { RateLimit } from "./rate-limit.js";
import type { TierModels } from "./tier-models.js";
import { completionsUrl } from "./upstream.js";

/** Options of `startRouter`. All are optional; every wrong or unknown one is refused with a `ConfigurationError`. */
export interface RouterOptions {
  /**
   * The address to listen on; `127.0.0.1` by default. Any other than loopback needs `apiKeys` and `tls`, or the
   * `allow…` options.
   */
  readonly host?: string;
  /** The port; 0, the default, lets the system choose. */
  readonly port?: number;
  /** PEM texts. */
  readonly tls?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
  /**
   * API keys of 16 or more visible ASCII characters, or `sha256:<64 hex digits>` of one. None: everyone is answered.
   */
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
  /**
   * Requests whose bodies are there, at one time; 256. More are answered 503. Four times as many may be sending theirs.
   */
  readonly maxRequests?: number;
  /** Of these, for one API key; half of `maxRequests` where there are several keys, else all. More are answered 429. */
  readonly maxRequestsPerKey?: number;
  /**
   * What to do when memory cannot be locked, `required` by default; as an object it can demand a way of locking too.
   */
  readonly secureMemory?: SecureMemory;
  /**
   * The most threads that the package has of its own, 1 to 64, for the whole process; as many as it has cores, or fewer
   * under a low lock limit.
   */
  readonly threads?: number;
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

type TlsOptions = NonNullable<RouterOptions["tls"]>;
type UpstreamOptions = NonNullable<RouterOptions["upstream"]>;
type TpmOptions = NonNullable<RouterOptions["tpm"]>;

const MOST_REQUESTS = 1_000_000;
const DAY_MS = 86_400_000;

const tlsOptions = {
  cert: { required: true, parse: pem },
  key: { required: true, parse: pem },
} satisfies OptionTable<TlsOptions>;

const upstreamOptions = {
  allowHttp: { otherwise: false, parse: boolean },
  url: { required: true, parse: (value, name, { allowHttp }) => checkUpstreamUrl(value, name, allowHttp === true) },
  apiKey: { parse: checkUpstreamKey },
  timeoutMs: { otherwise: 600_000, parse: integer(1, DAY_MS) },
  connectTimeoutMs: { otherwise: 10_000, parse: integer(1, DAY_MS) },
} satisfies OptionTable<UpstreamOptions>;

const aiks = ["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"] as const satisfies readonly TpmOptions["aik"][];

const tpmOptions = {
  tcti: { required: true, parse: text },
  aik: { parse: oneOf(aiks) },
  pcrs: { parse: text },
  persistentHandle: { parse: checkPersistentHandle },
  certificateChain: { parse: certificates },
  queueLimit: { otherwise: 64, parse: integer(1, 100_000) },
  timeoutMs: { otherwise: 10_000, parse: integer(1, 600_000) },
  reopenMs: { otherwise: 1_000, parse: integer(0, 600_000) },
} satisfies OptionTable<TpmOptions>;

const rateLimitOptions = {
  perSecond: { required: true, parse: number(0, true) },
  burst: { required: true, parse: number(1) },
} satisfies OptionTable<RateLimit>;

/** Every option of the router. */
const routerOptions = {
  host: { otherwise: "127.0.0.1", parse: text },
  port: { otherwise: 0, parse: integer(0, 65_535) },
  apiKeys: { otherwise: [], parse: checkApiKeys },
  tls: { parse: (value, name) => resolveByTable(value, tlsOptions, name) },
  allowOpen: { otherwise: false, parse: boolean },
  allowHttp: { otherwise: false, parse: boolean },
  keyFile: { parse: text },
  keyPassword: { parse: checkKeyPassword },
  upstream: { parse: (value, name) => resolveByTable(value, upstreamOptions, name) },
  tpm: { parse: checkTpm },
  tierModels: { otherwise: {}, parse: checkTierModels },
  rateLimit: { parse: (value, name) => resolveByTable(value, rateLimitOptions, name) },
  maxBodyBytes: { otherwise: 64 * 1024 * 1024, parse: integer(1024, 1024 * 1024 * 1024) },
  maxPlaintextBytes: { otherwise: 10 * 1024 * 1024, parse: integer(2, 1024 * 1024 * 1024) },
  maxRequests: { otherwise: 256, parse: integer(1, MOST_REQUESTS) },
  maxRequestsPerKey: { parse: integer(1, MOST_REQUESTS) },
  secureMemory: { otherwise: "required", parse: (value) => resolveSecureMemory(value) },
  threads: { parse: threadLimit },
  secureInference: { otherwise: true, parse: boolean },
  echoDelayMs: { otherwise: 0, parse: integer(0, 3_600_000) },
  stopTimeoutMs: { otherwise: 30_000, parse: integer(0, 3_600_000) },
  log: { parse: (value, name) => callable(value, name) },
  accessLog: { parse: (value, name) => callable(value, name) },
} satisfies OptionTable<RouterOptions>;

type Resolved = ResolvedBy<typeof routerOptions>;

/** {@link RouterOptions} with defaults, checked. */
export interface RouterSettings extends Omit<Resolved, "tpm" | "maxRequestsPerKey" | "log" | "accessLog"> {
  readonly attestor: Attestor | undefined;
  readonly maxRequestsPerKey: number;
  readonly log: (message: string) => void;
  readonly accessLog: ((entry: AccessEntry) => void) | undefined;
}

/** Throws a {@link ConfigurationError} that names the option. */
export function resolveOptions(given: RouterOptions): RouterSettings {
  const { tpm, log: tell, accessLog, ...options } = resolveByTable(given, routerOptions);
  checkExposure(options);
  const { apiKeys, maxRequests } = options;
  const share = apiKeys.count > 1 ? Math.ceil(maxRequests / 2) : maxRequests;
  const log = guarded(tell ?? (() => undefined), () => undefined);
  return {
    ...options,
    attestor: tpm && new Attestor({ ...tpm, log }),
    maxRequestsPerKey: integer(1, maxRequests)(options.maxRequestsPerKey ?? share, "maxRequestsPerKey"),
    log,
    accessLog: accessLog && guarded(accessLog, (error) => log(`the access log failed (${errorKind(error)})`)),
  };
}

/** On an address that others can reach, what protects the model and the traffic is there, or was forgone on purpose. */
function checkExposure({
  host,
  apiKeys,
  allowOpen,
  tls,
  allowHttp,
}: Omit<Resolved, "tpm" | "log" | "accessLog">): void {
  if (isLoopback(host)) return;
  if (apiKeys.open && !allowOpen) {
    throw new ConfigurationError(
      "apiKeys",
      `Without API keys everyone who can reach ${host} could use the model. Give API keys (\`apiKeys\`), or set ` +
        "allowOpen if that is wanted.",
    );
  }
  if (tls === undefined && !allowHttp) {
    throw new ConfigurationError(
      "tls",
      `On ${host} API keys and the server's public key would travel over plain HTTP. Give a TLS certificate and ` +
        "key (`tls`), " +
        "or set allowHttp " +
        "if a proxy in front ends TLS.",
    );
  }
}

function pem(value: unknown, option: string): string | Uint8Array {
  if ((typeof value === "string" && value !== "") || value instanceof Uint8Array) return value;
  throw new ConfigurationError(option, `\`${option}\` must be a PEM text.`);
}

function checkApiKeys(value: readonly string[], option: string): ApiKeys {
  if (Array.isArray(value) && value.every((key) => typeof key === "string")) return new ApiKeys(value);
  throw new ConfigurationError(option, `\`${option}\` must be a list of strings.`);
}

function checkUpstreamUrl(value: unknown, option: string, allowHttp: boolean): URL {
  if (typeof value !== "string" || !URL.canParse(value)) {
    throw new ConfigurationError(option, "The upstream's URL is not a URL.");
  }
  const url = completionsUrl(value);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new ConfigurationError(option, "The upstream's URL must begin with https:// or http://.");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigurationError(option, "The upstream's URL must have no user name, password, query or fragment.");
  }
  if (url.protocol === "http:" && !isLoopback(url.hostname) && !allowHttp) {
    throw new ConfigurationError(
      "upstream.allowHttp",
      `Opened prompts would travel to ${url.host} over plain HTTP. Use https, or set upstream.allowHttp for a ` +
        "network that you trust.",
    );
  }
  return url;
}

function checkUpstreamKey(value: unknown, option: string): string {
  if (typeof value === "string" && isPrintableWord(value)) return value;
  throw new ConfigurationError(option, "The upstream's API key must be visible ASCII characters.");
}

function checkPersistentHandle(value: unknown, option: string): number {
  if (Number.isInteger(value) && (value as number) >>> 24 === 0x81) return value as number;
  throw new ConfigurationError(option, "A persistent handle lies between 0x81000000 and 0x81ffffff.");
}

function checkTpm(given: TpmOptions, option: string): Omit<AttestorSettings, "log"> {
  const { tcti, aik, pcrs, persistentHandle, certificateChain, ...limits } = resolveByTable(given, tpmOptions, option);
  if (certificateChain !== undefined && persistentHandle === undefined) {
    throw new ConfigurationError(
      "tpm.certificateChain",
      "A certificate chain needs a persistent AIK (tpm.persistentHandle): a key made for each quote has no " +
        "certificate.",
    );
  }
  return {
    tcti,
    quote: {
      ...(aik === undefined ? {} : { aik }),
      ...(pcrs === undefined ? {} : { pcrs }),
      ...(persistentHandle === undefined ? {} : { persistentHandle }),
    },
    certificateChain: certificateChain ?? [],
    ...limits,
  };
}

/** Base64 of DER, one for each certificate of a PEM text. */
function certificates(value: unknown, option: string): string[] {
  const form = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
  const blocks = typeof value === "string" ? (value.match(form) ?? []) : [];
  if (blocks.length === 0) {
    throw new ConfigurationError(option, "The AIK's certificate chain holds no PEM certificate.");
  }
  return blocks.map((block) => block.replace(/-----[A-Z ]+-----|\s/g, ""));
}

function checkTierModels(given: TierModels, option: string): TierModels {
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new ConfigurationError(option, `\`${option}\` must be an object of lists, by tier.`);
  }
  const models = ownMembers(given);
  for (const [tier, list] of Object.entries(models) as [string, unknown][]) {
    if (!isSecurityTier(tier)) {
      throw new ConfigurationError(option, `"${tier}" is not a security tier: use ${securityTiers.join(", ")}.`);
    }
    if (list === undefined) continue;
    if (!Array.isArray(list) || list.some((model) => typeof model !== "string" || model === "")) {
      throw new ConfigurationError(option, `The models of "${tier}" must be a list of names, none of them empty.`);
    }
  }
  return models;
}
