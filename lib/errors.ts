/**
 * The error classes. Each class's documentation starts with what the caller must do. No error holds a prompt, an
 * answer, a key, a password or an API key: not in its message, its `cause`, or any field.
 */
import type { ResponseHeaders } from "./response-headers.js";

/** Whether the server may have processed, and billed, the request that failed. */
export type Sent = "no" | "maybe" | "yes";

/** The base class: catch this to catch everything that this package throws on purpose. */
export class NomyoError extends Error {
  /** A stable string for programs; messages may change, codes do not. */
  readonly code: string;
  /** Whether the server may have processed the request; set on every error of a request. */
  sent?: Sent;
  /** The id of the attempt that failed, where there was one. */
  payloadId?: string;

  constructor(message: string, code: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Fix your code: an option or argument is wrong or contradicts another. Nothing was sent. */
export class ConfigurationError extends NomyoError {
  /** The option's name, e.g. `serverKey.fingerprints`. */
  readonly option: string;

  constructor(option: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, "CONFIGURATION", options);
    this.option = option;
  }
}

/**
 * Do not retry: something that security rests on did not hold (a tag, a key, a pin, plain HTTP). Find out why first.
 */
export class SecurityError extends NomyoError {
  constructor(message: string, code = "SECURITY", options?: { readonly cause?: unknown }) {
    super(message, code, options);
  }
}

/**
 * Do what the message says: raise the lock limit, or let the call through that a filter refuses; or choose
 * `secureMemory: "preferred"`. The client works on.
 */
export class MemoryProtectionError extends SecurityError {
  constructor(message: string, code = "MEMORY_LOCK") {
    super(message, code);
  }
}

/** What an {@link APIError} is made from. */
export interface APIErrorInit {
  readonly statusCode?: number | undefined;
  readonly errorDetails?: unknown;
  readonly headers?: ResponseHeaders | undefined;
  readonly payloadId?: string | undefined;
  readonly sent?: Sent | undefined;
  readonly code?: string | undefined;
  readonly cause?: unknown;
}

/** Look at `statusCode` and `errorDetails`: the server refused, failed, or could not be reached. */
export class APIError extends NomyoError {
  /** The HTTP status; undefined when there was no answer. */
  readonly statusCode: number | undefined;
  /** The parsed error body, untrusted text of the server; undefined when there was none. */
  readonly errorDetails: unknown;
  readonly headers: ResponseHeaders | undefined;

  constructor(message: string, init: APIErrorInit = {}) {
    super(message, init.code ?? "API_ERROR", init.cause === undefined ? undefined : { cause: init.cause });
    this.statusCode = init.statusCode;
    this.errorDetails = init.errorDetails;
    this.headers = init.headers;
    if (init.payloadId !== undefined) this.payloadId = init.payloadId;
    if (init.sent !== undefined) this.sent = init.sent;
  }

  /** The same as `statusCode`, under the name that openai-node uses. */
  get status(): number | undefined {
    return this.statusCode;
  }
}

/** Correct the request: the server did not accept it (400). */
export class InvalidRequestError extends APIError {}
/** Check the API key: the server did not accept it (401). */
export class AuthenticationError extends APIError {}
/** Choose another model or tier: this model is not allowed for the tier (403). */
export class ForbiddenError extends APIError {}
/** Send less, or later: the rate limit was exceeded (429) and retries did not help. */
export class RateLimitError extends APIError {}
/** Try again later: the server failed (500) and retries did not help. */
export class ServerError extends APIError {}
/** Try again later, or lower the tier: the service is unavailable (503). Tier `maximum` needs a server with a TPM. */
export class ServiceUnavailableError extends APIError {}
/** Check the network and `baseUrl`: there was no connection, or it broke. */
export class APIConnectionError extends APIError {}
/** Raise `timeout`, or ask for a shorter answer: the deadline passed. */
export class APIConnectionTimeoutError extends APIConnectionError {}
/** Nothing to do: your own `signal` ended the request. */
export class APIUserAbortError extends APIError {}
