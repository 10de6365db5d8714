/**
 * The router's TPM: one quote for each answer, over the answer's payload id.
 *
 * A TPM does one thing at a time, so quotes queue, up to a bound. One that stops working makes answers without
 * attestation (and tier `maximum` is refused) until it works again: each quote after a short pause tries to open it
 * anew.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { qualifyingDataOf } from "../attestation/qualifying-data.js";
import { parseTpmAttestation } from "../attestation/verify.js";
import { ConfigurationError } from "../errors.js";
import { tpmDriver } from "../attestation/tpm.js";
import type { TpmDriver } from "../attestation/tpm.js";
import type { QuoteOptions, TpmAttestationBlock, TpmHandle } from "../native.js";
import { Disconnected, unavailable } from "../http/refusal.js";

export interface AttestorSettings {
  /** e.g. `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`. */
  readonly tcti: string;
  readonly quote: QuoteOptions;
  /** The certificates of a persistent AIK, base64 of DER, the AIK's first; empty for an ephemeral one. */
  readonly certificateChain: readonly string[];
  /** Quotes that may wait or be under way. */
  readonly queueLimit: number;
  /** Milliseconds for one quote, opening included; over it the TPM counts as gone. */
  readonly timeoutMs: number;
  /** Milliseconds between attempts to open a TPM that is gone. */
  readonly reopenMs: number;
  /**
   * Told when the TPM goes away, when it comes back, and of a persistent AIK without noDA: one sentence for the
   * operator.
   */
  readonly log: (message: string) => void;
}

export const notAvailable: TpmAttestationBlock = { is_available: false };

/** Whether a certificate (base64 of DER) is for this public key (PEM). */
function isOf(certificate: string, pem: string | undefined): boolean {
  const { publicKey } = new X509Certificate(Buffer.from(certificate, "base64"));
  return pem !== undefined && publicKey.equals(createPublicKey(pem));
}

export class Attestor {
  readonly #settings: AttestorSettings;
  readonly #driver: TpmDriver;
  #tpm: TpmHandle | undefined;
  #working = false;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** The job that ran over its time and still holds the TPM. */
  #hanging: Promise<unknown> | undefined;
  #reopenAt = 0;
  #closed = false;

  constructor(settings: AttestorSettings, driver: TpmDriver = tpmDriver) {
    this.#settings = settings;
    this.#driver = driver;
  }

  /**
   * Makes a trial quote, so that a wrong `tcti` or key is found at start; rejects with the addon's error, or with a
   * `ConfigurationError` when the first certificate is not the AIK's: every client would refuse such a chain. A
   * persistent AIK under dictionary-attack protection is used, with a word to the log.
   */
  async start(): Promise<void> {
    const block = await this.#inTime(this.#make(qualifyingDataOf("start")));
    const { certificateChain, quote, log } = this.#settings;
    const [certificate] = certificateChain;
    if (certificate !== undefined && !isOf(certificate, parseTpmAttestation(block).aik.pem)) {
      throw new ConfigurationError(
        "tpm.certificateChain",
        "The first certificate of the AIK's chain (--aik-cert-chain) is not for the key at the persistent handle.",
      );
    }
    if (quote.persistentHandle !== undefined && !parseTpmAttestation(block).aik.attributes.includes("noDA")) {
      log(
        "the persistent AIK lacks noDA: each power cut after a quote counts against the TPM's dictionary-attack " +
          "limit, and a lockout " +
          "hits every other user of the TPM, disk encryption included; make the AIK anew with noDA",
      );
    }
    this.#working = true;
  }

  /** Whether the last attempt succeeded. */
  get available(): boolean {
    return this.#working;
  }

  /**
   * The block for an answer. `is_available` is false when the TPM does not work. Throws a 503 when too many quotes
   * wait, and rejects with `Disconnected` when `signal` aborts before this one's turn.
   */
  async quote(payloadId: string, signal: AbortSignal): Promise<TpmAttestationBlock> {
    if (this.#waiting >= this.#settings.queueLimit) {
      throw unavailable("The server's TPM is busy: too many attestations are waiting.", 1);
    }
    this.#waiting += 1;
    const turn = this.#last.then(async () => {
      if (signal.aborted) throw new Disconnected();
      return await this.#attempt(qualifyingDataOf(payloadId));
    });
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Closes the TPM, after the quote that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    this.#forget();
  }

  async #attempt(data: Uint8Array): Promise<TpmAttestationBlock> {
    if (this.#closed || this.#hanging !== undefined) return notAvailable;
    if (this.#tpm === undefined && performance.now() < this.#reopenAt) return notAvailable;
    const hadConnection = this.#tpm !== undefined;
    try {
      const block = await this.#inTime(this.#make(data));
      this.#note(true);
      return block;
    } catch (error) {
      this.#forget();
      this.#note(false, error);
      // A TPM that was restarted answers on a new connection only.
      if (hadConnection) return await this.#attempt(data);
      this.#reopenAt = performance.now() + this.#settings.reopenMs;
      return notAvailable;
    }
  }

  async #make(data: Uint8Array): Promise<TpmAttestationBlock> {
    const { tcti, quote, certificateChain } = this.#settings;
    this.#tpm ??= await this.#driver.tpmOpen(tcti);
    const block = await this.#driver.tpmQuote(this.#tpm, data, quote);
    return certificateChain.length === 0 ? block : { ...block, aik_cert_chain_b64: certificateChain };
  }

  /** Gives up waiting after the time-out; the TPM is left alone until the job ends, since it takes one at a time. */
  async #inTime<T>(job: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const done = job
          .catch(() => undefined)
          .then(() => {
            this.#hanging = undefined;
            this.#forget();
          });
        this.#hanging = done;
        reject(new Error(`the TPM did not answer within ${this.#settings.timeoutMs} ms`));
      }, this.#settings.timeoutMs);
    });
    try {
      return await Promise.race([job, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #forget(): void {
    if (this.#tpm === undefined || this.#hanging !== undefined) return;
    this.#driver.tpmClose(this.#tpm);
    this.#tpm = undefined;
  }

  #note(working: boolean, error?: unknown): void {
    if (working === this.#working) return;
    this.#working = working;
    this.#settings.log(
      working
        ? "the TPM works again: answers carry attestation"
        : `the TPM does not work (${error instanceof Error ? error.message : String(error)}): answers go without ` +
            "attestation, tier maximum is refused",
    );
  }
}
