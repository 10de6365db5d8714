/** What goes back to a client of the proxy. */
import type { SecureBuffer } from "../memory/secure-buffer.js";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | PoolBody;
}

/** A body of the pool: the first `length` bytes of `memory`, which is disposed of when they are sent, and `tail`. */
export interface PoolBody {
  readonly memory: SecureBuffer;
  readonly length: number;
  /** What comes after, and is no secret. */
  readonly tail: Uint8Array;
}

export function bodyLength(body: Answer["body"]): number {
  return body instanceof Uint8Array ? body.length : body.length + body.tail.length;
}

/** Wipes what will not be sent. */
export function discard({ body }: Answer): void {
  if (!(body instanceof Uint8Array)) body.memory.dispose();
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** An error as OpenAI's API has it, which is what its SDKs look for. */
export interface ErrorBody {
  readonly message: string;
  readonly type: string;
  readonly code: string;
  readonly param: string | null;
}

/** {@link ErrorBody.type} for a status, in OpenAI's words where it has one. */
export function errorType(status: number): string {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 424:
      return "security_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  more: object = {},
): Answer {
  const error: ErrorBody = { message, type: errorType(status), code, param: null, ...more };
  return json(status, { error }, headers);
}
