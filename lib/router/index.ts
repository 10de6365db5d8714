/** The local router: the server's side of the protocol, in front of an OpenAI-compatible server or the echo model. */
import { explainWeaker } from "../memory/lock-failure.js";
import { getBuildInfo } from "../build-info.js";
import { memorySetbacks, probeMemory } from "../memory/protection.js";
import { applyMechanism } from "../memory/secure-memory.js";
import { applyThreadLimit } from "../memory/thread-limit.js";
import type { PublicKeyInfo } from "../native.js";
import { BodyBudget } from "../http/request-body.js";
import { Turns } from "../http/turns.js";
import { withoutBrackets } from "../printable.js";
import { EchoModel } from "./echo.js";
import { resolveOptions } from "./options.js";
import type { RouterOptions, RouterSettings } from "./options.js";
import { generateServerKey, loadServerKey } from "./server-key.js";
import type { ServerKey } from "./server-key.js";
import { RouterServer } from "./server.js";
import { UpstreamModel } from "./upstream.js";

export type { AccessEntry, RouterOptions } from "./options.js";
export type { RateLimit } from "./rate-limit.js";
export type { SecurityTier as Tier } from "../chat/security-tier.js";
export type { TierModels } from "./tier-models.js";

/** A router that listens. */
export interface Router extends AsyncDisposable {
  /** e.g. `http://127.0.0.1:41234`, what a client takes as `baseUrl`. */
  readonly url: string;
  readonly port: number;
  /** The server's key: its PEM, bits and fingerprint, for pinning. */
  readonly publicKey: PublicKeyInfo;
  /**
   * Stops: no new requests, those under way finish within `stopTimeoutMs`, keys are wiped. Calling it again gives the
   * same promise.
   */
  close(): Promise<void>;
}

/** Deepest nesting of a request's or an answer's JSON. */
const MAX_DEPTH = 256;
/** Largest answer of a model: sealed, with base64, it stays under the 64 MiB that clients read. */
const MAX_ANSWER_BYTES = 47 * 1024 * 1024;
/** Pool memory without which no request could be answered. */
const LEAST_MEMORY = 1024 * 1024;
/** All bodies that are being received or opened, together. */
const BODY_BUDGET_BYTES = 512 * 1024 * 1024;
/** Milliseconds that a body may pause. */
const BODY_IDLE_MS = 30_000;

/**
 * Starts a router. Rejects with a `ConfigurationError` that names the option, the addon's error when the TPM or locked
 * memory is not there (a `MemoryProtectionError` when a demanded mechanism is not), or Node's when the address cannot
 * be listened on; nothing is left running then.
 */
export async function startRouter(options: RouterOptions = {}): Promise<Router> {
  const settings = resolveOptions(options);
  const { attestor, secureMemory } = settings;
  const locking = secureMemory.locking;
  applyMechanism(secureMemory);
  checkMemory(settings);
  applyThreadLimit(settings);
  let key: ServerKey | undefined;
  const release = async (): Promise<void> => {
    await attestor?.close();
    if (key !== undefined) key.private.dispose();
  };
  try {
    await attestor?.start();
    key = await (settings.keyFile === undefined
      ? generateServerKey(locking)
      : loadServerKey(settings.keyFile, settings.keyPassword, locking));
    if (settings.upstream?.url.protocol === "https:") {
      settings.log(
        "the upstream speaks TLS: Node decrypts its answers in memory that is neither locked nor wiped " +
          "(docs/router.md, The upstream)",
      );
    }
    const server = makeServer(settings, key);
    const port = await server.listen();
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => (closing ??= server.stop().then(release));
    const scheme = settings.tls === undefined ? "http" : "https";
    const host = settings.host.includes(":") ? `[${withoutBrackets(settings.host)}]` : settings.host;
    return { url: `${scheme}://${host}:${port}`, port, publicKey: key.public, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await release();
    throw error;
  }
}

function makeServer(settings: RouterSettings, key: ServerKey): RouterServer {
  const { attestor, upstream } = settings;
  const locking = settings.secureMemory.locking;
  const model =
    upstream === undefined
      ? new EchoModel({ delayMs: settings.echoDelayMs, maxAnswerBytes: MAX_ANSWER_BYTES, maxDepth: MAX_DEPTH, locking })
      : new UpstreamModel({ ...upstream, maxAnswerBytes: MAX_ANSWER_BYTES, maxDepth: MAX_DEPTH, locking });
  const server: RouterServer = new RouterServer(
    settings,
    {
      key,
      model,
      attestor,
      tierModels: settings.tierModels,
      locking,
      body: {
        maxBytes: settings.maxBodyBytes,
        budget: new BodyBudget(Math.max(BODY_BUDGET_BYTES, settings.maxBodyBytes)),
        idleMs: BODY_IDLE_MS,
        turns: new Turns(),
      },
      maxPlaintextBytes: settings.maxPlaintextBytes,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      maxDepth: MAX_DEPTH,
    },
    () => ({
      version: getBuildInfo().version,
      model: model.kind,
      secure_inference: settings.secureInference,
      requests_under_way: server.completionsUnderWay,
      tpm_available: attestor?.available ?? false,
    }),
  );
  return server;
}

/**
 * Under `required` the largest request must fit into lockable memory, or it will be refused: better said at start than
 * found out later.
 */
function checkMemory({ secureMemory, maxPlaintextBytes, log }: RouterSettings): void {
  const locking = secureMemory.locking;
  probeMemory(LEAST_MEMORY, locking);
  const { weakerBecause } = memorySetbacks();
  if (weakerBecause !== null) log(explainWeaker(weakerBecause));
  if (locking !== "required") return;
  try {
    probeMemory(2 * maxPlaintextBytes, locking);
  } catch (error) {
    log(`large requests will be answered 503: ${error instanceof Error ? error.message : String(error)}`);
  }
}
