/** The client that most programs use: `create`, `createSecure`, `attest`. */
/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters --
   A request's type is a parameter because only then does TypeScript let unknown parameters pass in a literal. */
import { ConfigurationError, NomyoError } from "../errors.js";
import { ownMembers } from "../own-members.js";
import type { AttestationReport } from "../attestation/report.js";
import { SecureResponse } from "./secure-response.js";
import type {
  ChatCompletion,
  ChatCompletionRequest,
  ChatCompletionRequestNonStreaming,
  ChatCompletionRequestStreaming,
} from "../chat/chat-types.js";
import { ChatCompletionStream } from "../chat/chunks.js";
import { asCompletion } from "../chat/completion.js";
import { APIPromise } from "./api-promise.js";
import type { WithResponse } from "./api-promise.js";
import { resolveClientOptions, resolveRequestOptions } from "./options.js";
import type { ClientOptions, RequestOptions } from "./options.js";
import { takeApart } from "../chat/request-parts.js";
import { SecureChannel } from "./secure-channel.js";
import type { RecordedAnswer } from "./secure-channel.js";
import type { OpenedAnswer } from "./attempt.js";

/** Options of {@link SecureChatCompletion.attest}. */
export interface AttestOptions extends RequestOptions {
  /** The model that is asked for one token; a small one of the hosted service by default. */
  readonly model?: string | undefined;
}

/** Options of {@link SecureChatCompletion.close}. */
export interface CloseOptions {
  /** Requests in flight end with an `APIUserAbortError` instead of being finished. `false` by default. */
  readonly abort?: boolean | undefined;
}

/**
 * End-to-end encrypted chat completions, with the manners of OpenAI's client.
 *
 * ```ts
 * await using client = new SecureChatCompletion({ apiKey: process.env.NOMYO_API_KEY });
 * const answer = await client.create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Hello" }] });
 * ```
 *
 * One client serves any number of concurrent requests of one thread. Making it starts the generation of its key in the
 * background and sends nothing. Throws a `ConfigurationError` that names the option when one is wrong, and a
 * `SecurityError` for plain `http:`.
 */
export class SecureChatCompletion implements AsyncDisposable {
  /** The same calls under the names that OpenAI's client has. */
  readonly chat: {
    readonly completions: {
      /** {@link SecureChatCompletion.create}, bound to this client. */
      readonly create: SecureChatCompletion["create"];
    };
  };
  readonly #channel: SecureChannel;

  constructor(options: ClientOptions = {}) {
    this.#channel = new SecureChannel(resolveClientOptions(options));
    this.#channel.keys.start();
    this.chat = { completions: { create: this.create.bind(this) } };
  }

  /**
   * Sends a request and answers with the whole completion, or, with `stream: true`, with an async iterable of its
   * chunks (made of the whole answer: the service does not stream).
   *
   * @param body - OpenAI's parameters, and `security_tier`. Unknown ones are passed on. Any text may be a
   *   `SecureBuffer`.
   * @returns a promise that also has `.withResponse()`: status, headers, payload id, receipt.
   *
   * Rejects with the classes of `docs/errors.md`; each tells by `sent` whether the server may have processed the
   * request.
   */
  create<B extends ChatCompletionRequestStreaming>(body: B, options?: RequestOptions): APIPromise<ChatCompletionStream>;
  create<B extends ChatCompletionRequestNonStreaming>(body: B, options?: RequestOptions): APIPromise<ChatCompletion>;
  create<B extends ChatCompletionRequest>(
    body: B,
    options?: RequestOptions,
  ): APIPromise<ChatCompletion | ChatCompletionStream>;
  create(body: ChatCompletionRequest, options: RequestOptions = {}): APIPromise<ChatCompletion | ChatCompletionStream> {
    return new APIPromise(
      this.#send(body, options, (answer, { stream, streamOptions }) => {
        const completion = toCompletion(answer);
        return stream ? new ChatCompletionStream(completion, streamOptions) : completion;
      }),
    );
  }

  /** The same as {@link create}: the name that the Python client has for it. */
  acreate<B extends ChatCompletionRequestStreaming>(
    body: B,
    options?: RequestOptions,
  ): APIPromise<ChatCompletionStream>;
  acreate<B extends ChatCompletionRequestNonStreaming>(body: B, options?: RequestOptions): APIPromise<ChatCompletion>;
  acreate<B extends ChatCompletionRequest>(
    body: B,
    options?: RequestOptions,
  ): APIPromise<ChatCompletion | ChatCompletionStream>;
  acreate(
    body: ChatCompletionRequest,
    options: RequestOptions = {},
  ): APIPromise<ChatCompletion | ChatCompletionStream> {
    return this.create(body, options);
  }

  /**
   * As {@link create}, but the answer stays in locked memory: nothing of it becomes a JavaScript value until it is
   * asked for.
   *
   * The caller owns the `SecureResponse` and disposes of it (`using`). `stream` is not looked at.
   */
  createSecure<B extends ChatCompletionRequest>(body: B, options: RequestOptions = {}): APIPromise<SecureResponse> {
    return new APIPromise(
      this.#send(
        body,
        options,
        ({ opened, metadata, receipt }) =>
          new SecureResponse(opened, metadata, receipt, this.#channel.options.secureMemory.locking),
      ),
    );
  }

  /**
   * Asks for a quote with a harmless request of one token and verifies it, so that a policy can be enforced before the
   * first confidential prompt leaves. Costs one request.
   *
   * @returns the report; under a policy of mode `"require"` it rejects with an `AttestationError` unless the quote
   *   verified.
   */
  async attest(options: AttestOptions = {}): Promise<AttestationReport> {
    const { model, resolved } = beforeSending(() => {
      const { model, ...rest } = ownMembers(options);
      if (model !== undefined && (typeof model !== "string" || model === "")) {
        throw new ConfigurationError("model", "`model` must be a string that is not empty.");
      }
      return { model, resolved: resolveRequestOptions(this.#channel.options, rest, undefined) };
    });
    return await this.#channel.attest(resolved, model);
  }

  /**
   * Resolves when the client's key is there, and the folder for receipts where one was named, so that the first request
   * need not wait for them; rejects when they cannot be.
   */
  async ready(): Promise<void> {
    await this.#channel.receiptsReady();
    const lease = await this.#channel.keys.lease((promise) => promise);
    lease.release();
  }

  /** The server's key as PEM and its fingerprint (SHA-256 of the SPKI DER, hex): what to compare before pinning it. */
  async serverKey(): Promise<{ readonly pem: string; readonly fingerprint: string }> {
    const { pem, fingerprint } = await this.#channel.serverKey(this.#channel.options.baseUrl);
    return { pem, fingerprint };
  }

  /**
   * Takes no more requests, waits for those in flight (or aborts them), wipes the keys, closes the connections.
   * Harmless twice.
   */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#channel.close(Object.hasOwn(options, "abort") && options.abort === true);
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send<T>(
    body: ChatCompletionRequest,
    options: RequestOptions,
    use: (answer: RecordedAnswer, taken: ReturnType<typeof takeApart>) => T,
  ): Promise<WithResponse<T>> {
    const { taken, resolved } = beforeSending(() => {
      const taken = takeApart(body);
      return { taken, resolved: resolveRequestOptions(this.#channel.options, options, taken.tier) };
    });
    const answer = await this.#channel.request(taken.payload, taken.model, resolved);
    const { response, receipt } = answer;
    const data = afterAnswer(answer, () => use(answer, taken));
    return { data, response, receipt, request_id: response.headers.get("x-request-id") };
  }
}

/** Runs what comes before anything is sent, so that its errors can say so. */
export function beforeSending<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NomyoError) error.sent ??= "no";
    throw error;
  }
}

/** Runs what comes after the answer, so that its errors say that the request was processed. */
export function afterAnswer<T>({ response }: Pick<OpenedAnswer, "response">, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NomyoError) {
      error.sent = "yes";
      error.payloadId ??= response.payloadId;
    }
    throw error;
  }
}

/** The answer as a JavaScript value, with its `_metadata`; the plaintext in locked memory is wiped. */
export function toCompletion({ opened, metadata }: Pick<OpenedAnswer, "opened" | "metadata">): ChatCompletion {
  try {
    return asCompletion(opened.value(), metadata);
  } finally {
    opened.dispose();
  }
}
