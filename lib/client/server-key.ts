/** The key of one server: fetched once, checked against pins and known servers, shared by requests. */
import { SecurityError } from "../errors.js";
import { PublicKey } from "../keys/public-key.js";
import type { PublicKeyHandle } from "../native.js";
import { serverKeyChannel } from "./diagnostics.js";
import type { KnownServersFile } from "../keys/known-servers.js";
import type { Logger } from "./logger.js";
import { ownError } from "./own-error.js";

/** A server's key that has passed every check of this client. */
export interface ServerKey {
  readonly handle: PublicKeyHandle;
  readonly pem: string;
  /** SHA-256 of the SubjectPublicKeyInfo DER, lower-case hex. */
  readonly fingerprint: string;
  readonly bits: number;
  /** Wipes the AES key that may lie ready for it. */
  dropAhead(): void;
}

/** What {@link ServerKeyCache} needs to know of the client's options. */
export interface ServerKeyTrust {
  /** Pinned fingerprints, lower-case hex; empty for none. */
  readonly fingerprints: readonly string[];
  /** Milliseconds. */
  readonly cacheTtl: number;
  readonly minBits: number;
  readonly knownServers: KnownServersFile | undefined;
}

/** One fetch under way, and how many wait for it. */
interface Flight {
  readonly promise: Promise<ServerKey>;
  readonly controller: AbortController;
  waiting: number;
}

/** What a server gave for its key: PEM text, if it is what it should be. */
export interface FetchedKey {
  readonly pem: string;
  /** Says that it is not: the transport's `distrust`. */
  readonly distrust?: (() => void) | undefined;
}

/** Fetches the PEM text of the key. */
export type FetchPem = (signal: AbortSignal) => Promise<FetchedKey>;

/**
 * The key of one server: fetched once, cached, shared by concurrent requests, and checked against the pins before
 * anybody gets it.
 */
export class ServerKeyCache {
  readonly #base: string;
  readonly #trust: ServerKeyTrust;
  readonly #fetchPem: FetchPem;
  readonly #logger: Logger;
  #cached: { key: ServerKey; until: number } | undefined;
  /** The first key seen, for the lifetime of the client. */
  #remembered: string | undefined;
  #fetching: Flight | undefined;

  constructor(base: string, trust: ServerKeyTrust, fetchPem: FetchPem, logger: Logger) {
    this.#base = base;
    this.#trust = trust;
    this.#fetchPem = fetchPem;
    this.#logger = logger;
  }

  /**
   * The key, from the cache while it is fresh. `cached` says that it was not fetched for this call: it may be out of
   * date.
   *
   * @param race - Waits with the caller's patience, e.g. `deadline.race`. When nobody waits any more, the fetch is
   *   aborted.
   */
  async get(race: (promise: Promise<ServerKey>) => Promise<ServerKey>): Promise<{ key: ServerKey; cached: boolean }> {
    if (this.#cached !== undefined && performance.now() < this.#cached.until) {
      return { key: this.#cached.key, cached: true };
    }
    return { key: await this.#fetch(race), cached: false };
  }

  /**
   * Forgets the cached key, unless it is another one than `key` by now, so that the next call fetches it. Pins stay.
   */
  invalidate(key: ServerKey): void {
    if (this.#cached?.key !== key) return;
    // Requests that still hold it seal with keys that they make themselves.
    key.dropAhead();
    this.#cached = undefined;
  }

  /** Forgets the key: an AES key that lies ready for it is wiped now, not when the collector comes. */
  close(): void {
    this.#cached?.key.dropAhead();
    this.#cached = undefined;
  }

  async #fetch(race: (promise: Promise<ServerKey>) => Promise<ServerKey>): Promise<ServerKey> {
    const flight = (this.#fetching ??= this.#start());
    flight.waiting++;
    try {
      return await race(flight.promise);
    } catch (error) {
      throw ownError(error);
    } finally {
      if (--flight.waiting === 0) {
        // Harmless when it has ended; else nobody wants it any more, and a later call must not join it.
        flight.controller.abort();
        if (this.#fetching === flight) this.#fetching = undefined;
      }
    }
  }

  #start(): Flight {
    const controller = new AbortController();
    const promise = this.#fetchPem(controller.signal).then(async ({ pem, distrust }) => {
      const key = await this.#accept(pem).catch((error: unknown) => {
        if (error instanceof SecurityError) distrust?.();
        throw error;
      });
      this.close();
      this.#cached = { key, until: performance.now() + this.#trust.cacheTtl };
      return key;
    });
    // Those who wait get the failure; when all have left, it concerns nobody.
    promise.catch(() => undefined);
    return { promise, waiting: 0, controller };
  }

  /** Every check of PROTOCOL section 5, in the order: is it a key, is it a pinned one, is it the known one. */
  async #accept(pem: string): Promise<ServerKey> {
    let key: ServerKey;
    try {
      const imported = PublicKey.fromPem(pem, this.#trust.minBits);
      const info = imported.info();
      key = {
        handle: imported.handle,
        pem: info.pem,
        fingerprint: info.spkiSha256,
        bits: info.bits,
        dropAhead: () => imported.dropAhead(),
      };
    } catch (error) {
      if ((error as { code?: unknown }).code === "KEY_FORMAT") {
        throw new SecurityError(
          isMarkup(pem)
            ? `${this.#base} answered with a web page where a NOMYO server has its public key. Nothing was sent. ` +
                `Check \`baseUrl\`.`
            : `What ${this.#base} gave for its public key is none. Nothing was sent. Is this the address of a NOMYO ` +
                `server? See \`baseUrl\`.`,
          "KEY_FORMAT",
        );
      }
      throw error;
    }
    const { fingerprint } = key;
    const { fingerprints, knownServers } = this.#trust;
    if (fingerprints.length > 0) {
      if (!fingerprints.includes(fingerprint)) {
        this.#publish("pin-mismatch", fingerprint);
        throw new SecurityError(
          `The server ${this.#base} has the key ${fingerprint}, which is not pinned. Nothing was sent. ` +
            "If the operator confirms this key, add it to `serverKey.fingerprints`.",
          "SERVER_KEY_PIN",
        );
      }
    } else if (knownServers !== undefined) {
      await this.#checkKnown(knownServers, fingerprint);
    } else if (this.#remembered !== undefined && this.#remembered !== fingerprint) {
      this.#logger.warn("The server's key has changed; no fingerprint is pinned, so the new one is used.", {
        server: this.#base,
        before: this.#remembered,
        now: fingerprint,
      });
      this.#publish("changed", fingerprint, this.#remembered);
    }
    if (this.#remembered === undefined) this.#publish("first-seen", fingerprint);
    this.#remembered = fingerprint;
    return key;
  }

  async #checkKnown(file: KnownServersFile, fingerprint: string): Promise<void> {
    let known = file.find(this.#base);
    if (known === undefined) {
      known = await file.remember(this.#base, fingerprint);
      this.#logger.info("The server's key was not known and is remembered now.", {
        server: this.#base,
        key: known.fingerprint,
      });
    }
    if (known.fingerprint !== fingerprint) {
      this.#publish("known-mismatch", fingerprint, known.fingerprint);
      throw new SecurityError(
        `The key of ${this.#base} has changed from ${known.fingerprint} to ${fingerprint}. Nothing was sent. ` +
          `If the operator confirms the new key, remove line ${known.line} of ${file.path}.`,
        "SERVER_KEY_CHANGED",
      );
    }
  }

  #publish(event: string, fingerprint: string, before?: string): void {
    serverKeyChannel.publish({ event, server: this.#base, fingerprint, before });
  }
}

/** Whether it begins as a web page does. */
function isMarkup(text: string): boolean {
  return text.trimStart().startsWith("<");
}
