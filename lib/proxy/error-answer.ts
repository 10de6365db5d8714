/** The answer for an error: OpenAI's body and a status that makes an SDK do the right thing. */
import { AttestationError } from "../attestation/attestation-error.js";
import {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  ConfigurationError,
  MemoryProtectionError,
  NomyoError,
} from "../errors.js";
import { RequestFormatError } from "../http/http-request.js";
import { Disconnected, Refusal } from "../http/refusal.js";
import { errorAnswer } from "./answer.js";
import type { Answer } from "./answer.js";

/** OpenAI's SDKs do what it says, whatever the status. */
const DO_NOT_RETRY = { "x-should-retry": "false" };

/**
 * Undefined for an error that should not be: its message could hold anything.
 *
 * What may have been processed, and billed, is not to be sent again by the SDK: the proxy has made its own retries.
 */
export function answerFor(error: unknown): Answer | undefined {
  if (error instanceof RequestFormatError) return errorAnswer(error.status, "HTTP_FORMAT", error.message);
  if (error instanceof Refusal) return errorAnswer(error.status, codeOf(error.status), error.message, error.headers);
  if (error instanceof Disconnected) return errorAnswer(499, "DISCONNECTED", "The client closed the connection.");
  if (!(error instanceof NomyoError)) return undefined;
  const noRetry = error.sent === undefined || error.sent === "no" ? {} : DO_NOT_RETRY;
  if (error instanceof AttestationError) {
    return errorAnswer(424, error.code, error.message, DO_NOT_RETRY, { attestation_report: error.report });
  }
  if (error instanceof MemoryProtectionError || error.code === "QUEUE_FULL") {
    return errorAnswer(503, error.code, error.message, { "retry-after": "1", ...noRetry });
  }
  if (error instanceof APIConnectionTimeoutError) return errorAnswer(504, error.code, error.message, noRetry);
  if (error instanceof APIConnectionError) return errorAnswer(502, error.code, error.message, noRetry);
  if (error instanceof APIError) return ofServer(error, noRetry);
  if (error instanceof ConfigurationError) return errorAnswer(500, error.code, error.message, DO_NOT_RETRY);
  return errorAnswer(424, error.code, error.message, DO_NOT_RETRY);
}

function ofServer(error: APIError, noRetry: Readonly<Record<string, string>>): Answer {
  const status = error.statusCode ?? 400;
  // A success that was not sealed is none.
  if (status < 400 || status > 599) return errorAnswer(424, error.code, error.message, DO_NOT_RETRY);
  const retryAfter = error.headers?.get("retry-after");
  const wait = typeof retryAfter === "string" && isHeaderText(retryAfter) ? { "retry-after": retryAfter } : {};
  // A refusal is no processing: where the server says when to come back, the SDK may.
  const retry = status === 429 || status === 503 ? {} : noRetry;
  return errorAnswer(status, error.code, detailOf(error) ?? error.message, { ...wait, ...retry });
}

/** What the server itself said: SDK users look for it in the message. */
function detailOf(error: APIError): string | undefined {
  const details = error.errorDetails as { detail?: unknown } | null | undefined;
  return typeof details === "object" && typeof details?.detail === "string" ? details.detail : undefined;
}

function isHeaderText(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

function codeOf(status: number): string {
  if (status === 408) return "TIMEOUT";
  if (status === 413) return "TOO_LARGE";
  if (status === 429) return "TOO_MANY_REQUESTS";
  return status >= 500 ? "UNAVAILABLE" : "INVALID_REQUEST";
}
