/** The proxy's options: their meaning, defaults and checks. */
import { securityTiers } from "../chat/security-tier.js";
import type { SecurityTier } from "../chat/security-tier.js";
import { resolveClientOptions } from "../client/options.js";
import type { ClientOptions, ResolvedOptions } from "../client/options.js";
import { ConfigurationError } from "../errors.js";
import { ApiKeys } from "../http/api-keys.js";
import { errorKind } from "../http/error-kind.js";
import { isLoopback } from "../http/loopback.js";
import { guarded } from "../http/operator.js";
import { boolean, callable, integer, oneOf, resolveByTable, text } from "../option-checks.js";
import type { OptionTable, ResolvedBy } from "../option-checks.js";
import { withoutBrackets } from "../printable.js";
import { checkReceipts } from "../receipts/receipt-options.js";
import { loopbackHosts } from "./request-access.js";
import type { AccessSettings } from "./request-access.js";
import type { Place } from "./listener.js";
import type { AccessEntry } from "./routes.js";

/** Options of `startProxy`. All are optional; every wrong or unknown one is refused with a `ConfigurationError`. */
export interface ProxyOptions {
  /**
   * The address to listen on; `127.0.0.1` by default. Any other than loopback needs `apiKeys` and `tls`, or the
   * `allow…` options.
   */
  readonly host?: string;
  /** The port; 0, the default, lets the system choose. */
  readonly port?: number;
  /** Listen on this Unix socket instead, whose file gets the mode 0600. */
  readonly socketPath?: string;
  /**
   * Listen on this descriptor instead, a socket that listens already: systemd hands down the first as 3. What is said
   * of `host` holds for its address; a Unix socket's mode is that of whoever made it.
   */
  readonly listenFd?: number;
  /** PEM texts. */
  readonly tls?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
  /**
   * Keys that the proxy's own clients must have: 16 or more visible ASCII characters, or `sha256:<64 hex digits>` of
   * one. None: everyone who reaches it is answered. NOMYO's key is `client.apiKey`, and never theirs.
   */
  readonly apiKeys?: readonly string[];
  /** Answer everyone, on an address that others can reach. */
  readonly allowOpen?: boolean;
  /** Speak plain HTTP on an address that others can reach: prompts can be read on the way. */
  readonly allowPlainHttp?: boolean;
  /** Names that clients may call it by, beside `localhost`, `127.0.0.1`, `[::1]` and `host`; without ports. */
  readonly allowedHosts?: readonly string[];
  /** Origins whose pages may use it from a browser, e.g. `http://localhost:3000`. */
  readonly allowedOrigins?: readonly string[];
  /** What `GET /v1/models` lists; user interfaces need it to start. Other models can be asked for all the same. */
  readonly models?: readonly string[];
  /** The security tier of all requests. */
  readonly securityTier?: SecurityTier;
  /** What the proxy is towards NOMYO: the API key, pins, the attestation policy … */
  readonly client?: ClientOptions;
  /** The same as `client.receipts`: a folder that gets a receipt of each answer before it is handed on. */
  readonly receipts?: NonNullable<ClientOptions["receipts"]>;
  /** Bytes of a request's JSON; 10 MiB, which is also the most. */
  readonly maxBodyBytes?: number;
  /**
   * Requests whose bodies are there, at one time; 64. More are answered 503. Four times as many may be sending theirs.
   */
  readonly maxRequests?: number;
  /** Of these, for one local key; half of `maxRequests` where there are several keys, else all. */
  readonly maxRequestsPerKey?: number;
  /** Connections at one time; 512. */
  readonly maxConnections?: number;
  /** Milliseconds that requests under way get to finish when the proxy stops; 30 000. */
  readonly stopTimeoutMs?: number;
  /** One sentence for the operator. Never holds content of a request. */
  readonly log?: (message: string) => void;
  /** One entry for each answer. */
  readonly accessLog?: (entry: AccessEntry) => void;
}

type TlsOptions = NonNullable<ProxyOptions["tls"]>;

/** The largest plaintext that the protocol has (PROTOCOL 2). */
const MOST_BODY_BYTES = 10 * 1024 * 1024;
const MOST_REQUESTS = 100_000;

const tlsOptions = {
  cert: { required: true, parse: pem },
  key: { required: true, parse: pem },
} satisfies OptionTable<TlsOptions>;

/** Every option of the proxy. */
const proxyOptions = {
  host: { otherwise: "127.0.0.1", parse: text },
  port: { otherwise: 0, parse: integer(0, 65_535) },
  socketPath: { parse: checkSocketPath },
  listenFd: { parse: integer(0, 2 ** 31 - 1) },
  apiKeys: { otherwise: [], parse: (value, name) => new ApiKeys(texts(value, name)) },
  tls: { parse: (value, name) => resolveByTable(value, tlsOptions, name) },
  allowOpen: { otherwise: false, parse: boolean },
  allowPlainHttp: { otherwise: false, parse: boolean },
  allowedHosts: { otherwise: [], parse: checkHosts },
  allowedOrigins: { otherwise: [], parse: checkOrigins },
  models: { otherwise: [], parse: texts },
  securityTier: { parse: oneOf(securityTiers) },
  client: { otherwise: {}, parse: (value) => resolveClientOptions(value) },
  receipts: { parse: checkReceipts },
  maxBodyBytes: { otherwise: MOST_BODY_BYTES, parse: integer(1024, MOST_BODY_BYTES) },
  maxRequests: { otherwise: 64, parse: integer(1, MOST_REQUESTS) },
  maxRequestsPerKey: { parse: integer(1, MOST_REQUESTS) },
  maxConnections: { otherwise: 512, parse: integer(1, MOST_REQUESTS) },
  stopTimeoutMs: { otherwise: 30_000, parse: integer(0, 3_600_000) },
  log: { parse: (value, name) => callable(value, name) },
  accessLog: { parse: (value, name) => callable(value, name) },
} satisfies OptionTable<ProxyOptions>;

type Resolved = ResolvedBy<typeof proxyOptions>;

/** {@link ProxyOptions} with defaults, checked. */
export interface ProxySettings {
  readonly place: Place;
  readonly checkExposure: (host: string) => void;
  readonly checkOpenSocket: (path: string) => void;
  readonly tls: TlsOptions | undefined;
  readonly access: AccessSettings;
  readonly models: readonly string[];
  readonly securityTier: SecurityTier | undefined;
  readonly client: ResolvedOptions;
  readonly maxBodyBytes: number;
  readonly maxRequests: number;
  readonly maxRequestsPerKey: number;
  readonly maxConnections: number;
  readonly stopTimeoutMs: number;
  readonly log: (message: string) => void;
  readonly accessLog: ((entry: AccessEntry) => void) | undefined;
}

/** Throws a {@link ConfigurationError} that names the option. */
export function resolveProxyOptions(given: ProxyOptions): ProxySettings {
  const options = resolveByTable(given, proxyOptions);
  const { host, apiKeys, maxRequests, accessLog } = options;
  if (options.receipts !== undefined && options.client.receipts !== undefined) {
    throw new ConfigurationError("receipts", "`receipts` and `client.receipts` are the same: give one.");
  }
  const place = placeOf(given, options);
  if ("host" in place) checkExposure(host, options);
  const share = apiKeys.count > 1 ? Math.ceil(maxRequests / 2) : maxRequests;
  const log = guarded(options.log ?? (() => undefined), () => undefined);
  const ownName = isAnyAddress(host) ? [] : [withoutBrackets(host).toLowerCase()];
  return {
    place,
    checkExposure: (address) => checkExposure(address, options),
    checkOpenSocket: (path) => checkOpenSocket(path, options),
    tls: options.tls,
    access: {
      apiKeys,
      hosts: new Set([...loopbackHosts, ...ownName, ...options.allowedHosts]),
      origins: new Set(options.allowedOrigins),
    },
    models: options.models,
    securityTier: options.securityTier,
    client: options.receipts === undefined ? options.client : { ...options.client, receipts: options.receipts },
    maxBodyBytes: options.maxBodyBytes,
    maxRequests,
    maxRequestsPerKey: integer(1, maxRequests)(options.maxRequestsPerKey ?? share, "maxRequestsPerKey"),
    maxConnections: options.maxConnections,
    stopTimeoutMs: options.stopTimeoutMs,
    log,
    accessLog: accessLog && guarded(accessLog, (error) => log(`the access log failed (${errorKind(error)})`)),
  };
}

/** One place to listen on. */
function placeOf(given: ProxyOptions, { host, port, socketPath, listenFd, tls }: Resolved): Place {
  const hasAddress = Object.hasOwn(given, "host") || Object.hasOwn(given, "port");
  const other = socketPath !== undefined ? "socketPath" : "listenFd";
  if ([hasAddress, socketPath !== undefined, listenFd !== undefined].filter(Boolean).length > 1) {
    const two = socketPath !== undefined && listenFd !== undefined ? "`listenFd`" : "`host` or `port`";
    throw new ConfigurationError(other, `\`${other}\` and ${two} are two places to listen on: give one.`);
  }
  if (listenFd !== undefined) return { fd: listenFd };
  if (socketPath === undefined) return { host, port };
  if (tls !== undefined) {
    throw new ConfigurationError("tls", "A Unix socket is not spoken to over TLS: leave `tls` out.");
  }
  return { socketPath };
}

/** On an address that others can reach, what protects prompts and NOMYO's key is there, or was forgone on purpose. */
function checkExposure(host: string, { apiKeys, allowOpen, tls, allowPlainHttp }: Resolved): void {
  if (isLoopback(host)) return;
  if (apiKeys.open && !allowOpen) {
    throw new ConfigurationError(
      "apiKeys",
      `Without local API keys everyone who can reach ${host} could send requests that you pay for. Give API keys ` +
        "(`apiKeys`), or set allowOpen if that is wanted.",
    );
  }
  if (tls === undefined && !allowPlainHttp) {
    throw new ConfigurationError(
      "tls",
      `On ${host} prompts, answers and local API keys would travel over plain HTTP. Give a TLS certificate and ` +
        "key (`tls`), " +
        "or set allowPlainHttp " +
        "where nobody else is on the way.",
    );
  }
}

function checkOpenSocket(path: string, { apiKeys, allowOpen }: Resolved): void {
  if (!apiKeys.open || allowOpen) return;
  throw new ConfigurationError(
    "apiKeys",
    `Everyone on this machine may connect to ${path}, and without local API keys send requests that you pay for. ` +
      "Give the socket a mode that " +
      "keeps them out (SocketMode=0600), give API keys, or set allowOpen if that is wanted.",
  );
}

function isAnyAddress(host: string): boolean {
  return ["0.0.0.0", "::"].includes(withoutBrackets(host));
}

/** A socket's name has 107 bytes at most on Linux, and while it is made it is in a folder beside. */
function checkSocketPath(value: unknown, option: string): string {
  const path = text(value, option);
  if (process.platform === "win32") throw new ConfigurationError(option, "There are no Unix sockets here: use `port`.");
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0")) {
    throw new ConfigurationError(option, `\`${option}\` must be an absolute path.`);
  }
  if (Buffer.byteLength(path) > 90)
    throw new ConfigurationError(option, `\`${option}\` is too long: 90 bytes at most.`);
  return path;
}

function texts(value: unknown, option: string): readonly string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "")) {
    return value as readonly string[];
  }
  throw new ConfigurationError(option, `\`${option}\` must be a list of strings that are not empty.`);
}

function checkHosts(value: unknown, option: string): readonly string[] {
  return texts(value, option).map((host) => {
    const url = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`) : undefined;
    // A star would be taken for a wildcard, which there is none of.
    if (url?.hostname === host.toLowerCase() && !host.includes("*")) return withoutBrackets(url.hostname);
    throw new ConfigurationError(option, `Each of \`${option}\` must be a host's name, without a port.`);
  });
}

function checkOrigins(value: unknown, option: string): readonly string[] {
  return texts(value, option).map((origin) => {
    if (URL.canParse(origin) && new URL(origin).origin === origin) return origin;
    throw new ConfigurationError(option, `Each of \`${option}\` must be an origin such as http://localhost:3000.`);
  });
}

function pem(value: unknown, option: string): string | Uint8Array {
  if ((typeof value === "string" && value !== "") || value instanceof Uint8Array) return value;
  throw new ConfigurationError(option, `\`${option}\` must be a PEM text.`);
}
