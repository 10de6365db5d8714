import type { TransportResponse } from "./transport.js";

/** The body, or what of it came before the limit was passed. */
export interface LimitedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether there was more than the limit. Then the connection has been closed, and `bytes` is the beginning. */
  readonly truncated: boolean;
}

/**
 * Reads a body up to `limit` bytes, and not one chunk further: the limit holds while reading, whatever Content-Length claims.
 */
export async function readBody(response: TransportResponse, limit: number): Promise<LimitedBody> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > limit) break;
  }
  const bytes = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, bytes.byteLength - at);
    bytes.set(part, at);
    at += part.byteLength;
  }
  return { bytes, truncated: length > limit };
}
