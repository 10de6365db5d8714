import { nodeCrypto } from "../builtins.js";
import { AttestationError } from "../attestation/attestation-error.js";
import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
  ConfigurationError,
  InvalidRequestError,
  NomyoError,
  SecurityError,
} from "../errors.js";
import type { Sent } from "../errors.js";
import { enforce, enforcementOf } from "../attestation/enforcement.js";
import { Preflight } from "../attestation/preflight.js";
import { policyId } from "../attestation/policy.js";
import { boundPayloadId } from "../attestation/qualifying-data.js";
import type { AttestationReport } from "../attestation/report.js";
import { openPackage } from "../envelope/open.js";
import type { OpenedPackage } from "../envelope/open.js";
import { Snapshot } from "../envelope/seal.js";
import type { AnswerMetadata } from "../chat/chat-types.js";
import type { ResponseInfo } from "./api-promise.js";
import { checkServerMetadata, completeMetadata } from "../chat/answer-metadata.js";
import { ClientKeys } from "./client-keys.js";
import type { KeyLease } from "./client-keys.js";
import { Deadline } from "../http/deadline.js";
import { retryChannel, tracePhase, traceRequest } from "./diagnostics.js";
import type { RequestTrace, RetryTrace } from "./diagnostics.js";
import { FetchTransport } from "../http/fetch-transport.js";
import { httpError } from "../http/http-error.js";
import { applyMechanism } from "../memory/secure-memory.js";
import { MemoryCheck } from "./memory-check.js";
import { fromNative } from "../native-error.js";
import { NodeTransport } from "../http/node-transport.js";
import { authorization } from "./options.js";
import type { ResolvedOptions, ResolvedRequestOptions } from "./options.js";
import { RateLimiter } from "../http/rate-limiter.js";
import { readBody } from "../http/response-body.js";
import { RecentMap } from "./recent-map.js";
import { retryDelay } from "./retry.js";
import { ServerKeyCache } from "./server-key.js";
import type { ServerKey } from "./server-key.js";
import { ConnectionFailure } from "../http/transport.js";
import type { Transport } from "../http/transport.js";

/** Largest request plaintext in bytes of UTF-8 (PROTOCOL section 2). */
const MAX_PLAINTEXT_BYTES = 10_485_760;
/** A public key as PEM is under 2 KiB. */
const MAX_KEY_BYTES = 65_536;

/** So many base URLs are kept in mind. */
const MOST_SERVERS = 256;
/** Opening and verifying take milliseconds; a TPM that verifies may take seconds, or not answer at all. */
const LOCAL_WORK_MS = 120_000;

/** The model that is asked for one token when only its server's quote is wanted. */
const ATTESTATION_MODEL = "Qwen/Qwen3-0.6B";

/** An answer that has been opened, found to belong to the request, and, where required, attested. */
export interface OpenedAnswer {
  /** The plaintext, in locked memory. Whoever gets it disposes of it. */
  readonly opened: OpenedPackage;
  readonly metadata: AnswerMetadata;
  readonly response: ResponseInfo;
}

/** What an attempt holds before anything is sealed. */
interface Held {
  readonly lease: KeyLease;
  readonly key: ServerKey;
  /** The value of `Authorization`. */
  readonly credential: string | undefined;
}

/** What one attempt leaves behind for the decision about the next one. */
interface AttemptState {
  sent: Sent;
  payloadId: string | undefined;
  serverKey: ServerKey | undefined;
  /** Whether the server key was fetched before this attempt, so that it may be out of date. */
  keyWasCached: boolean;
}

/**
 * The way of a request: client key, server key, seal, HTTP, open, verify; with retries around it. All public clients are thin layers
 * over this one class.
 */
export class SecureChannel {
  readonly options: ResolvedOptions;
  readonly keys: ClientKeys;
  readonly #transport: Transport;
  /** By base URL. */
  readonly #serverKeys = new RecentMap<ServerKeyCache>(MOST_SERVERS, (cache) => cache.close());
  /** By base URL. */
  readonly #completionUrls = new RecentMap<URL>(MOST_SERVERS);
  /** By base URL, policy, tier and engine: what was attested for one says nothing of another. The server's key is inside. */
  readonly #preflights = new RecentMap<Preflight>(MOST_SERVERS);
  readonly #limiter: RateLimiter | undefined;
  readonly #memory: MemoryCheck;
  readonly #closing = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed = false;
  #warnedOfHttp = false;

  constructor(options: ResolvedOptions) {
    this.options = options;
    // Before anything of the pool is used.
    applyMechanism(options.secureMemory);
    this.#memory = new MemoryCheck(options.secureMemory.locking, options.logger);
    this.keys = new ClientKeys({ ...options, policy: options.secureMemory.locking }, options.logger);
    this.#transport =
      options.fetch === undefined && options.dispatcher === undefined
        ? new NodeTransport()
        : new FetchTransport(
            options.fetch ?? (globalThis.fetch as unknown as NonNullable<typeof options.fetch>),
            options.dispatcher,
          );
    this.#limiter = options.rateLimit === undefined ? undefined : new RateLimiter(options.rateLimit);
    this.#warnOfHttp(options.baseUrl);
  }

  /** Sends one request, with as many attempts as its options allow, and opens its answer. */
  request(payload: object, model: string, options: ResolvedRequestOptions): Promise<OpenedAnswer> {
    return this.#track(() => this.#request(payload, model, options));
  }

  /**
   * Sends a harmless request of one token for the sake of its quote.
   *
   * @returns the report; in mode `off` as in mode `report`, since somebody has asked.
   */
  attest(options: ResolvedRequestOptions, model: string = ATTESTATION_MODEL): Promise<AttestationReport> {
    return this.#track(() => this.#attest(options, model));
  }

  #request(payload: object, model: string, options: ResolvedRequestOptions): Promise<OpenedAnswer> {
    const trace: RequestTrace = { server: options.baseUrl, model, securityTier: options.securityTier, attempts: 0 };
    // What the caller does with the request from now on changes nothing of what any attempt sends.
    let snapshot: Snapshot;
    try {
      snapshot = new Snapshot(payload);
    } catch (error) {
      return Promise.reject(complete(error, { sent: "no", payloadId: undefined }));
    }
    return traceRequest(trace, () => this.#attempts(snapshot, options, trace)).finally(() => snapshot.dispose());
  }

  async #attest(options: ResolvedRequestOptions, model: string): Promise<AttestationReport> {
    const asked = options.attestation.mode === "off" ? enforcementOf("report") : options.attestation;
    const { opened, metadata } = await this.#request(attestationPayload(model), model, {
      ...options,
      attestation: { ...asked, preflight: false },
    });
    opened.dispose();
    if (metadata.attestation_report === undefined) throw new Error("In this mode every answer has a report.");
    return metadata.attestation_report;
  }

  /**
   * Sees to it that the server has attested with the very key that this attempt holds. Whatever goes wrong here, the request itself was
   * not sent. The verdict is looked at again when this returns: waiting takes time.
   */
  async #attested(held: Held, options: ResolvedRequestOptions, deadline: Deadline, trace: RequestTrace): Promise<void> {
    const { baseUrl, attestation, securityTier } = options;
    if (!attestation.preflight) return;
    const name = JSON.stringify([baseUrl, policyId(attestation.policy), securityTier, attestation.tcti]);
    const preflight = this.#preflights.get(name, () => new Preflight(attestation.maxAgeMs));
    const { fingerprint } = held.key;
    let report: AttestationReport | undefined;
    const ask = async (): Promise<void> => {
      report = await this.#ping(held, options, deadline, trace.model);
    };
    try {
      for (let asked = 0; !preflight.covers(fingerprint);) {
        if (asked === 2 && report !== undefined) throw tooOld(report);
        if (await preflight.ask(fingerprint, ask, (others) => deadline.race(others))) asked++;
        // What was reserved before went to the ping; and waiting for it may make the verdict too old again.
        await this.#limiter?.take(deadline);
      }
    } catch (failure) {
      const error = complete(failure, { sent: "no", payloadId: undefined });
      if (error instanceof NomyoError) {
        error.sent = "no";
        // Of the ping, which is no attempt of the request.
        delete error.payloadId;
      }
      throw error;
    }
  }

  /** One exchange that holds nothing of the caller's but his credentials. */
  #ping(held: Held, options: ResolvedRequestOptions, deadline: Deadline, model: string): Promise<AttestationReport> {
    const trace: RequestTrace = {
      server: options.baseUrl,
      model,
      securityTier: options.securityTier,
      attempts: 1,
    };
    return traceRequest(trace, async () => {
      const state = newState();
      const { opened, metadata } = await this.#exchange(
        held,
        new Snapshot(attestationPayload(model)),
        options,
        deadline,
        trace,
        state,
      ).catch((failure: unknown) => {
        throw complete(failure, state);
      });
      opened.dispose();
      if (metadata.attestation_report === undefined) throw new Error("In this mode every answer has a report.");
      return metadata.attestation_report;
    });
  }

  /** The server's key, checked against the pins. */
  serverKey(baseUrl: string, signal?: AbortSignal): Promise<ServerKey> {
    return this.#track(async () => {
      const deadline = new Deadline(this.options.timeout, [signal, this.#closing.signal]);
      try {
        deadline.startClock();
        return (await this.#serverKeyCache(baseUrl).get((promise) => deadline.race(promise))).key;
      } catch (error) {
        throw complete(error, { sent: "no", payloadId: undefined });
      } finally {
        deadline.dispose();
      }
    });
  }

  /**
   * Ends the channel: no new requests; those in flight are finished, or aborted when `abort` is set; then keys are wiped and connections
   * closed.
   */
  async close(abort: boolean): Promise<void> {
    this.#closed = true;
    if (abort) this.#closing.abort();
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    this.keys.close();
    this.#serverKeys.clear();
    this.#transport.close();
  }

  #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      return Promise.reject(
        Object.assign(new ConfigurationError("close", "This client has been closed: make a new one."), {
          sent: "no" as const,
        }),
      );
    }
    const running = work();
    this.#hold(running);
    return running;
  }

  /** Lets {@link close} wait for it. */
  #hold(running: Promise<unknown>): void {
    this.#inFlight.add(running);
    const done = (): void => void this.#inFlight.delete(running);
    running.then(done, done);
  }

  async #attempts(payload: Snapshot, options: ResolvedRequestOptions, trace: RequestTrace): Promise<OpenedAnswer> {
    let sent: Sent = "no";
    let keyWasRefreshed = false;
    for (let retry = 0; ;) {
      const state = newState();
      try {
        return await this.#attempt(payload, options, trace, state);
      } catch (failure) {
        const error = complete(failure, state);
        // The request counts as sent if any of its attempts does.
        if (error instanceof NomyoError) error.sent = sent = further(sent, error.sent ?? "no");
        if (!keyWasRefreshed && (await this.#keyHasChanged(error, state, options))) {
          keyWasRefreshed = true;
          continue;
        }
        const wait = retry < options.maxRetries ? retryDelay(error, retry + 1) : undefined;
        if (wait === undefined) throw error;
        retry++;
        await this.#waitBeforeRetry(error as APIError, wait, options, trace);
      }
    }
  }

  async #waitBeforeRetry(
    error: APIError,
    wait: number,
    options: ResolvedRequestOptions,
    trace: RequestTrace,
  ): Promise<void> {
    const message: RetryTrace = {
      request: trace,
      attempt: trace.attempts,
      errorCode: error.code,
      waitMilliseconds: wait,
    };
    retryChannel.publish(message);
    this.options.logger.warn("An attempt failed and is repeated.", {
      code: error.code,
      status: error.statusCode,
      attempt: trace.attempts,
      waitMilliseconds: Math.round(wait),
    });
    const patience = new Deadline(options.timeout, [options.signal, this.#closing.signal]);
    try {
      await patience.sleep(wait);
    } catch (aborted) {
      throw complete(aborted, { sent: error.sent ?? "no", payloadId: error.payloadId });
    } finally {
      patience.dispose();
    }
  }

  /**
   * Whether a 400 came because the server has another key by now. It says 400 for every wrong request too, so the key is fetched again
   * and compared; only when it came from the cache, since a fresh one cannot be out of date.
   */
  async #keyHasChanged(error: unknown, state: AttemptState, options: ResolvedRequestOptions): Promise<boolean> {
    const used = state.serverKey;
    if (
      !(error instanceof InvalidRequestError) ||
      error.statusCode !== 400 ||
      used === undefined ||
      !state.keyWasCached
    )
      return false;
    this.#serverKeyCache(options.baseUrl).invalidate(used);
    const deadline = new Deadline(options.timeout, [options.signal, this.#closing.signal]);
    try {
      deadline.startClock();
      const { key } = await this.#serverKeyCache(options.baseUrl).get((promise) => deadline.race(promise));
      return key.fingerprint !== used.fingerprint;
    } catch (failure) {
      // A key that is refused, and the caller's abort, matter more than the 400; a server that cannot be reached does not.
      const refused = complete(failure, { sent: error.sent ?? "yes", payloadId: error.payloadId });
      if (refused instanceof SecurityError || refused instanceof APIUserAbortError) throw refused;
      return false;
    } finally {
      deadline.dispose();
    }
  }

  async #attempt(
    payload: Snapshot,
    options: ResolvedRequestOptions,
    trace: RequestTrace,
    state: AttemptState,
  ): Promise<OpenedAnswer> {
    const { baseUrl } = options;
    this.#warnOfHttp(baseUrl);
    trace.attempts++;
    const deadline = new Deadline(options.timeout, [options.signal, this.#closing.signal]);
    let lease: KeyLease | undefined;
    try {
      // All that has to be waited for comes before sealing: no plaintext and no AES key stands in memory meanwhile.
      lease = await tracePhase(trace, "client-key", () => this.keys.lease((promise) => deadline.race(promise)));
      deadline.startClock();
      await tracePhase(trace, "rate-limit", () => this.#limiter?.take(deadline));
      const { key, cached } = await tracePhase(trace, "server-key", () =>
        this.#serverKeyCache(baseUrl).get((promise) => deadline.race(promise)),
      );
      state.serverKey = key;
      state.keyWasCached = cached;
      const credential = await deadline.race(authorization(options.apiKey));
      const held: Held = { lease, key, credential };
      // Last of all that waits: between this check and sealing nothing is waited for, so the key that was attested is the one sealed to.
      await this.#attested(held, options, deadline, trace);
      return await this.#exchange(held, payload, options, deadline, trace, state, () => {
        // `timeout` ends with the last byte. What follows is work of this machine, which has a time of its own.
        deadline.restartClock(Math.max(options.timeout, LOCAL_WORK_MS), localWorkError);
      });
    } finally {
      this.#memory.report();
      // An opening that nobody waits for any more still uses the key; it goes when that has ended.
      this.#whenOpened(lease);
      deadline.dispose();
    }
  }

  /** Seals, sends, reads, opens and verifies, with everything at hand that has to be waited for. */
  async #exchange(
    { lease, key, credential }: Held,
    payload: Snapshot,
    options: ResolvedRequestOptions,
    deadline: Deadline,
    trace: RequestTrace,
    state: AttemptState,
    onLastByte: () => void = () => undefined,
  ): Promise<OpenedAnswer> {
    deadline.throwIfOver();
    const uuid = nodeCrypto().randomUUID();
    const bound = options.attestation.binding !== "none";
    const payloadId = bound ? boundPayloadId(uuid, key.pem, lease.publicPem) : uuid;
    state.payloadId = trace.payloadId = payloadId;
    const body = await tracePhase(trace, "seal", () => this.seal(key, payload));
    trace.requestBytes = body.byteLength;
    deadline.throwIfOver();

    const response = await tracePhase(trace, "exchange", () =>
      deadline.race(
        this.#transport.send({
          method: "POST",
          url: this.#completionUrl(options.baseUrl),
          headers: {
            "Content-Type": "application/octet-stream",
            // Compressed answers gain nothing (base64 of ciphertext), and their size would have to be limited twice.
            "Accept-Encoding": "identity",
            "X-Payload-ID": payloadId,
            "X-Public-Key": lease.publicKeyHeader,
            ...(credential === undefined ? {} : { Authorization: credential }),
            ...(options.securityTier === undefined ? {} : { "X-Security-Tier": options.securityTier }),
          },
          body,
          signal: deadline.signal,
          onSending: () => {
            state.sent = "maybe";
          },
        }),
      ),
    );
    state.sent = "yes";
    trace.status = response.status;
    if (response.status !== 200) throw await httpError(response, { payloadId, sent: "yes" });
    const { bytes, truncated } = await tracePhase(trace, "read", () =>
      deadline.race(readBody(response, this.options.maxResponseBytes)),
    );
    if (truncated) {
      throw new SecurityError(
        `The server's answer has more than ${this.options.maxResponseBytes} bytes (\`maxResponseBytes\`). Nothing of it was used.`,
        "TOO_LARGE",
      );
    }
    trace.responseBytes = bytes.byteLength;
    onLastByte();

    const opening = openPackage(lease.key, bytes, {
      policy: this.options.secureMemory.locking,
      signal: deadline.signal,
      maxPlaintextBytes: this.options.maxResponseBytes,
      logger: this.options.logger,
    });
    const opened = await tracePhase(trace, "open", () => this.#raceOpening(opening, lease, deadline));
    try {
      const server = checkServerMetadata(opened.find("/_metadata"), payloadId, options.securityTier);
      const report = await tracePhase(trace, "verify", () =>
        deadline.race(enforce(options.attestation, server["tpm_attestation"], payloadId, server["payload_binding"])),
      );
      return {
        opened,
        metadata: completeMetadata(server, payloadId, opened.processedAt, report),
        response: { status: response.status, headers: response.headers, payloadId, attempts: trace.attempts },
      };
    } catch (error) {
      opened.dispose();
      throw error;
    }
  }

  /** Openings that ended for their callers before they ended for the package's threads, by the key they use. */
  readonly #abandoned = new WeakMap<KeyLease, Promise<unknown>>();

  async #raceOpening(opening: Promise<OpenedPackage>, lease: KeyLease, deadline: Deadline): Promise<OpenedPackage> {
    try {
      return await deadline.race(opening);
    } catch (error) {
      if (deadline.error !== undefined) {
        const wiped = opening.then(
          (late) => late.dispose(),
          () => undefined,
        );
        this.#abandoned.set(lease, wiped);
        this.#hold(wiped);
      }
      throw error;
    }
  }

  #whenOpened(lease: KeyLease | undefined): void {
    if (lease === undefined) return;
    const abandoned = this.#abandoned.get(lease);
    if (abandoned === undefined) lease.release();
    else void abandoned.then(() => lease.release());
  }

  /** Seals a payload to a server's key, ready to be sent. */
  seal(key: ServerKey, payload: Snapshot): Uint8Array<ArrayBuffer> {
    return payload.seal(key.handle, {
      maxPlaintextBytes: MAX_PLAINTEXT_BYTES,
      padding: this.options.padding,
      policy: this.options.secureMemory.locking,
    });
  }

  #completionUrl(baseUrl: string): URL {
    return this.#completionUrls.get(baseUrl, () => new URL(`${baseUrl}/v1/chat/secure_completion`));
  }

  #serverKeyCache(baseUrl: string): ServerKeyCache {
    const { serverKey, logger } = this.options;
    return this.#serverKeys.get(
      baseUrl,
      () => new ServerKeyCache(baseUrl, serverKey, (signal) => this.#fetchServerKey(baseUrl, signal), logger),
    );
  }

  async #fetchServerKey(baseUrl: string, signal: AbortSignal): Promise<string> {
    const response = await this.#transport.send({
      method: "GET",
      url: new URL(`${baseUrl}/pki/public_key`),
      headers: { Accept: "text/plain, application/x-pem-file", "Accept-Encoding": "identity" },
      body: undefined,
      signal,
      onSending: undefined,
    });
    if (response.status !== 200) throw await httpError(response, { sent: "no" });
    const { bytes, truncated } = await readBody(response, MAX_KEY_BYTES);
    if (truncated)
      throw new SecurityError("The server's public key is longer than a key can be. Nothing was sent.", "KEY_FORMAT");
    return new TextDecoder().decode(bytes);
  }

  #warnOfHttp(baseUrl: string): void {
    if (this.#warnedOfHttp || !baseUrl.startsWith("http:")) return;
    this.#warnedOfHttp = true;
    this.options.logger.warn(
      "`allowHttp`: the connection is not encrypted. The API key and the server's public key can be read and changed on the way.",
      {
        server: baseUrl,
      },
    );
  }
}

/** A request of one token, for the sake of its quote. */
function attestationPayload(model: string): object {
  return { model, messages: [{ role: "user", content: "ping" }], max_tokens: 1 };
}

function newState(): AttemptState {
  return { sent: "no", payloadId: undefined, serverKey: undefined, keyWasCached: false };
}

function localWorkError(): NomyoError {
  return new NomyoError(
    "The answer came, and opening or verifying it took too long on this machine. Does the TPM that verifies answer?",
    "LOCAL_TIMEOUT",
  );
}

function tooOld(report: AttestationReport): AttestationError {
  return new AttestationError(
    "The server attested, and by the time its quote had come it was older than the policy's `maxAgeMs`, twice. Nothing was sent. " +
      "Raise `maxAgeMs`, or the `rateLimit` that the request waits for.",
    "PREFLIGHT_AGE",
    report,
  );
}

const order: readonly Sent[] = ["no", "maybe", "yes"];

function further(a: Sent, b: Sent): Sent {
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}

/** The public error for whatever ended an attempt, with `sent` and the payload id. */
function complete(failure: unknown, { sent, payloadId }: Pick<AttemptState, "sent" | "payloadId">): unknown {
  let error = fromNative(failure, "opening");
  if (error instanceof ConnectionFailure) {
    error = new APIConnectionError(`${error.message}.`, {
      // A failure to fetch the server's key is one before the request was sent, whatever became of that fetch.
      sent: sent === "no" ? "no" : error.sent,
      payloadId,
      code: "CONNECTION",
      cause: error,
    });
  }
  if (error instanceof NomyoError) {
    error.sent ??= sent;
    if (payloadId !== undefined) error.payloadId ??= payloadId;
    if (error instanceof APIConnectionTimeoutError || error instanceof APIUserAbortError)
      error.sent = further(error.sent, sent);
  }
  return error;
}
