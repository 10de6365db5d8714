/** The local proxy: an OpenAI-compatible server on this machine that seals every request to NOMYO. */
import { resolveRequestOptions } from "../client/options.js";
import { SecureChannel } from "../client/secure-channel.js";
import { errorKind } from "../http/error-kind.js";
import { BodyBudget } from "../http/request-body.js";
import { withoutBrackets } from "../printable.js";
import { AttestationView } from "./attestation-view.js";
import { defaultTimes } from "./connection.js";
import { Listener } from "./listener.js";
import type { Bound } from "./listener.js";
import { Metrics } from "./metrics.js";
import { resolveProxyOptions } from "./options.js";
import type { ProxyOptions } from "./options.js";
import { Routes, wantedHeaders } from "./routes.js";

export type { ProxyOptions } from "./options.js";
export type { AccessEntry } from "./routes.js";
export type { SecurityTier as Tier } from "../chat/security-tier.js";

/** A proxy that listens. */
export interface Proxy extends AsyncDisposable {
  /** e.g. `http://127.0.0.1:41234/v1`, what an SDK takes as its base URL; `unix:PATH` for a Unix socket. */
  readonly baseUrl: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /**
   * Stops: no new requests, those under way finish within `stopTimeoutMs`, keys are wiped. Calling it again gives the
   * same promise.
   */
  close(): Promise<void>;
}

/** All bodies that are being received or answered, together. */
const BODY_BUDGET_BYTES = 128 * 1024 * 1024;

/**
 * Starts a proxy. Rejects with a `ConfigurationError` that names the option, with a `MemoryProtectionError`, or with
 * Node's error when the address cannot be listened on; nothing is left running then.
 */
export async function startProxy(options: ProxyOptions = {}): Promise<Proxy> {
  const settings = resolveProxyOptions(options);
  const { client, log, tls } = settings;
  const request = resolveRequestOptions(client, {}, settings.securityTier);
  let stopping = false;
  const isStopping = (): boolean => stopping;
  const failed = (error: unknown): void => log(`internal error (${errorKind(error)})`);
  const metrics: Metrics = new Metrics(() => listener.connections);
  const channel = new SecureChannel(client);
  const release = async (): Promise<void> => {
    await channel.close(true);
    metrics.stop();
  };
  let routes: Routes;
  let listener: Listener;
  let bound: Bound;
  try {
    routes = new Routes({
      ...settings,
      channel,
      request,
      metrics,
      attestation: new AttestationView(client.baseUrl, request.attestation.mode),
      isStopping,
    });
    listener = new Listener({
      ...settings,
      connection: {
        locking: client.secureMemory.locking,
        budget: new BodyBudget(BODY_BUDGET_BYTES),
        times: defaultTimes,
        headers: wantedHeaders,
        admit: (head) => routes.admit(head),
        refuse: (error) => routes.refuse(error),
        failed,
        isStopping,
      },
    });
    await channel.receiptsReady();
    client.serverKey.knownServers?.check();
    // A folder of keys that cannot be used is told now, and not to the first client.
    if (client.keyDir === undefined) channel.keys.start();
    else (await channel.keys.lease((key) => key)).release();
    bound = await listener.listen();
  } catch (error) {
    await release();
    throw error;
  }
  if (tls !== undefined) {
    log(
      "clients speak TLS: Node decrypts their prompts in memory that is neither locked nor wiped (docs/proxy.md, TLS)",
    );
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    stopping = true;
    return (closing ??= listener.stop().then(release));
  };
  const port = "port" in bound ? bound.port : 0;
  return { baseUrl: baseUrlOf(bound, tls !== undefined), port, close, [Symbol.asyncDispose]: close };
}

function baseUrlOf(bound: Bound, secure: boolean): string {
  if ("socketPath" in bound) return `unix:${bound.socketPath}`;
  const host = bound.host.includes(":") ? `[${withoutBrackets(bound.host)}]` : bound.host;
  return `${secure ? "https" : "http"}://${host}:${bound.port}/v1`;
}
