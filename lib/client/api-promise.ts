/** The promise of an answer, which gives the response beside it. */
import type { Receipt } from "../receipts/receipt.js";
import type { ResponseHeaders } from "../response-headers.js";

/** What is known of the HTTP exchange beside the answer. */
export interface ResponseInfo {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** The id of the attempt that was answered. */
  readonly payloadId: string;
  /** How many attempts there were, the successful one included. */
  readonly attempts: number;
}

/** The data of a request together with how it came. */
export interface WithResponse<T> {
  readonly data: T;
  readonly response: ResponseInfo;
  /** Which server, in which boot state, under which keys, answered (docs/receipts.md). */
  readonly receipt: Receipt;
  /** The header `x-request-id`, under the name that openai-node uses. */
  readonly request_id: string | null;
}

/** A promise of the data, which can also give the response beside it, as openai-node's does. */
export class APIPromise<T> extends Promise<T> {
  readonly #whole: Promise<WithResponse<T>>;

  constructor(whole: Promise<WithResponse<T>>) {
    // The promise that `super` makes is never looked at: `then` asks `whole`. It must settle without an error of its
    // own, or a failure would be reported twice, once of them as unhandled.
    super((resolve) => resolve(undefined as T));
    this.#whole = whole;
  }

  // Promise's methods make derived promises with this: they are ordinary ones.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** Status, headers, payload id and the data. */
  withResponse(): Promise<WithResponse<T>> {
    return this.#whole;
  }

  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#whole.then(({ data }) => data).then(onFulfilled, onRejected);
  }

  override catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  override finally(onFinally?: (() => void) | null): Promise<T> {
    return this.#whole.then(({ data }) => data).finally(onFinally);
  }
}
