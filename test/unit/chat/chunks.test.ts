import type { ChatCompletion } from "../../../lib/chat/chat-types.js";
import { ChatCompletionStream, toChunks } from "../../../lib/chat/chunks.js";

const answer: ChatCompletion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 5,
  model: "m",
  system_fingerprint: "fp",
  choices: [
    {
      index: 0,
      finish_reason: "stop",
      logprobs: { content: [], refusal: null },
      message: { role: "assistant", content: "Hi", refusal: null, reasoning_content: "hm" },
    },
    {
      index: 1,
      finish_reason: "tool_calls",
      logprobs: null,
      message: {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [
          { id: "a", type: "function", function: { name: "f", arguments: "{}" } },
          { id: "b", type: "function", function: { name: "g", arguments: '{"x":1}' } },
        ],
      },
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  _metadata: { payload_id: "p", is_encrypted: true, encryption_algorithm: "e" },
};
const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 5, model: "m", system_fingerprint: "fp" };

describe("toChunks", () => {
  it("gives role, content and reason of each choice, and _metadata with the last chunk", () => {
    expect(toChunks(answer, undefined)).toEqual([
      { ...head, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] },
      {
        ...head,
        choices: [
          {
            index: 0,
            delta: { content: "Hi", refusal: null, reasoning_content: "hm" },
            finish_reason: null,
            logprobs: { content: [], refusal: null },
          },
        ],
      },
      { ...head, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
      { ...head, choices: [{ index: 1, delta: { role: "assistant", content: "" }, finish_reason: null }] },
      {
        ...head,
        choices: [
          {
            index: 1,
            delta: {
              content: null,
              refusal: null,
              tool_calls: [
                { index: 0, id: "a", type: "function", function: { name: "f", arguments: "{}" } },
                { index: 1, id: "b", type: "function", function: { name: "g", arguments: '{"x":1}' } },
              ],
            },
            finish_reason: null,
            logprobs: null,
          },
        ],
      },
      { ...head, choices: [{ index: 1, delta: {}, finish_reason: "tool_calls" }], _metadata: answer._metadata },
    ]);
  });

  it("adds the token counts as a chunk without choices when asked, and null before it", () => {
    const chunks = toChunks(answer, { include_usage: true });
    expect(chunks).toHaveLength(7);
    expect(chunks.slice(0, 6).map((chunk) => chunk.usage)).toEqual([null, null, null, null, null, null]);
    expect(chunks[6]).toEqual({ ...head, choices: [], usage: answer.usage, _metadata: answer._metadata });
    expect(chunks[5]).not.toHaveProperty("_metadata");
  });

  it("says null when the server counted nothing", () => {
    const { usage: _usage, ...rest } = answer;
    expect(toChunks(rest, { include_usage: true }).at(-1)?.usage).toBeNull();
  });
});

describe("ChatCompletionStream", () => {
  const contents = async (
    stream: AsyncIterable<{ choices: { delta: { content?: string | null } }[] }>,
  ): Promise<string> => {
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    return text;
  };

  it("can be iterated again, teed, and read as lines of JSON", async () => {
    const stream = new ChatCompletionStream(answer, null);
    expect(await contents(stream)).toBe("Hi");
    expect(await contents(stream)).toBe("Hi");
    const [left, right] = stream.tee();
    expect([await contents(left), await contents(right)]).toEqual(["Hi", "Hi"]);
    const lines = (await new Response(stream.toReadableStream()).text()).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(toChunks(answer, null));
    expect(stream._metadata).toBe(answer._metadata);
  });

  it("ends when its controller is aborted", async () => {
    const stream = new ChatCompletionStream(answer, null);
    let seen = 0;
    for await (const _chunk of stream) {
      seen++;
      stream.controller.abort();
    }
    expect(seen).toBe(1);
  });
});

describe("an answer that is not of its form", () => {
  const message = { role: "assistant", content: "Hi" };
  const of = (value: object): ChatCompletion => ({ ...value, _metadata: answer._metadata }) as ChatCompletion;

  it.each([
    ["tool_calls null", { choices: [{ index: 0, finish_reason: "stop", message: { ...message, tool_calls: null } }] }],
    [
      "index, reason and role null",
      { choices: [{ index: null, finish_reason: null, message: { ...message, role: null } }] },
    ],
    ["usage null", { choices: [{ message }], usage: null }],
  ])("null counts as absent: %s", (_what, value) => {
    const chunks = toChunks(of(value), { include_usage: true });
    expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? "")).join("")).toBe("Hi");
    expect(chunks.every(({ choices }) => choices.every(({ index }) => index === 0))).toBe(true);
    expect(JSON.stringify(chunks)).not.toContain("tool_calls");
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
  });

  it.each([
    ["no choices", {}],
    ["choices null", { choices: null }],
    ["choices an object", { choices: {} }],
    ["a choice null", { choices: [null] }],
    ["a choice a text", { choices: ["x"] }],
    ["no message", { choices: [{ index: 0 }] }],
    ["message null", { choices: [{ message: null }] }],
    ["message a list", { choices: [{ message: [] }] }],
    ["tool_calls an object", { choices: [{ message: { ...message, tool_calls: {} } }] }],
    ["tool_calls a text", { choices: [{ message: { ...message, tool_calls: "x" } }] }],
    ["a call null", { choices: [{ message: { ...message, tool_calls: [null] } }] }],
    ["a call a text", { choices: [{ message: { ...message, tool_calls: ["secret"] } }] }],
  ])("is a SecurityError with a code, and quotes nothing: %s", (_what, value) => {
    let error: unknown;
    try {
      toChunks(of(value), undefined);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: "SecurityError", code: "ANSWER_SHAPE" });
    expect((error as Error).message).not.toContain("secret");
  });
});
