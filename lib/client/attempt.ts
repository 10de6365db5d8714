/** One attempt of a request, as an object: prepare, seal, exchange, open, verify. */
import { enforce } from "../attestation/enforcement.js";
import { boundPayloadId } from "../attestation/qualifying-data.js";
import { nodeCrypto } from "../builtins.js";
import { checkServerMetadata, completeMetadata, readServerMetadata } from "../chat/answer-metadata.js";
import type { AnswerMetadata } from "../chat/chat-types.js";
import { openPackage } from "../envelope/open.js";
import type { OpenedPackage } from "../envelope/open.js";
import type { PlaintextDigest, Sealable } from "../envelope/seal.js";
import { NomyoError, SecurityError } from "../errors.js";
import type { Sent } from "../errors.js";
import type { Deadline } from "../http/deadline.js";
import { httpError } from "../http/http-error.js";
import type { RateLimiter } from "../http/rate-limiter.js";
import { readBody } from "../http/response-body.js";
import type { Transport, TransportResponse } from "../http/transport.js";
import type { ResponseInfo } from "./api-promise.js";
import type { Evidence } from "./evidence.js";
import type { ClientKeys, KeyLease } from "./client-keys.js";
import { tracePhase } from "./diagnostics.js";
import type { Phase, RequestTrace } from "./diagnostics.js";
import { authorization } from "./options.js";
import type { ResolvedOptions, ResolvedRequestOptions } from "./options.js";
import type { ServerKey, ServerKeyCache } from "./server-key.js";

/** Largest request plaintext in bytes of UTF-8 (PROTOCOL section 2). */
const MAX_PLAINTEXT_BYTES = 10_485_760;
/** Opening and verifying take milliseconds; a TPM that verifies may take seconds, or not answer at all. */
const LOCAL_WORK_MS = 120_000;

/** Not that one was refused: whoever gave none would look for the fault in the wrong place. */
const WITHOUT_KEY = {
  401: "No API key was given, and the server wants one: set `apiKey`, or the environment variable NOMYO_API_KEY",
};

/** An answer that has been opened, found to belong to the request, and, where required, attested. */
export interface OpenedAnswer {
  /** The plaintext, in locked memory. Whoever gets it disposes of it. */
  readonly opened: OpenedPackage;
  readonly metadata: AnswerMetadata;
  readonly response: ResponseInfo;
}

/** What an attempt has of its channel. */
export interface Means {
  readonly options: ResolvedOptions;
  readonly keys: ClientKeys;
  readonly transport: Transport;
  readonly limiter: RateLimiter | undefined;
  readonly serverKeys: (baseUrl: string) => ServerKeyCache;
  readonly completionUrl: (baseUrl: string) => URL;
  /** Lets the channel's end wait for it. */
  readonly hold: (running: Promise<unknown>) => void;
}

/** All that has to be waited for before anything is sealed. */
export interface Held {
  readonly lease: KeyLease;
  readonly key: ServerKey;
  /** The value of `Authorization`. */
  readonly credential: string | undefined;
}

/** What came over the wire, sealed. */
interface Received {
  readonly response: TransportResponse;
  readonly bytes: Uint8Array;
}

/** Seals a payload to a server's key, ready to be sent. */
export function sealRequest(
  key: ServerKey,
  payload: Sealable,
  { padding, secureMemory }: ResolvedOptions,
  digest?: PlaintextDigest,
): Uint8Array<ArrayBuffer> {
  return payload.seal(key.handle, {
    maxPlaintextBytes: MAX_PLAINTEXT_BYTES,
    padding,
    locking: secureMemory.locking,
    digest,
  });
}

/**
 * Openings that ended for their callers before they ended for the package's threads, by the key they still use; a
 * ping's too.
 */
const abandoned = new WeakMap<KeyLease, Promise<unknown>>();

export class Attempt {
  /** How far it came, for the decision about the next one. */
  sent: Sent = "no";
  payloadId: string | undefined;
  serverKey: ServerKey | undefined;
  /** Whether the server key was fetched before this attempt, so that it may be out of date. */
  keyWasCached = false;
  #lease: KeyLease | undefined;
  readonly #means: Means;
  readonly #options: ResolvedRequestOptions;
  readonly #deadline: Deadline;
  readonly #trace: RequestTrace;
  /** Undefined for an attempt whose answer nobody is handed: a preflight's. */
  readonly #evidence: Evidence | undefined;

  constructor(
    means: Means,
    options: ResolvedRequestOptions,
    deadline: Deadline,
    trace: RequestTrace,
    evidence?: Evidence,
  ) {
    this.#means = means;
    this.#options = options;
    this.#deadline = deadline;
    this.#trace = trace;
    this.#evidence = evidence;
  }

  /**
   * Step 1. All that has to be waited for comes before sealing: no plaintext and no AES key stands in memory meanwhile.
   * The clock starts when the client's own key is there.
   */
  async prepare(): Promise<Held> {
    const { keys, limiter, serverKeys } = this.#means;
    const deadline = this.#deadline;
    const lease = await this.#phase("client-key", () => keys.lease((promise) => deadline.race(promise)));
    this.#lease = lease;
    if (this.#evidence !== undefined) this.#evidence.clientKey = lease.fingerprint;
    deadline.startClock();
    await this.#phase("rate-limit", () => limiter?.take(deadline));
    const { key, cached } = await this.#phase("server-key", () =>
      serverKeys(this.#options.baseUrl).get((promise) => deadline.race(promise)),
    );
    this.serverKey = key;
    if (this.#evidence !== undefined) this.#evidence.serverKey = key.fingerprint;
    this.keyWasCached = cached;
    const credential = await deadline.race(authorization(this.#options.apiKey));
    return { lease, key, credential };
  }

  /** Steps 2 to 5, with everything at hand. */
  async answer(held: Held, payload: Sealable): Promise<OpenedAnswer> {
    const sealed = await this.#seal(held, payload);
    const received = await this.#exchange(held, sealed);
    try {
      const opened = await this.#open(held, received);
      return await this.#verify(opened, received);
    } catch (error) {
      // Perhaps another's answer: then so is the next one on this connection.
      if (error instanceof SecurityError) received.response.distrust?.();
      throw error;
    }
  }

  /** Gives the client's key back: at once, or when an opening that nobody waits for any more has ended. */
  end(): void {
    this.#deadline.dispose();
    const lease = this.#lease;
    if (lease === undefined) return;
    const opening = abandoned.get(lease);
    if (opening === undefined) lease.release();
    else void opening.then(() => lease.release());
  }

  /** Step 2. A fresh payload id, and the package under it. */
  async #seal({ key, lease }: Held, payload: Sealable): Promise<Uint8Array<ArrayBuffer>> {
    this.#deadline.throwIfOver();
    const uuid = nodeCrypto().randomUUID();
    const bound = this.#options.attestation.binding !== "none";
    this.payloadId = this.#trace.payloadId = bound ? boundPayloadId(uuid, key.pem, lease.publicPem) : uuid;
    const evidence = this.#evidence;
    const digest = evidence?.digestKey && {
      key: evidence.digestKey,
      told: (hmac: string) => void (evidence.plaintextHmac = hmac),
    };
    const body = await this.#phase("seal", () => sealRequest(key, payload, this.#means.options, digest));
    this.#trace.requestBytes = body.byteLength;
    if (evidence !== undefined) {
      evidence.payloadId = this.payloadId;
      evidence.sealed(body);
    }
    this.#deadline.throwIfOver();
    return body;
  }

  /** Step 3. The package there, the sealed answer back. */
  async #exchange({ lease, credential }: Held, body: Uint8Array<ArrayBuffer>): Promise<Received> {
    const { transport, options, completionUrl } = this.#means;
    const { baseUrl, securityTier, timeout } = this.#options;
    const payloadId = this.#id();
    const deadline = this.#deadline;
    const response = await this.#phase("exchange", () =>
      deadline.race(
        transport.send({
          method: "POST",
          url: completionUrl(baseUrl),
          headers: {
            "Content-Type": "application/octet-stream",
            // Compressed answers gain nothing (base64 of ciphertext), and their size would have to be limited twice.
            "Accept-Encoding": "identity",
            "X-Payload-ID": payloadId,
            "X-Public-Key": lease.publicKeyHeader,
            ...(credential === undefined ? {} : { Authorization: credential }),
            ...(securityTier === undefined ? {} : { "X-Security-Tier": securityTier }),
          },
          body,
          signal: deadline.signal,
          onSending: () => {
            this.sent = "maybe";
          },
        }),
      ),
    );
    this.sent = "yes";
    this.#trace.status = response.status;
    if (response.status !== 200) {
      throw await httpError(response, { payloadId, sent: "yes" }, credential === undefined ? WITHOUT_KEY : {});
    }
    const { bytes, truncated } = await this.#phase("read", () =>
      deadline.race(readBody(response, options.maxResponseBytes)),
    );
    if (truncated) {
      throw new SecurityError(
        `The server's answer has more than ${options.maxResponseBytes} bytes (\`maxResponseBytes\`). Nothing of it ` +
          "was used.",
        "TOO_LARGE",
      );
    }
    this.#trace.responseBytes = bytes.byteLength;
    // `timeout` ends with the last byte. What follows is work of this machine, which has a time of its own. Only for
    // whoever holds the key: a preflight's ping is within the time of the attempt that asked for it.
    if (this.#lease !== undefined) deadline.restartClock(Math.max(timeout, LOCAL_WORK_MS), localWorkError);
    return { response, bytes };
  }

  /** Step 4. On the package's threads; what comes of it is authenticated JSON in locked memory. */
  async #open({ lease }: Held, { bytes }: Received): Promise<OpenedPackage> {
    const { secureMemory, maxResponseBytes, logger } = this.#means.options;
    const opening = openPackage(lease.key, bytes, {
      locking: secureMemory.locking,
      signal: this.#deadline.signal,
      maxPlaintextBytes: maxResponseBytes,
      logger,
      digestKey: this.#evidence?.digestKey,
    });
    // Beside the opening, on another of the package's threads.
    this.#evidence?.came(bytes);
    try {
      const opened = await this.#phase("open", () => this.#deadline.race(opening));
      this.#evidence?.opened(opened);
      return opened;
    } catch (error) {
      if (this.#deadline.error !== undefined) {
        const wiped = opening.then(
          (late) => late.dispose(),
          () => undefined,
        );
        abandoned.set(lease, wiped);
        this.#means.hold(wiped);
      }
      throw error;
    }
  }

  /** Step 5. Whether the answer is for this very attempt, and what its quote is worth. If not, it is wiped. */
  async #verify(opened: OpenedPackage, { response }: Received): Promise<OpenedAnswer> {
    const { attestation, securityTier } = this.#options;
    const payloadId = this.#id();
    try {
      const stated = readServerMetadata(opened);
      this.#evidence?.metadata(stated);
      const server = checkServerMetadata(stated, payloadId, securityTier);
      const report = await this.#phase("verify", () =>
        this.#deadline.race(enforce(attestation, server["tpm_attestation"], payloadId, server["payload_binding"])),
      );
      if (this.#evidence !== undefined) this.#evidence.report = report;
      return {
        opened,
        metadata: completeMetadata(server, payloadId, opened.processedAt, report),
        response: { status: response.status, headers: response.headers, payloadId, attempts: this.#trace.attempts },
      };
    } catch (error) {
      opened.dispose();
      throw error;
    }
  }

  /** Every step is timed in the same way. */
  #phase<T>(phase: Phase, work: () => T | Promise<T>): T | Promise<T> {
    return tracePhase(this.#trace, phase, work);
  }

  #id(): string {
    if (this.payloadId === undefined) throw new Error("A payload id is drawn before anything is sent.");
    return this.payloadId;
  }
}

function localWorkError(): NomyoError {
  return new NomyoError(
    "The answer came, and opening or verifying it took too long on this machine. Does the TPM that verifies answer?",
    "LOCAL_TIMEOUT",
  );
}
