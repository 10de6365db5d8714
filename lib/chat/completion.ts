/** The value of an opened answer, looked at as far as this package looks at it. */
import { SecurityError } from "../errors.js";
import type { AnswerMetadata, ChatCompletion } from "./chat-types.js";

/**
 * The value of an opened answer as a completion: what the server sent, with the client's `_metadata` in the place of
 * the server's.
 *
 * Throws a `SecurityError` when it is not an object. What is inside is checked only where this package itself looks at
 * it ({@link ChatCompletionStream}); otherwise it is passed on as it came.
 */
export function asCompletion(value: unknown, metadata: AnswerMetadata): ChatCompletion {
  return { ...(objectOf(value, "The answer") as unknown as ChatCompletion), _metadata: metadata };
}

/** `value`, if it is an object. Throws a `SecurityError` that names the place, and nothing of the answer. */
export function objectOf(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw shapeError(`${place} is not an object`);
}

/** `value`, if it is a list. Throws as {@link objectOf} does. */
export function listOf(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw shapeError(`${place} is not a list`);
}

function shapeError(problem: string): SecurityError {
  return new SecurityError(
    `The server's answer is not a chat completion: ${problem}. It was opened, and cannot be given out in this form.`,
    "ANSWER_SHAPE",
  );
}
