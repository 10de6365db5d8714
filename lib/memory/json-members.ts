/**
 * The members of a JSON object that lies in the pool. The router looks at and edits requests and answers through this,
 * so that they never become JavaScript values; the work is done in native code, on the package's own threads, in one
 * pass whatever the text holds.
 */
import { native } from "../native.js";
import type { BufferHandle, Locking, ScannedObject, ScanOptions } from "../native.js";
import { nativeCode } from "../native-error.js";
import { cancellable } from "./cancellable.js";

/**
 * The bytes are not the JSON text of one object; or it has too many members, a name twice, or one that others would
 * take for another. The message is for the middle of a sentence, and never quotes them.
 */
export class JsonObjectError extends Error {}

/**
 * See `NativeAddon.scanObject`. Rejects with a {@link JsonObjectError}, or the addon's other errors; `CANCELLED` when
 * `signal` aborts.
 */
export async function scanObject(
  buffer: BufferHandle,
  byteLength: number,
  options: ScanOptions,
  locking: Locking,
  signal?: AbortSignal,
): Promise<ScannedObject> {
  try {
    return await cancellable(signal, (token) => native.scanObject(buffer, byteLength, options, locking, token));
  } catch (error) {
    if (nativeCode(error) === "PLAINTEXT") throw new JsonObjectError((error as Error).message);
    throw error;
  }
}
