/** Sealing a request: an object becomes the bytes of a package. */
import { nodeCrypto, nodeV8 } from "../builtins.js";
import { ConfigurationError, NomyoError } from "../errors.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { native } from "../native.js";
import type {
  BufferHandle,
  DigestedPackage,
  Locking,
  NativeSealOptions,
  PublicKeyHandle,
  SealText,
} from "../native.js";
import { fromNative, withNativeErrors } from "../native-error.js";
import type { DigestKey } from "./digest.js";
import { skeletonOf } from "./skeleton.js";
import type { Skeleton } from "./skeleton.js";

export interface SealOptions {
  /** Largest plaintext in bytes of UTF-8, padding included. */
  readonly maxPlaintextBytes: number;
  /** `"bucket"` fills the JSON up with spaces to the next power of two from 4 KiB on, so that its length tells less. */
  readonly padding?: "none" | "bucket";
  /** Unix seconds, in answers only. */
  readonly processedAt?: number;
  readonly locking: Locking;
  /** Whoever wants a digest of the plaintext: where it lies in the pool, before it is encrypted, without padding. */
  readonly digest?: PlaintextDigest | undefined;
}

/** A wish for the HMAC-SHA-256 of a plaintext. */
export interface PlaintextDigest {
  readonly key: DigestKey;
  /** Told of it, in lower-case hex, when the package is made. */
  readonly told: (hmac: string) => void;
}

/** The longest piece that the addon reads at once, in UTF-16 code units (native/addon/text_reader.h). */
const PIECE = 16_384;
/** Up to this many characters, looking at each is cheaper than anything else. */
const SHORT = 4096;

const MARKER_BYTES = 16;
let markers = "";
let markersUsed = 0;

/**
 * A marker for one call: 128 fresh random bits, so that nothing the caller hands over can hold it. It starts with DEL,
 * which JSON text leaves as it is, hardly any text holds, and the rest of the marker (hexadecimal) does not: that makes
 * it quick to find.
 */
function freshMarker(): string {
  if (markersUsed === markers.length) {
    markers = nodeCrypto()
      .randomFillSync(Buffer.allocUnsafe(MARKER_BYTES * 64))
      .toString("hex");
    markersUsed = 0;
  }
  const start = markersUsed;
  markersUsed += 2 * MARKER_BYTES;
  return "\x7f" + markers.slice(start, markersUsed);
}

/**
 * Whether the addon must read two bytes for each character of `text`. It may for any text; one is faster, and right for
 * all that V8 keeps so. (A regular expression would know as well, but `RegExp.$_` then keeps the text.)
 */
function isWide(text: string): boolean {
  if (text.length > SHORT) {
    // Since Node 22.15.
    const { isStringOneByteRepresentation: isOneByte } = nodeV8() as {
      isStringOneByteRepresentation?: (text: string) => boolean;
    };
    if (isOneByte !== undefined) return !isOneByte(text);
    for (let i = 0; i < SHORT; i++) if (text.charCodeAt(i) > 0xff) return true;
  }
  return Buffer.byteLength(text) !== text.length; // not ASCII
}

/** A string as the addon takes it. Slices of a string share its characters: nothing is copied. */
function sealText(text: string): SealText {
  const wide = isWide(text);
  if (!wide && text.length <= PIECE) return text;
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += PIECE) pieces.push(text.slice(at, at + PIECE));
  return { wide, pieces };
}

/** What an attempt seals; several attempts seal it several times. */
export interface Sealable {
  /** Seals to `recipient` and returns the package's bytes. Synchronous. */
  seal(recipient: PublicKeyHandle, options: SealOptions): Uint8Array<ArrayBuffer>;
  /** Gives up what it holds. Harmless twice. */
  dispose(): void;
}

/**
 * A request as it was when the snapshot was made: what the caller does with it afterwards changes nothing. Long strings
 * are not copied, and the bytes of each `SecureBuffer` are shared: they are wiped when the caller has disposed of the
 * buffer and the snapshot is disposed of too.
 */
export class Snapshot implements Sealable {
  readonly #json: SealText;
  readonly #marker: string;
  readonly #slots: readonly (SealText | BufferHandle)[];
  readonly #buffers: readonly BufferHandle[];
  readonly #expectedBytes: number;

  /**
   * Reads `value` as `JSON.stringify` would: the JSON is exactly `JSON.stringify(value)` in UTF-8, except that each
   * `SecureBuffer` in it is written as the string of its bytes. V8 makes it, but with every long string taken out and a
   * marker left in its place.
   *
   * Synchronous. Throws {@link ConfigurationError} when the value is not an object, when `JSON.stringify` would throw
   * (a cycle, a BigInt; whatever a getter or a `toJSON` of the caller's threw: it is the `cause`), or for a
   * `SecureBuffer` of another addon; a `NomyoError` with the code `DISPOSED` for one that was disposed of.
   */
  constructor(value: unknown) {
    const marker = freshMarker();
    const { json, taken } = skeleton(value, marker);
    if (json?.[0] !== "{") throw new ConfigurationError("request", "The request must be an object.");
    const slots: (SealText | BufferHandle)[] = [];
    const buffers: BufferHandle[] = [];
    let slotBytes = 0;
    try {
      for (const item of taken) {
        if (typeof item === "string") {
          const text = sealText(item);
          slots.push(text);
          slotBytes += typeof text === "string" || !text.wide ? item.length : 3 * item.length;
        } else {
          const buffer = native.bufferShare(item.buffer);
          buffers.push(buffer);
          slots.push(buffer);
          slotBytes += native.bufferLength(buffer);
        }
      }
    } catch (error) {
      for (const buffer of buffers) native.bufferDispose(buffer);
      throw fromNative(error, "sealing");
    }
    this.#json = sealText(json);
    this.#marker = marker;
    this.#slots = slots;
    this.#buffers = buffers;
    // A few characters to escape are usual.
    this.#expectedBytes = json.length + slotBytes + (slotBytes >> 5);
  }

  /**
   * Seals to `recipient`, as often as is wanted, and returns the package's bytes. The addon reads the strings straight
   * into locked memory, escapes them there and encrypts, block by block: so the whole JSON never exists.
   *
   * Synchronous, on the calling thread: it must read V8's strings there. Throws `InvalidRequestError` over
   * `maxPlaintextBytes` and for a `SecureBuffer` that is not UTF-8, `MemoryProtectionError` when memory cannot be
   * locked.
   */
  seal(recipient: PublicKeyHandle, options: SealOptions): Uint8Array<ArrayBuffer> {
    const how = { ...nativeOptions(options), expectedBytes: this.#expectedBytes };
    const { digest } = options;
    if (digest === undefined) {
      return withNativeErrors("sealing", () => native.seal(recipient, this.#json, this.#marker, this.#slots, how));
    }
    const digesting = { ...how, digestKey: digest.key.handle };
    return told(
      digest,
      withNativeErrors("sealing", () => native.seal(recipient, this.#json, this.#marker, this.#slots, digesting)),
    );
  }

  /** Gives up its share of the `SecureBuffer`s' bytes. Harmless twice. */
  dispose(): void {
    for (const buffer of this.#buffers) native.bufferDispose(buffer);
  }
}

function skeleton(value: unknown, marker: string): Skeleton {
  try {
    return skeletonOf(value, marker);
  } catch (error) {
    if (error instanceof NomyoError) throw error;
    throw new ConfigurationError("request", "The request cannot be written as JSON: see `cause`. Nothing was sent.", {
      cause: error,
    });
  }
}

/** Seals `value` as it is now, once: a {@link Snapshot} that is sealed and disposed of. */
export function sealJson(recipient: PublicKeyHandle, value: unknown, options: SealOptions): Uint8Array<ArrayBuffer> {
  const snapshot = new Snapshot(value);
  try {
    return snapshot.seal(recipient, options);
  } finally {
    snapshot.dispose();
  }
}

/** A request whose JSON lies in the pool already, checked by whoever put it there. It is never a value. */
export class PoolRequest implements Sealable {
  readonly #json: SecureBuffer;

  /** Takes `json` over: the UTF-8 JSON of one object. */
  constructor(json: SecureBuffer) {
    this.#json = json;
  }

  seal(recipient: PublicKeyHandle, options: SealOptions): Uint8Array<ArrayBuffer> {
    return this.#json.use((bytes) => sealBytes(recipient, bytes, options));
  }

  dispose(): void {
    this.#json.dispose();
  }
}

/**
 * Seals bytes that are already the UTF-8 JSON of one object, which the caller answers for; usually a view of pool
 * memory. Throws as {@link Snapshot.seal} does.
 */
export function sealBytes(recipient: PublicKeyHandle, json: Uint8Array, options: SealOptions): Uint8Array<ArrayBuffer> {
  const how = nativeOptions(options);
  const { digest } = options;
  if (digest === undefined) return withNativeErrors("sealing", () => native.sealBytes(recipient, json, how));
  const digesting = { ...how, digestKey: digest.key.handle };
  return told(
    digest,
    withNativeErrors("sealing", () => native.sealBytes(recipient, json, digesting)),
  );
}

function nativeOptions({ maxPlaintextBytes, padding, processedAt, locking }: SealOptions): NativeSealOptions {
  return {
    maxPlaintextBytes,
    padding: padding ?? "none",
    locking,
    ...(processedAt === undefined ? {} : { processedAt }),
  };
}

function told(digest: PlaintextDigest, { sealed, hmac }: DigestedPackage): Uint8Array<ArrayBuffer> {
  digest.told(hmac);
  return sealed;
}
