/** An opened answer as the text of a stream, made in the pool: nothing of it becomes a JavaScript value. */
import { cancellable } from "../memory/cancellable.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import { SecurityError } from "../errors.js";
import { native } from "../native.js";
import type { Locking } from "../native.js";
import { fromNative, nativeCode } from "../native-error.js";

export interface ChatEventsOptions {
  /** Becomes `_metadata` of the last chunk. */
  readonly metadata: object;
  readonly includeUsage: boolean;
  readonly maxDepth: number;
  readonly maxBytes: number;
  readonly locking: Locking;
  readonly signal: AbortSignal | undefined;
}

/**
 * The server-sent events of a chat completion: the chunks that `toChunks` of chat/chunks.ts makes of its value, and
 * `[DONE]`. `answer` stays the caller's. Rejects with a `SecurityError` (`ANSWER_SHAPE`) when it is no chat completion,
 * with `MemoryProtectionError`, or with the signal's reason.
 */
export async function chatEvents(
  answer: SecureBuffer,
  { metadata, includeUsage, maxDepth, maxBytes, locking, signal }: ChatEventsOptions,
): Promise<SecureBuffer> {
  const how = { metadata: JSON.stringify(metadata), includeUsage, maxDepth, maxBytes };
  try {
    return SecureBuffer.fromHandle(
      await cancellable(signal, (token) => native.composeChatEvents(answer.handle, how, locking, token)),
    );
  } catch (error) {
    signal?.throwIfAborted();
    const code = nativeCode(error);
    if (code === "PLAINTEXT" || code === "TOO_LARGE") throw answerShape((error as Error).message);
    throw fromNative(error, "opening");
  }
}

/** The error for an answer that was opened, and has not the form that is needed; `problem` holds nothing of it. */
export function answerShape(problem: string): SecurityError {
  return new SecurityError(
    `The server's answer is not a chat completion: ${problem}. It was opened, and cannot be given out in this form.`,
    "ANSWER_SHAPE",
  );
}
