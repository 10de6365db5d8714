/** Secret bytes in locked memory, as users of the package have them. */
import { inspect } from "node:util";
import { ConfigurationError, NomyoError } from "../errors.js";
import { native } from "../native.js";
import type { BufferHandle, Locking } from "../native.js";
import { withNativeErrors } from "../native-error.js";

const REDACTED = "[SecureBuffer: redacted]";

/**
 * Where a buffer shows its handle to whichever copy of this package meets it. The handle is opaque: it shows nothing.
 */
const HANDLE = Symbol.for("nomyo-native.SecureBuffer");

// eslint-disable-next-line @typescript-eslint/no-empty-function -- AsyncFunction has no name in the global scope
const AsyncFunction = (async () => {}).constructor;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/**
 * The handle of a `SecureBuffer`, of this copy of the package or of another one that uses the same addon; `undefined`
 * for anything else. A {@link ConfigurationError} for one of another addon, whose memory is not ours to read.
 */
export function handleOf(item: object): BufferHandle | undefined {
  const handle = (item as { readonly [HANDLE]?: unknown })[HANDLE];
  if (handle === undefined || native.isBuffer(handle)) return handle;
  throw new ConfigurationError(
    "SecureBuffer",
    "A SecureBuffer in the request was made by another copy of nomyo-native, with another addon. Nothing was sent. " +
      "Make it with the " +
      "SecureBuffer of the package that seals the request (`npm ls nomyo-native` shows the copies).",
  );
}

/**
 * Secret bytes in locked memory: not swapped out, not in core dumps, wiped when they are disposed of. See
 * `docs/memory.md`.
 *
 * ```ts
 * using password = SecureBuffer.from(await readFile("password"));
 * ```
 *
 * A buffer belongs to the thread that made it: it can be neither posted nor cloned. Everything but `disposed` and
 * `dispose()` throws a `NomyoError` with the code `DISPOSED` afterwards. One that is forgotten is wiped when it is
 * collected.
 */
export class SecureBuffer {
  readonly #handle: BufferHandle;

  private constructor(handle: BufferHandle) {
    this.#handle = handle;
  }

  /**
   * A buffer of `size` zero bytes.
   *
   * @param locking - what to do when memory cannot be locked: throw a `MemoryProtectionError` (`"required"`), go on in
   *   memory that is not locked but is wiped all the same (`"preferred"`), or not to lock at all (`"off"`).
   */
  static alloc(size: number, locking: Locking = "required"): SecureBuffer {
    return new SecureBuffer(withNativeErrors("opening", () => native.bufferAlloc(size, locking)));
  }

  /**
   * A copy of bytes, or of a string as UTF-8. The source stays what it is: wipe it (`bytes.fill(0)`) if it is yours. A
   * string cannot be wiped. Throws a `NomyoError` with the code `INVALID_UTF8` for a string with half a surrogate pair.
   */
  static from(source: Uint8Array | string, locking: Locking = "required"): SecureBuffer {
    return new SecureBuffer(withNativeErrors("opening", () => native.bufferFrom(source, locking)));
  }

  /**
   * Takes over a handle of the addon.
   * @internal
   */
  static fromHandle(handle: BufferHandle): SecureBuffer {
    return new SecureBuffer(handle);
  }

  /**
   * What the addon's functions take; it shows nothing by itself.
   * @internal
   */
  get handle(): BufferHandle {
    return this.#handle;
  }

  /**
   * Cuts the buffer to its first `length` bytes and wipes the rest.
   * @internal
   */
  truncate(length: number): void {
    withNativeErrors("opening", () => {
      native.bufferTruncate(this.#handle, length);
    });
  }

  /** @internal */
  get [HANDLE](): BufferHandle {
    return this.#handle;
  }

  /** The number of bytes. */
  get length(): number {
    return withNativeErrors("opening", () => native.bufferLength(this.#handle));
  }

  /** Whether these very bytes are locked: always under `"required"`. */
  get locked(): boolean {
    return withNativeErrors("opening", () => native.bufferLocked(this.#handle));
  }

  /** Whether `dispose()` was called. */
  get disposed(): boolean {
    return native.bufferDisposed(this.#handle);
  }

  /**
   * Calls `fn` with a view of the bytes themselves, not a copy, and returns what it returns. The view is detached (its
   * length becomes 0) when `fn` returns or throws. `fn` must be synchronous: an async function is refused, since it
   * would go on without the view.
   *
   * `slice`, `structuredClone`, `postMessage`, `Buffer.from(view)` and the like copy the secret into ordinary memory:
   * avoid them. Nor hand the view to anything that reads or fills it later, on another thread (`fs.write`,
   * `crypto.randomFill` with a callback): the memory may hold another secret by then.
   *
   * A view whose memory was moved to another array buffer (`view.buffer.transfer()`), or that cannot be detached
   * (`markAsUntransferable`), does not come back: the buffer is wiped at once and disposed of, its memory is never used
   * again (it stays locked to the end of the process), and a `NomyoError` with the code `VIEW_TAKEN` says so; its
   * `cause` is what `fn` threw, if it did.
   *
   * Throws a `NomyoError` with the code `UNSUPPORTED` where the runtime has no views of native memory (Electron).
   */
  use<T>(fn: (bytes: Uint8Array) => T): T {
    if (fn instanceof AsyncFunction) {
      throw new TypeError("SecureBuffer.use takes a synchronous function: the view ends when the function returns.");
    }
    // What `fn` throws is the caller's own, and must not pass for an error of the addon.
    const outcome: { result?: T; thrown?: { readonly error: unknown } } = {};
    try {
      withNativeErrors("opening", () => {
        native.bufferUse(this.#handle, (view) => {
          try {
            outcome.result = fn(view);
          } catch (error) {
            outcome.thrown = { error };
          }
        });
      });
    } catch (error) {
      if (outcome.thrown !== undefined && error instanceof NomyoError) error.cause = outcome.thrown.error;
      throw error;
    }
    if (outcome.thrown !== undefined) throw outcome.thrown.error;
    const result = outcome.result as T;
    if (isThenable(result)) {
      // The error below tells of it; that the promise may fail for want of its view is not news.
      result.then(undefined, () => undefined);
      throw new TypeError("SecureBuffer.use got a promise: what it works on ended when the function returned.");
    }
    return result;
  }

  /**
   * The bytes as a string, which must be UTF-8 (else a `NomyoError` with the code `INVALID_UTF8`). An explicit copy
   * into the JavaScript heap, where nothing wipes it.
   */
  toString(): string {
    return withNativeErrors("opening", () => native.bufferToString(this.#handle));
  }

  /** Whether both hold the same bytes; takes the same time wherever they differ. */
  equals(other: SecureBuffer | Uint8Array): boolean {
    const right = other instanceof SecureBuffer ? other.#handle : other;
    return withNativeErrors("opening", () => native.bufferEquals(this.#handle, right));
  }

  /**
   * Wipes the bytes. Harmless twice. Inside `use` it throws. A request that was given the buffer before keeps the bytes
   * until it is done with them.
   */
  dispose(): void {
    withNativeErrors("opening", () => {
      native.bufferDispose(this.#handle);
    });
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Throws a {@link ConfigurationError}: whoever turns a request into JSON before this package sees it (the `openai`
   * SDK over `createSecureFetch`) would send a text in the secret's place. A request that this package seals takes the
   * bytes without asking this.
   */
  toJSON(): never {
    throw new ConfigurationError(
      "SecureBuffer",
      "A SecureBuffer does not turn into JSON. Nothing was sent. Give the request to SecureChatCompletion's create() " +
        "or createSecure(), " +
        "which seal its bytes; an SDK above createSecureFetch() makes JSON of the request first and can only send " +
        "strings (toString()).",
    );
  }

  /** Templates and `+` would turn a secret into a string without anyone asking for it: they throw. */
  [Symbol.toPrimitive](): never {
    throw new TypeError("A SecureBuffer does not turn into a string by itself. Call toString() if you mean it.");
  }

  /** What `console.log` and the like show: that it is redacted. */
  [inspect.custom](): string {
    return REDACTED;
  }
}
