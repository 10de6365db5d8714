/** What answers an opened request: the built-in echo model, or an OpenAI-compatible server. */
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { PoolBytes } from "../memory/pool-bytes.js";

export interface Model {
  readonly kind: "echo" | "upstream";
  /**
   * `request`: the plaintext, a JSON object's UTF-8 without `stream` and `stream_options` (the answer is sealed whole),
   * which stays the caller's; the model may overwrite it. Resolves to the answer, the text of one JSON object without
   * `_metadata`, which the caller disposes of. Rejects with a `Refusal`, or as `signal` says.
   */
  complete(request: SecureBuffer, signal: AbortSignal): Promise<PoolBytes>;
}
