/** An answer's body, read up to a limit. */
import { GrowingBytes } from "./growing-bytes.js";
import type { TransportResponse } from "./transport.js";

/** The body, or what of it came before the limit was passed. */
export interface LimitedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether there was more than the limit. Then the connection has been closed, and `bytes` is the beginning. */
  readonly truncated: boolean;
}

/**
 * Reads a body up to `limit` bytes, and not one chunk further: the limit holds while reading, whatever Content-Length
 * claims, and however small the chunks are.
 */
export async function readBody(response: TransportResponse, limit: number): Promise<LimitedBody> {
  const body = new GrowingBytes(limit);
  for await (const chunk of response.body) {
    const room = limit - body.length;
    body.append(chunk.byteLength > room ? chunk.subarray(0, room) : chunk);
    if (chunk.byteLength > room) return { bytes: body.bytes, truncated: true };
  }
  return { bytes: body.bytes, truncated: false };
}
