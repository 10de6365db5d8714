/** The client's own keys: made or loaded in the background, leased to attempts, replaced in time. */
import { ConfigurationError } from "../errors.js";
import type { Locking, PrivateKeyHandle } from "../native.js";
import type { KeyPassword } from "../keys/key-password.js";
import { hasKey, loadKeyPair, prepareFolder, savePrivateKey } from "../keys/key-store.js";
import type { StoredKey } from "../keys/key-store.js";
import type { Logger } from "./logger.js";
import { PrivateKey } from "../keys/private-key.js";
import type { GenerateOptions } from "../keys/private-key.js";
import { systemReason } from "../system-reason.js";
import { ownError } from "./own-error.js";

/**
 * The next key is begun this much before it is needed, or in the last tenth of a shorter interval. Generation takes
 * seconds at most.
 */
const LEAD_MS = 60_000;
/** After a failed rotation (a full disk, say) the next try comes after this long. */
const RETRY_MS = 60_000;
/** The longest delay of a Node timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface ClientKeysOptions {
  readonly keyDir: string | undefined;
  readonly keyPassword: KeyPassword | undefined;
  /** Milliseconds; 0 for never. */
  readonly keyRotationInterval: number;
  readonly locking: Locking;
}

/** A client key in use by one attempt: it stays alive until it is released, whatever happens to the ring meanwhile. */
export interface KeyLease {
  readonly key: PrivateKeyHandle;
  /** The public half as PEM SubjectPublicKeyInfo. */
  readonly publicPem: string;
  /** The same as the value of the header `X-Public-Key` (PROTOCOL section 1). */
  readonly publicKeyHeader: string;
  /** SHA-256 of the SubjectPublicKeyInfo DER, lower-case hex. */
  readonly fingerprint: string;
  release(): void;
}

/** A private key that is wiped when its last user has let go of it. */
class SharedKey {
  readonly key: PrivateKey;
  readonly publicPem: string;
  readonly #publicKeyHeader: string;
  readonly #fingerprint: string;
  /** When it is due to be replaced, on the monotonic clock. */
  readonly dueAt: number;
  /** Which file of the key folder it is. */
  readonly version: string | undefined;
  #users = 0;
  #retired = false;

  constructor({ key, version }: StoredKey, dueAt: number) {
    this.key = key;
    const { pem, spkiSha256 } = key.publicInfo();
    this.publicPem = pem;
    this.#fingerprint = spkiSha256;
    this.#publicKeyHeader = encodeURIComponent(this.publicPem);
    this.dueAt = dueAt;
    this.version = version;
  }

  lease(): KeyLease {
    this.#users++;
    let released = false;
    return {
      key: this.key.handle,
      publicPem: this.publicPem,
      publicKeyHeader: this.#publicKeyHeader,
      fingerprint: this.#fingerprint,
      release: () => {
        if (released) return;
        released = true;
        this.#users--;
        this.#wipe();
      },
    };
  }

  retire(): void {
    this.#retired = true;
    this.#wipe();
  }

  #wipe(): void {
    if (this.#retired && this.#users === 0) this.key.dispose();
  }
}

/**
 * The client's own key: made (or loaded) in the background from the first moment, replaced in time.
 *
 * It holds no handle that keeps the process alive, and never generates on the JavaScript thread.
 */
export class ClientKeys {
  readonly #options: ClientKeysOptions;
  readonly #logger: Logger;
  #current: SharedKey | undefined;
  #starting: Promise<void> | undefined;
  #next: SharedKey | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Takes a generation that has not begun out of the queue when the ring is closed. */
  readonly #closing = new AbortController();
  #closed = false;

  constructor(options: ClientKeysOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  /** Begins to make or load the key. A failure is reported by the next {@link lease}, which then tries again. */
  start(): void {
    this.#begin().catch(() => undefined);
  }

  /**
   * The current key. A lease keeps it alive until it is released, also over a rotation.
   *
   * @param race - Waits with the caller's patience, e.g. `deadline.race`, for a key that is still being made.
   */
  async lease(race: (promise: Promise<void>) => Promise<void>): Promise<KeyLease> {
    this.#swapIfDue();
    if (this.#current === undefined) {
      try {
        await awake(race(this.#begin()));
      } catch (error) {
        throw ownError(error);
      }
    }
    if (this.#current === undefined) throw closed();
    return this.#current.lease();
  }

  /** Takes the key over as the current one; the former is wiped when its last request has ended. */
  use(stored: StoredKey): void {
    if (this.#closed) {
      stored.key.dispose();
      throw closed();
    }
    this.#current?.retire();
    this.#current = this.#share(stored);
    // Made to follow the former key: it would replace this one before its time.
    this.#next?.retire();
    this.#next = undefined;
    this.#schedule();
  }

  /** Wipes the keys: at once, or when the last lease is released. */
  close(): void {
    this.#closed = true;
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#current?.retire();
    this.#next?.retire();
    this.#current = undefined;
    this.#next = undefined;
  }

  #begin(): Promise<void> {
    if (this.#closed) return Promise.reject(closed());
    this.#starting ??= this.#loadOrGenerate()
      .then((stored) => {
        this.use(stored);
      })
      .finally(() => {
        this.#starting = undefined;
      });
    return this.#starting;
  }

  async #loadOrGenerate(): Promise<StoredKey> {
    const { keyDir, keyPassword, locking } = this.#options;
    if (keyDir === undefined) return generate(locking, { signal: this.#closing.signal, background: true });
    if (!hasKey(keyDir)) {
      try {
        await prepareFolder(keyDir);
      } catch (error) {
        if (!isTaken(error)) throw storeError(keyDir, error);
        return this.#loadStored(keyDir);
      }
      const made = await generate(locking, { signal: this.#closing.signal, background: true });
      try {
        return { ...made, version: await savePrivateKey(keyDir, made.key, keyPassword, locking) };
      } catch (error) {
        made.key.dispose();
        if (!isTaken(error)) throw storeError(keyDir, error);
      }
    }
    return this.#loadStored(keyDir);
  }

  async #loadStored(keyDir: string): Promise<StoredKey> {
    try {
      return await loadKeyPair(keyDir, this.#options.keyPassword, this.#options.locking);
    } catch (error) {
      throw storeError(keyDir, error);
    }
  }

  #share(stored: StoredKey): SharedKey {
    const interval = this.#options.keyRotationInterval;
    // A key from a file is as old as the file; one with a date in the future as young as can be.
    const age = Math.max(0, Date.now() - stored.writtenAt);
    return new SharedKey(stored, interval === 0 ? Infinity : performance.now() + interval - age);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const due = this.#current?.dueAt ?? Infinity;
    if (due === Infinity) return;
    const lead = Math.min(LEAD_MS, this.#options.keyRotationInterval / 10);
    this.#after(due - lead - performance.now(), () => void this.#prepare());
  }

  #after(delay: number, act: () => void): void {
    this.#timer = setTimeout(act, Math.min(MAX_TIMER_MS, Math.max(0, delay)));
    this.#timer.unref();
  }

  /**
   * Makes the next key, then waits for its moment. Errors are logged, since nobody waits here; the present key goes on.
   */
  async #prepare(): Promise<void> {
    const due = this.#current?.dueAt ?? Infinity;
    // A timer cannot be longer than 24.8 days.
    if (due - performance.now() > Math.max(LEAD_MS, this.#options.keyRotationInterval / 10)) {
      this.#schedule();
      return;
    }
    let made: StoredKey | undefined;
    let next: SharedKey;
    try {
      made = await this.#successor();
      next = this.#share(made);
    } catch (error) {
      if (made !== undefined) made.key.dispose();
      if (this.#closed) return;
      const { code } = error as { code?: string };
      this.#logger.error("The client's key could not be replaced in time; the present one stays in use.", { code });
      this.#after(RETRY_MS, () => void this.#prepare());
      return;
    }
    if (this.#closed) {
      next.retire();
      return;
    }
    // `use` may have begun another preparation meanwhile: its key is not needed twice.
    this.#next?.retire();
    this.#next = next;
    // A little late rather than early: a timer may fire a fraction of a millisecond before its time.
    this.#after(due - performance.now() + 2, () => this.#swapIfDue());
  }

  /**
   * The key that comes after the current one: a new one, or, of a folder that other processes use too, the one that the
   * first of them has made.
   */
  async #successor(): Promise<StoredKey> {
    const { keyDir, keyPassword, locking } = this.#options;
    const former = this.#current?.version;
    const made = await generate(locking, { signal: this.#closing.signal, background: true });
    if (keyDir === undefined || this.#closed) return made;
    let version: string | undefined;
    try {
      // A key that came from elsewhere (`use`) is in no file: the folder's own takes over from it.
      version = await savePrivateKey(keyDir, made.key, keyPassword, locking, former ?? "none");
      if (version !== undefined) return { ...made, version };
    } catch (error) {
      made.key.dispose();
      throw error;
    }
    made.key.dispose();
    return this.#loadStored(keyDir);
  }

  #swapIfDue(): void {
    if (this.#next === undefined || this.#current === undefined || performance.now() < this.#current.dueAt) return;
    this.#current.retire();
    this.#current = this.#next;
    this.#next = undefined;
    this.#logger.debug("The client's key was replaced.");
    this.#schedule();
  }
}

/** Keeps the process alive while somebody waits for a key that is made in the background. */
async function awake<T>(waiting: Promise<T>): Promise<T> {
  const hold = setInterval(() => undefined, MAX_TIMER_MS);
  try {
    return await waiting;
  } finally {
    clearInterval(hold);
  }
}

/** Makes a new key on the package's own threads. */
export async function generate(locking: Locking, options?: GenerateOptions): Promise<StoredKey> {
  return { key: await PrivateKey.generate(locking, options), writtenAt: Date.now() };
}

function closed(): ConfigurationError {
  return new ConfigurationError("close", "This client has been closed: make a new one.");
}

/** Another process was faster: its key is the folder's. */
function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EEXIST";
}

function storeError(keyDir: string, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).syscall === undefined) return error;
  return new ConfigurationError("keyDir", `A key pair cannot be written to ${keyDir} (${systemReason(error)}).`);
}
