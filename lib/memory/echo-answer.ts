/** The echo model's answer, composed in the pool by the core: request and answer never become JavaScript values. */
import { native } from "../native.js";
import type { EchoOptions, Locking } from "../native.js";
import { cancellable } from "./cancellable.js";
import { PoolBytes } from "./pool-bytes.js";
import type { SecureBuffer } from "./secure-buffer.js";

/**
 * See `NativeAddon.echo`. Rejects with the addon's errors; `CANCELLED` when `signal` aborts. The caller disposes of the
 * answer.
 */
export async function echoAnswer(
  request: SecureBuffer,
  options: EchoOptions,
  locking: Locking,
  signal?: AbortSignal,
): Promise<PoolBytes> {
  const { buffer, length } = await cancellable(signal, (token) =>
    native.echo(request.handle, request.length, options, locking, token),
  );
  return PoolBytes.of(buffer, length, locking);
}
