/** The error for an answer that is not 200. */
import {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  ForbiddenError,
  InvalidRequestError,
  RateLimitError,
  ServerError,
  ServiceUnavailableError,
} from "../errors.js";
import type { APIErrorInit } from "../errors.js";
import { readBody } from "./response-body.js";
import type { TransportResponse } from "./transport.js";

/** An error body is read to this many bytes at most (PROTOCOL section 2). */
const ERROR_BODY_LIMIT = 65_536;

/**
 * The deepest nesting of details that are given as a value. What copies, prints or sends an error on works recursively:
 * deeper ones would make a bare RangeError of it, without class, `sent` or another attempt.
 */
const MAX_DETAILS_DEPTH = 64;

type ErrorClass = new (message: string, init?: APIErrorInit) => APIError;

const NO_ANSWER_BEHIND = "A gateway before the server got no answer from it in time, or none at all: try again later";

/**
 * Class, code and sentence for each status of PROTOCOL section 4; a test compares the classes with its table, and
 * demands a row here for each row there.
 */
const byStatus: Readonly<Record<number, readonly [ErrorClass, string, string]>> = {
  400: [InvalidRequestError, "INVALID_REQUEST", "The server did not accept the request"],
  401: [AuthenticationError, "AUTHENTICATION", "The server did not accept the API key"],
  403: [ForbiddenError, "FORBIDDEN", "The server does not allow this, for example this model at this security tier"],
  404: [APIError, "NOT_FOUND", "The server has no secure inference at this address: check `baseUrl`"],
  429: [RateLimitError, "RATE_LIMIT", "Too many requests for this API key: send fewer, or set `rateLimit`"],
  500: [ServerError, "SERVER_ERROR", "The server failed"],
  502: [APIError, "API_ERROR", NO_ANSWER_BEHIND],
  503: [
    ServiceUnavailableError,
    "SERVICE_UNAVAILABLE",
    "The service is not available now, or not at this security tier (`maximum` needs a server with a TPM)",
  ],
  504: [APIError, "API_ERROR", NO_ANSWER_BEHIND],
};

/**
 * The error for an answer that is not 200. The body becomes `errorDetails`; it is text of a stranger, may quote the
 * request, and is therefore never part of the message.
 *
 * @param sentences - by status, where who asks knows more than the status says.
 */
export async function httpError(
  response: TransportResponse,
  init: Pick<APIErrorInit, "payloadId" | "sent">,
  sentences: Readonly<Record<number, string>> = {},
): Promise<APIError> {
  const { status, headers } = response;
  const errorDetails = parseErrorBody(await errorBody(response));
  const [Class, code, usual] = byStatus[status] ?? [APIError, "API_ERROR", otherSentence(status)];
  const sentence = sentences[status] ?? (isWebsite(response) ? A_WEBSITE : usual);
  return new Class(`${status}: ${sentence}. What the server said is in \`errorDetails\`.`, {
    ...init,
    code,
    statusCode: status,
    headers,
    errorDetails,
  });
}

const A_WEBSITE = "A website answers at this address, and no NOMYO server: check `baseUrl`";

/**
 * Whether a web page came where neither the server nor a gateway before it has a reason for one: those say 401, 403,
 * 429 and 5xx with pages too, and a redirect is told as one.
 */
function isWebsite({ status, headers }: TransportResponse): boolean {
  if (status !== 404 && (status < 400 || status >= 500 || byStatus[status] !== undefined)) return false;
  return (headers.get("content-type") ?? "").trim().toLowerCase().startsWith("text/html");
}

function otherSentence(status: number): string {
  if (status >= 300 && status < 400) {
    return (
      "The server answered with a redirect, which is never followed because the request carries a credential; " +
      "correct `baseUrl`"
    );
  }
  return "The server answered with a status that it has no reason for";
}

async function errorBody(response: TransportResponse): Promise<Uint8Array> {
  try {
    return (await readBody(response, ERROR_BODY_LIMIT)).bytes;
  } catch (error) {
    if (error instanceof APIUserAbortError) throw error;
    // The status has come and decides the class; that its explanation broke off does not change it.
    return new Uint8Array();
  }
}

/** The parsed body where it is JSON of usual depth, else its text, else undefined. */
function parseErrorBody(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return undefined;
  const text = new TextDecoder().decode(bytes);
  try {
    const value: unknown = JSON.parse(text);
    return isDeeper(value, MAX_DETAILS_DEPTH) ? text : value;
  } catch {
    return text;
  }
}

/** Whether a value that JSON.parse made has more than `levels` arrays and objects in one another. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}
