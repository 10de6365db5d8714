/** A whole answer as the chunks that a streaming server would have sent. */
import type { ChatCompletion, ChatCompletionChunk, ChunkDelta, StreamOptions } from "./chat-types.js";
import { listOf, objectOf } from "./completion.js";

/**
 * A whole answer as the chunks that a streaming server would have sent: for each choice one with the role, one with
 * everything that the message says, one with the reason for its end; then, if asked for, one with the token counts.
 * `_metadata` is on the last.
 *
 * Whatever is read here came from a server: a null counts as absent, and what is not of its form is a `SecurityError`
 * (`ANSWER_SHAPE`).
 */
export function toChunks(answer: ChatCompletion, options: StreamOptions | null | undefined): ChatCompletionChunk[] {
  const { choices, usage, _metadata, object: _object, ...head } = answer;
  const withUsage = options?.include_usage === true;
  const chunk = (parts: ChatCompletionChunk["choices"]): ChatCompletionChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices: parts,
    // OpenAI's servers send null with every chunk but the last when the counts were asked for.
    ...(withUsage ? { usage: null } : {}),
  });
  const chunks: ChatCompletionChunk[] = listOf(choices, "`choices`").flatMap((choice, position) =>
    choiceDeltas(choice, position).map((part) => chunk([part])),
  );
  if (withUsage) chunks.push({ ...chunk([]), usage: usage ?? null });
  const last = chunks.at(-1);
  if (last !== undefined) last._metadata = _metadata;
  return chunks;
}

function choiceDeltas(given: unknown, position: number): ChatCompletionChunk["choices"] {
  const place = `\`choices[${position}]\``;
  const choice = objectOf(given, place);
  const { role, tool_calls: calls, ...said } = objectOf(choice["message"], `\`message\` of ${place}`);
  const index = indexOf(choice["index"], position);
  const delta = {
    ...said,
    ...(calls === undefined || calls === null ? {} : { tool_calls: callDeltas(calls, place) }),
  } as ChunkDelta;
  const logprobs = choice["logprobs"] as ChatCompletionChunk["choices"][number]["logprobs"];
  const finish = (choice["finish_reason"] ?? null) as ChatCompletionChunk["choices"][number]["finish_reason"];
  return [
    { index, delta: { role: (role ?? "assistant") as "assistant", content: "" }, finish_reason: null },
    { index, delta, finish_reason: null, ...(logprobs === undefined ? {} : { logprobs }) },
    { index, delta: {}, finish_reason: finish },
  ];
}

/** In a stream each call says which one it is, because it could come in pieces. */
function callDeltas(calls: unknown, place: string): object[] {
  return listOf(calls, `\`tool_calls\` of ${place}`).map((call, position) => {
    const { index, ...rest } = objectOf(call, `\`tool_calls[${position}]\` of ${place}`);
    return { index: indexOf(index, position), ...rest };
  });
}

function indexOf(stated: unknown, position: number): number {
  return typeof stated === "number" ? stated : position;
}

/** The chunks of an answer that has come whole. It can be iterated as often as one likes. */
export class ChatCompletionStream implements AsyncIterable<ChatCompletionChunk> {
  /** As openai-node's streams have it. The request has ended: aborting ends iterations only. */
  readonly controller = new AbortController();
  /** The whole answer, from which the chunks are made. */
  readonly completion: ChatCompletion;
  readonly #chunks: readonly ChatCompletionChunk[];
  readonly #options: StreamOptions | null | undefined;

  constructor(completion: ChatCompletion, options: StreamOptions | null | undefined) {
    this.completion = completion;
    this.#options = options;
    this.#chunks = toChunks(completion, options);
  }

  /** That of {@link completion}. */
  get _metadata(): ChatCompletion["_metadata"] {
    return this.completion._metadata;
  }

  /** The chunks, in their order; each iteration starts at the first. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ChatCompletionChunk> {
    for (const chunk of this.#chunks) {
      if (this.controller.signal.aborted) return;
      // Gives way between chunks, as a stream from a socket would.
      yield await Promise.resolve(chunk);
    }
  }

  /** Two independent streams of the same chunks. */
  tee(): [ChatCompletionStream, ChatCompletionStream] {
    const again = (): ChatCompletionStream => new ChatCompletionStream(this.completion, this.#options);
    return [again(), again()];
  }

  /** The chunks as lines of JSON in UTF-8, as openai-node's `toReadableStream` gives them. */
  toReadableStream(): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    const lines = this.#chunks.map((chunk) => encoder.encode(`${JSON.stringify(chunk)}\n`));
    return new ReadableStream({
      start(controller) {
        for (const line of lines) controller.enqueue(line);
        controller.close();
      },
    });
  }
}
