/**
 * The channel that all public clients are thin layers over: attempts with retries around them, preflights, keys, and
 * the end.
 */
import { AttestationError } from "../attestation/attestation-error.js";
import { enforcementOf } from "../attestation/enforcement.js";
import { policyId } from "../attestation/policy.js";
import { Preflight } from "../attestation/preflight.js";
import type { AttestationReport } from "../attestation/report.js";
import { PoolRequest, Snapshot } from "../envelope/seal.js";
import type { Sealable } from "../envelope/seal.js";
import { APIUserAbortError, ConfigurationError, InvalidRequestError, NomyoError, SecurityError } from "../errors.js";
import type { APIError, Sent } from "../errors.js";
import { Deadline } from "../http/deadline.js";
import { FetchTransport } from "../http/fetch-transport.js";
import { httpError } from "../http/http-error.js";
import { NodeTransport } from "../http/node-transport.js";
import { RateLimiter } from "../http/rate-limiter.js";
import { readBody } from "../http/response-body.js";
import type { Transport } from "../http/transport.js";
import { applyMechanism } from "../memory/secure-memory.js";
import { applyThreadLimit } from "../memory/thread-limit.js";
import { ReceiptWriter } from "../receipts/receipt-writer.js";
import type { Receipt } from "../receipts/receipt.js";
import { Attempt, sealRequest } from "./attempt.js";
import type { Held, Means, OpenedAnswer } from "./attempt.js";
import { complete, further, notSent } from "./attempt-error.js";
import { BystanderCheck } from "./bystanders.js";
import { ClientKeys } from "./client-keys.js";
import { retryChannel, traceRequest } from "./diagnostics.js";
import type { RequestTrace, RetryTrace } from "./diagnostics.js";
import { Evidence, isRefusal } from "./evidence.js";
import type { Recorded } from "./evidence.js";
import { MemoryCheck } from "./memory-check.js";
import type { ResolvedOptions, ResolvedRequestOptions } from "./options.js";
import { ownError } from "./own-error.js";
import { RecentMap } from "./recent-map.js";
import { retryDelay } from "./retry.js";
import { ServerKeyCache } from "./server-key.js";
import type { FetchedKey, ServerKey } from "./server-key.js";

/** A public key as PEM is under 2 KiB. */
const MAX_KEY_BYTES = 65_536;

/** So many base URLs are kept in mind. */
const MOST_SERVERS = 256;
/** The model that is asked for one token when only its server's quote is wanted. */
const ATTESTATION_MODEL = "Qwen/Qwen3-0.6B";

/** What one attempt goes by. */
interface Way {
  readonly options: ResolvedRequestOptions;
  readonly deadline: Deadline;
  readonly trace: RequestTrace;
}

/** An answer with the receipt of it: where receipts are written, that is on the disk. */
export interface RecordedAnswer extends OpenedAnswer {
  readonly receipt: Receipt;
}

/** A request's attempts as its receipt sees them: the last one counts. */
interface Recording {
  evidence: Evidence;
}

/**
 * The way of a request: client key, server key, seal, HTTP, open, verify; with retries around it. All public clients
 * are thin layers over this one class.
 */
export class SecureChannel {
  readonly options: ResolvedOptions;
  readonly keys: ClientKeys;
  readonly #transport: Transport;
  /** By base URL. */
  readonly #serverKeys = new RecentMap<ServerKeyCache>(MOST_SERVERS, (cache) => cache.close());
  /** By base URL. */
  readonly #completionUrls = new RecentMap<URL>(MOST_SERVERS);
  /**
   * By base URL, policy, tier and engine: what was attested for one says nothing of another. The server's key is
   * inside.
   */
  readonly #preflights = new RecentMap<Preflight>(MOST_SERVERS);
  readonly #limiter: RateLimiter | undefined;
  readonly #means: Means;
  readonly #memory: MemoryCheck;
  readonly #bystanders: BystanderCheck;
  readonly #receipts: ReceiptWriter | undefined;
  readonly #closing = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();
  #closed = false;
  #warnedOfHttp = false;

  constructor(options: ResolvedOptions) {
    this.options = options;
    // Before anything of the pool is used.
    applyMechanism(options.secureMemory);
    this.#memory = new MemoryCheck(options.secureMemory.locking, options.logger);
    // After what may fail, since it cannot be taken back.
    applyThreadLimit(options);
    this.#bystanders = new BystanderCheck(options.logger);
    this.#bystanders.report();
    this.keys = new ClientKeys({ ...options, locking: options.secureMemory.locking }, options.logger);
    this.#transport =
      options.fetch === undefined && options.dispatcher === undefined
        ? new NodeTransport()
        : new FetchTransport(
            options.fetch ?? (globalThis.fetch as unknown as NonNullable<typeof options.fetch>),
            options.dispatcher,
          );
    this.#limiter = options.rateLimit === undefined ? undefined : new RateLimiter(options.rateLimit);
    this.#receipts =
      options.receipts === undefined
        ? undefined
        : new ReceiptWriter(options.receipts, options.secureMemory.locking, options.logger);
    this.#means = {
      options,
      keys: this.keys,
      transport: this.#transport,
      limiter: this.#limiter,
      serverKeys: (baseUrl) => this.#serverKeyCache(baseUrl),
      completionUrl: (baseUrl) => this.#completionUrl(baseUrl),
      hold: (running) => this.#hold(running),
    };
    this.#warnOfHttp(options.baseUrl);
  }

  /**
   * Sends one request, with as many attempts as its options allow, and opens its answer. A `PoolRequest` is disposed of
   * when it ends, however it does.
   */
  request(payload: object | PoolRequest, model: string, options: ResolvedRequestOptions): Promise<RecordedAnswer> {
    return this.#track(() =>
      this.#request(payload, model, options, (snapshot, trace) => this.#recorded(snapshot, options, trace)),
    );
  }

  /** Sees to it that receipts can be written, where they are wanted: otherwise the first request finds out. */
  async receiptsReady(): Promise<void> {
    await this.#receipts?.ready();
  }

  /**
   * Sends a harmless request of one token for the sake of its quote.
   *
   * @returns the report; in mode `off` as in mode `report`, since somebody has asked.
   */
  attest(options: ResolvedRequestOptions, model: string = ATTESTATION_MODEL): Promise<AttestationReport> {
    return this.#track(() => this.#attest(options, model));
  }

  #request<Answer extends OpenedAnswer>(
    payload: object | PoolRequest,
    model: string,
    options: ResolvedRequestOptions,
    attempts: (snapshot: Sealable, trace: RequestTrace) => Promise<Answer>,
  ): Promise<Answer> {
    this.#bystanders.report();
    const trace = newTrace(options, model);
    // What the caller does with the request from now on changes nothing of what any attempt sends.
    let snapshot: Sealable;
    try {
      snapshot = payload instanceof PoolRequest ? payload : new Snapshot(payload);
    } catch (error) {
      return Promise.reject(complete(error, notSent));
    }
    return traceRequest(trace, () => attempts(snapshot, trace)).finally(() => snapshot.dispose());
  }

  /** The attempts, and the receipt of how they ended. Nothing leaves while one is wanted and cannot be written. */
  async #recorded(snapshot: Sealable, options: ResolvedRequestOptions, trace: RequestTrace): Promise<RecordedAnswer> {
    const startedAt = Date.now();
    try {
      await this.receiptsReady();
    } catch (error) {
      throw complete(ownError(error), notSent);
    }
    const recording: Recording = { evidence: this.#newEvidence() };
    let answer: OpenedAnswer;
    try {
      answer = await this.#attempts(snapshot, options, trace, recording);
    } catch (error) {
      if (isRefusal(error)) {
        await this.#record(recording.evidence, { options, startedAt, attempts: trace.attempts }, error).catch(
          (failure: unknown) => {
            // The refusal matters more, and nothing was handed on. The next request will not be sent.
            this.options.logger.error("A refused answer has no receipt.", { code: codeOf(failure) });
          },
        );
      }
      throw error;
    }
    try {
      const request = { options, startedAt, attempts: trace.attempts };
      return { ...answer, receipt: await this.#record(recording.evidence, request) };
    } catch (error) {
      answer.opened.dispose();
      throw complete(error, { sent: "yes", payloadId: answer.response.payloadId });
    }
  }

  #newEvidence(): Evidence {
    return new Evidence(this.#receipts?.digestKey);
  }

  async #record(evidence: Evidence, request: Recorded, error?: SecurityError): Promise<Receipt> {
    const receipt = await evidence.receipt(request, error);
    return this.#receipts === undefined
      ? receipt
      : await this.#receipts.append(receipt, request.options.attestation.policy);
  }

  async #attest(options: ResolvedRequestOptions, model: string): Promise<AttestationReport> {
    const asked = options.attestation.mode === "off" ? enforcementOf("report") : options.attestation;
    const asking = { ...options, attestation: { ...asked, preflight: false } };
    return reportOf(
      await this.#request(attestationPayload(model), model, asking, (snapshot, trace) =>
        this.#attempts(snapshot, asking, trace),
      ),
    );
  }

  /**
   * Sees to it that the server has attested with the very key that this attempt holds. Whatever goes wrong here, the
   * request itself was not sent. The verdict is looked at again when this returns: waiting takes time.
   */
  async #attested(held: Held, way: Way): Promise<void> {
    const { options, deadline } = way;
    const { baseUrl, attestation, securityTier } = options;
    if (!attestation.preflight) return;
    const name = JSON.stringify([baseUrl, policyId(attestation.policy), securityTier, attestation.tcti]);
    const preflight = this.#preflights.get(name, () => new Preflight(attestation.maxAgeMs));
    const { fingerprint } = held.key;
    let report: AttestationReport | undefined;
    const ask = async (): Promise<void> => {
      report = await this.#ping(held, way);
    };
    try {
      for (let asked = 0; !preflight.covers(fingerprint);) {
        if (asked === 2 && report !== undefined) throw tooOld(report);
        if (await preflight.ask(fingerprint, ask, (others) => deadline.race(others))) asked++;
        // What was reserved before went to the ping; and waiting for it may make the verdict too old again.
        await this.#limiter?.take(deadline);
      }
    } catch (failure) {
      const error = complete(failure, notSent);
      if (error instanceof NomyoError) {
        error.sent = "no";
        // Of the ping, which is no attempt of the request.
        delete error.payloadId;
      }
      throw error;
    }
  }

  /** One exchange that holds nothing of the caller's but his credentials, within the time of the attempt that asks. */
  #ping(held: Held, { options, deadline, trace }: Way): Promise<AttestationReport> {
    const own: RequestTrace = { ...newTrace(options, trace.model), attempts: 1 };
    return traceRequest(own, async () => {
      const attempt = new Attempt(this.#means, options, deadline, own);
      try {
        return reportOf(await attempt.answer(held, new Snapshot(attestationPayload(trace.model))));
      } catch (failure) {
        throw complete(failure, attempt);
      }
    });
  }

  /** The server's key, checked against the pins. */
  serverKey(baseUrl: string, signal?: AbortSignal): Promise<ServerKey> {
    return this.#track(async () => {
      const deadline = this.#deadline({ timeout: this.options.timeout, signal });
      try {
        deadline.startClock();
        return (await this.#serverKeyCache(baseUrl).get((promise) => deadline.race(promise))).key;
      } catch (error) {
        throw complete(error, notSent);
      } finally {
        deadline.dispose();
      }
    });
  }

  /**
   * Ends the channel: no new requests; those in flight are finished, or aborted when `abort` is set; then keys are
   * wiped and connections closed.
   */
  async close(abort: boolean): Promise<void> {
    this.#closed = true;
    if (abort) {
      const why = "The request was ended by `close({ abort: true })`, since it was still under way.";
      this.#closing.abort(new APIUserAbortError(why, { code: "ABORTED" }));
    }
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
    await this.#receipts?.close();
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

  async #attempts(
    payload: Sealable,
    options: ResolvedRequestOptions,
    trace: RequestTrace,
    recording?: Recording,
  ): Promise<OpenedAnswer> {
    let sent: Sent = "no";
    let keyWasRefreshed = false;
    for (let retry = 0; ;) {
      this.#warnOfHttp(options.baseUrl);
      trace.attempts++;
      const deadline = this.#deadline(options);
      if (recording !== undefined) recording.evidence = this.#newEvidence();
      const attempt = new Attempt(this.#means, options, deadline, trace, recording?.evidence);
      try {
        return await this.#attempt(attempt, payload, { options, deadline, trace });
      } catch (failure) {
        const error = complete(failure, attempt);
        // The request counts as sent if any of its attempts does.
        if (error instanceof NomyoError) error.sent = sent = further(sent, error.sent ?? "no");
        if (!keyWasRefreshed && (await this.#keyHasChanged(error, attempt, options))) {
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

  #deadline({ timeout, signal }: Pick<ResolvedRequestOptions, "timeout" | "signal">): Deadline {
    return new Deadline(timeout, [signal, this.#closing.signal]);
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
    const patience = this.#deadline(options);
    try {
      await patience.sleep(wait);
    } catch (aborted) {
      throw complete(aborted, { sent: error.sent ?? "no", payloadId: error.payloadId });
    } finally {
      patience.dispose();
    }
  }

  /**
   * Whether a 400 came because the server has another key by now. It says 400 for every wrong request too, so the key
   * is fetched again and compared; only when it came from the cache, since a fresh one cannot be out of date.
   */
  async #keyHasChanged(error: unknown, attempt: Attempt, options: ResolvedRequestOptions): Promise<boolean> {
    const used = attempt.serverKey;
    if (
      !(error instanceof InvalidRequestError) ||
      error.statusCode !== 400 ||
      used === undefined ||
      !attempt.keyWasCached
    )
      return false;
    this.#serverKeyCache(options.baseUrl).invalidate(used);
    const deadline = this.#deadline(options);
    try {
      deadline.startClock();
      const { key } = await this.#serverKeyCache(options.baseUrl).get((promise) => deadline.race(promise));
      return key.fingerprint !== used.fingerprint;
    } catch (failure) {
      // A key that is refused, and the caller's abort, matter more than the 400; a server that cannot be reached does
      // not.
      const refused = complete(failure, { sent: error.sent ?? "yes", payloadId: error.payloadId });
      if (refused instanceof SecurityError || refused instanceof APIUserAbortError) throw refused;
      return false;
    } finally {
      deadline.dispose();
    }
  }

  /** The five steps of an attempt, and, where the policy wants one, a preflight before the second. */
  async #attempt(attempt: Attempt, payload: Sealable, way: Way): Promise<OpenedAnswer> {
    try {
      const held = await attempt.prepare();
      // Last of all that waits: between this check and sealing nothing is waited for, so the key that was attested is
      // the one sealed to.
      await this.#attested(held, way);
      return await attempt.answer(held, payload);
    } finally {
      this.#memory.report();
      attempt.end();
    }
  }

  /** Seals a payload to a server's key, ready to be sent. */
  seal(key: ServerKey, payload: Sealable): Uint8Array<ArrayBuffer> {
    return sealRequest(key, payload, this.options);
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

  async #fetchServerKey(baseUrl: string, signal: AbortSignal): Promise<FetchedKey> {
    const url = new URL(`${baseUrl}/pki/public_key`);
    const response = await this.#transport.send({
      method: "GET",
      url,
      headers: { Accept: "text/plain, application/x-pem-file", "Accept-Encoding": "identity" },
      body: undefined,
      signal,
      onSending: undefined,
    });
    if (response.status !== 200) throw await httpError(response, { sent: "no" }, { 400: notUnderstood(url) });
    const { bytes, truncated } = await readBody(response, MAX_KEY_BYTES);
    if (truncated)
      throw new SecurityError("The server's public key is longer than a key can be. Nothing was sent.", "KEY_FORMAT");
    return { pem: new TextDecoder().decode(bytes), distrust: response.distrust };
  }

  #warnOfHttp(baseUrl: string): void {
    if (this.#warnedOfHttp || !baseUrl.startsWith("http:")) return;
    this.#warnedOfHttp = true;
    this.options.logger.warn(
      "`allowHttp`: the connection is not encrypted. The API key and the server's public key can be read and changed " +
        "on the way.",
      {
        server: baseUrl,
      },
    );
  }
}

/** A server of NOMYO finds nothing wrong with this question; one that waits for TLS does, and says 400. */
function notUnderstood({ protocol, host }: URL): string {
  const perhaps = protocol === "http:" ? "it speaks HTTPS at this port, or it is" : "it is";
  return (
    `${host} does not understand the question for a server's public key: perhaps ${perhaps} no NOMYO server. ` +
    `Check \`baseUrl\``
  );
}

/** A request of one token, for the sake of its quote. */
function attestationPayload(model: string): object {
  return { model, messages: [{ role: "user", content: "ping" }], max_tokens: 1 };
}

function newTrace({ baseUrl, securityTier }: ResolvedRequestOptions, model: string): RequestTrace {
  return { server: baseUrl, model, securityTier, attempts: 0 };
}

function codeOf(error: unknown): string {
  return error instanceof NomyoError ? error.code : "UNKNOWN";
}

/** The report of an answer of which nothing else is wanted. */
function reportOf({ opened, metadata }: OpenedAnswer): AttestationReport {
  opened.dispose();
  if (metadata.attestation_report === undefined) throw new Error("In this mode every answer has a report.");
  return metadata.attestation_report;
}

function tooOld(report: AttestationReport): AttestationError {
  return new AttestationError(
    "The server attested, and by the time its quote had come it was older than the policy's `maxAgeMs`, twice. " +
      "Nothing was sent. " +
      "Raise `maxAgeMs`, or the `rateLimit` that the request waits for.",
    "PREFLIGHT_AGE",
    report,
  );
}
