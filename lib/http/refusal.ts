/**
 * An answer that says no: a status of the protocol's table and one sentence for the person who reads it.
 *
 * The sentence leaves unencrypted. It never holds anything out of a request's plaintext (not even the model's name), an
 * upstream's error text (which may quote the prompt), or a key.
 */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}

/** A 503 that says when to come back, in seconds. */
export function unavailable(detail: string, retryAfterSeconds?: number): Refusal {
  return new Refusal(503, detail, retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) });
}

/** The client has gone away: there is nobody to answer. */
export class Disconnected extends Error {
  constructor() {
    super("the client closed the connection");
    this.name = "Disconnected";
  }
}
