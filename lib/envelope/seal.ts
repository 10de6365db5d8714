import { nodeCrypto } from "../builtins.js";
import { ConfigurationError } from "../errors.js";
import { native } from "../native.js";
import type { BufferHandle, LockPolicy, PublicKeyHandle, SealText } from "../native.js";
import { sealError } from "./envelope-error.js";
import { skeletonOf } from "./skeleton.js";

export interface SealOptions {
  /** Largest plaintext in bytes of UTF-8, padding included. */
  readonly maxPlaintextBytes: number;
  /** `"bucket"` fills the JSON up with spaces to the next power of two from 4 KiB on, so that its length tells less. */
  readonly padding?: "none" | "bucket";
  /** Unix seconds, in answers only. */
  readonly processedAt?: number;
  readonly policy: LockPolicy;
}

/** The longest piece that the addon reads at once, in UTF-16 code units (native/addon/envelope.cc). */
const PIECE = 16_384;
/** For strings that V8 keeps one byte a character it knows without looking that this cannot match. */
const ABOVE_LATIN1 = /[^\x00-\xff]/; // eslint-disable-line no-control-regex

const MARKER_BYTES = 16;
let markers = "";
let markersUsed = 0;

/**
 * A marker for one call: 128 fresh random bits, so that nothing the caller hands over can hold it. It starts with DEL, which JSON text
 * leaves as it is, hardly any text holds, and the rest of the marker (hexadecimal) does not: that makes it quick to find.
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

/** A string as the addon takes it. Slices of a string share its characters: nothing is copied. */
function sealText(text: string): SealText {
  const wide = ABOVE_LATIN1.test(text);
  if (!wide && text.length <= PIECE) return text;
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += PIECE) pieces.push(text.slice(at, at + PIECE));
  return { wide, pieces };
}

/**
 * Seals `value` as JSON to `recipient`, and returns the package's bytes. The JSON is exactly `JSON.stringify(value)` in UTF-8, except
 * that each `SecureBuffer` in it is written as the string of its bytes (which must be UTF-8). Errors are
 * `JSON.stringify`'s (a `TypeError` for a cycle or a BigInt). V8 makes it, but with every long string taken out and a marker
 * left in its place; the addon reads those straight into locked memory, escapes them there and encrypts, block by block. So the whole
 * JSON never exists.
 *
 * Synchronous, on the calling thread: it must read the value there. Throws {@link ConfigurationError} when the value is not an object,
 * `InvalidRequestError` over `maxPlaintextBytes`, `MemoryProtectionError` when memory cannot be locked.
 */
export function sealJson(recipient: PublicKeyHandle, value: unknown, options: SealOptions): Uint8Array<ArrayBuffer> {
  const marker = freshMarker();
  const { json, taken } = skeletonOf(value, marker);
  if (json?.[0] !== "{") throw new ConfigurationError("request", "The request must be an object.");
  const slots: (SealText | BufferHandle)[] = [];
  let slotBytes = 0;
  for (const item of taken) {
    if (typeof item === "string") {
      const text = sealText(item);
      slots.push(text);
      slotBytes += typeof text === "string" || !text.wide ? item.length : 3 * item.length;
    } else {
      slots.push(item.handle);
      slotBytes += item.disposed ? 0 : item.length;
    }
  }
  try {
    return native.seal(recipient, sealText(json), marker, slots, {
      maxPlaintextBytes: options.maxPlaintextBytes,
      // A few characters to escape are usual.
      expectedBytes: json.length + slotBytes + (slotBytes >> 5),
      padding: options.padding ?? "none",
      policy: options.policy,
      ...(options.processedAt === undefined ? {} : { processedAt: options.processedAt }),
    });
  } catch (error) {
    throw sealError(error);
  }
}
