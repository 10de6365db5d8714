/** The echo model's behaviour, which clients' own tests may rest on. */
import timers from "node:timers/promises";
import { EchoModel } from "../../../lib/router/echo.js";
import { Disconnected, Refusal } from "../../../lib/http/refusal.js";
import { getMemoryProtectionInfo } from "../../../lib/memory/protection.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";

interface Token {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Token[];
}
interface Answer {
  readonly id: string;
  readonly choices: readonly [
    {
      readonly index: number;
      readonly finish_reason: string;
      readonly logprobs: { readonly content: readonly Token[] } | null;
      readonly message: {
        readonly content: string | null;
        readonly tool_calls?: readonly [{ readonly function: { readonly name: string; readonly arguments: string } }];
      };
    },
  ];
  readonly usage: Record<string, number>;
}
const model = new EchoModel({ delayMs: 0, maxAnswerBytes: 1_000_000, maxDepth: 64, locking: "preferred" });
async function askText(text: string): Promise<Answer> {
  using request = SecureBuffer.from(text, "preferred");
  const answer = await model.complete(request, new AbortController().signal);
  try {
    return answer.use((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Answer);
  } finally {
    answer.dispose();
  }
}
const ask = (request: object) => askText(JSON.stringify(request));
const user = (content: unknown) => ({ role: "user", content });
const contentOf = async (request: object) => (await ask(request)).choices[0].message.content;
const preface = "This is nomyo-native's echo model, not a language model.";

test.each([
  ["no messages", {}],
  ["messages that are no list", { messages: "hello" }],
  ["no message in the list", { messages: [] }],
  ["a message that is no object", { messages: ["hello"] }],
  ["a message that is null", { messages: [user("hello"), null] }],
  ["a message that is a list", { messages: [[]] }],
])("%s: 400", async (_what, request) => {
  await expect(ask(request)).rejects.toThrow(Refusal);
  await expect(ask(request)).rejects.toThrow(/needs messages/);
});

describe("the text", () => {
  test.each<[string, unknown, string]>([
    ["a string", "hello", "hello"],
    [
      "text parts, others left out",
      [{ text: "one" }, { image_url: {} }, { text: 2 }, "x", { text: "two" }],
      "one\ntwo",
    ],
    ["nothing", null, ""],
    ["a number", 7, ""],
  ])("of %s is repeated", async (_what, content, said) => {
    expect(await contentOf({ messages: [user("before"), user(content)] })).toBe(`${preface} You wrote: ${said}`);
  });

  test("of a tool is told from a user's", async () => {
    expect(await contentOf({ messages: [{ role: "tool", content: "21 °C" }] })).toBe(
      `${preface} The tool answered: 21 °C`,
    );
  });

  test.each<[object, string, string]>([
    [{ max_tokens: 2 }, "This is", "length"],
    [{ max_completion_tokens: 1, max_tokens: 2 }, "This", "length"],
    [{ max_tokens: 12 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: 0 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: 1.5 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: "1" }, `${preface} You wrote: hi`, "stop"],
  ])("under %j", async (limit, content, finish) => {
    const { choices } = await ask({ messages: [user("hi")], ...limit });
    expect([choices[0].message.content, choices[0].finish_reason]).toEqual([content, finish]);
  });

  test("words are counted as tokens, of all messages", async () => {
    const { usage } = await ask({ messages: [user(" two  words "), user("")], max_tokens: 3 });
    expect(usage).toEqual({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 });
  });
});

describe("a call of a tool", () => {
  const tool = (name: unknown, parameters?: unknown) => ({ type: "function", function: { name, parameters } });
  const call = async (said: string, rest: object) =>
    (await ask({ messages: [user(said)], ...rest })).choices[0].message.tool_calls?.[0].function;

  test("with the arguments that were given as an object", async () => {
    const tools = [tool("other"), tool("weather")];
    expect(await call('call weather {"city": "Ulm"} ', { tools })).toEqual({
      name: "weather",
      arguments: '{"city": "Ulm"}',
    });
  });

  test.each(["call weather", "call weather in Ulm", "call weather [1]"])(
    "%j: the schema makes the arguments",
    async (said) => {
      const parameters = {
        properties: {
          text: { type: "string" },
          number: { type: "number" },
          integer: { type: "integer" },
          flag: { type: "boolean" },
          list: { type: "array" },
          object: { type: "object" },
          nothing: { type: "null" },
          unit: { type: "string", enum: ["C", "F"] },
          odd: true,
          optional: { type: "string" },
        },
        required: [
          ...["text", "number", "integer", "flag", "list", "object", "nothing", "unit", "odd", "undeclared"],
          "constructor",
          7,
        ],
      };
      expect(JSON.parse((await call(said, { tools: [tool("weather", parameters)] }))!.arguments)).toEqual({
        text: said,
        number: 0,
        integer: 0,
        flag: false,
        list: [],
        object: {},
        nothing: null,
        unit: "C",
        odd: said,
        undeclared: said,
        constructor: said,
      });
    },
  );

  test.each<[unknown]>([[undefined], ["text"], [{}], [{ required: ["x"], properties: [] }]])(
    "a schema that is %j",
    async (parameters) => {
      const given = await call("hi", { tools: [tool("weather", parameters)], tool_choice: "required" });
      const wanted = parameters !== undefined && Object.hasOwn(parameters as object, "required") ? { x: "hi" } : {};
      expect(JSON.parse(given!.arguments)).toEqual(wanted);
    },
  );

  test.each<[unknown, string, string | undefined]>([
    ["auto", "hi", undefined],
    ["auto", "call second", "second"],
    ["auto", "call third", undefined],
    ["none", "call second", undefined],
    ["required", "hi", "first"],
    ["required", "call second", "second"],
    [tool("second"), "call first", "second"],
    [tool("third"), "hi", "first"],
    [tool(7), "hi", undefined],
    [{ type: "function" }, "hi", undefined],
  ])("tool_choice %j and %j: %s", async (tool_choice, said, expected) => {
    const tools = [tool("first"), tool("second")];
    expect((await call(said, { tools, tool_choice }))?.name).toBe(expected);
  });

  test("is not made after a tool's answer, nor of what is no tool", async () => {
    const tools = [null, "x", {}, { function: null }, tool(7)];
    expect(await call("call 7", { tools, tool_choice: "required" })).toBeUndefined();
    expect(await call("call x", { tools: { length: 1 } })).toBeUndefined();
    const messages = [{ role: "tool", content: "call first" }];
    const answer = await ask({ messages, tools: [tool("first")], tool_choice: "required" });
    expect(answer.choices[0].finish_reason).toBe("stop");
  });

  test("has an id that says which call it is, and counts the words of its arguments", async () => {
    const request = { messages: [user('call f {"a": 1}')], tools: [tool("f")] };
    const [one, other] = [await ask(request), await ask(request)];
    expect({ ...one, created: 0 }).toEqual({ ...other, created: 0 });
    expect(one.choices[0].finish_reason).toBe("tool_calls");
    expect(one.usage["completion_tokens"]).toBe(2);
  });
});

describe("structured output", () => {
  const jsonObject = { type: "json_object" };
  const json = async (said: string, response_format: object) =>
    JSON.parse((await contentOf({ messages: [user(said)], response_format }))!) as unknown;

  test("of type json_object repeats an object, and makes one of any other text", async () => {
    expect(await json(' {"a": ["\\u00e9", 1]}\n', jsonObject)).toEqual({ a: ["é", 1] });
    for (const said of ['say "it"\n\u2028 \u00e9 \ud83d\ude00', "[1]", '{"a":', ""]) {
      expect(await json(said, jsonObject)).toEqual({ content: said });
    }
  });

  test("of type json_schema is a value of the schema", async () => {
    const schema = {
      type: "object",
      properties: {
        city: { type: "string" },
        unit: { enum: ["C", "F"] },
        kind: { const: "weather" },
        days: { type: "array", items: { $ref: "#/$defs/day" }, minItems: 2 },
        note: { anyOf: [{ type: ["null", "string"] }, { type: "integer" }] },
        next: { $ref: "#/definitions/none" },
        left_out: { type: "string" },
      },
      required: ["city", "unit", "kind", "days", "note", "next", "city"],
      $defs: { day: { properties: { degrees: { type: "number", minimum: -40 } }, required: ["degrees"] } },
    };
    const response_format = { type: "json_schema", json_schema: { name: "weather", strict: true, schema } };
    const day = { degrees: -40 };
    expect(await json("Ulm", response_format)).toEqual({
      city: "Ulm",
      unit: "C",
      kind: "weather",
      days: [day, day],
      note: null,
      next: "Ulm",
    });
  });

  test("of type text, or none that is known, is text", async () => {
    for (const response_format of [{ type: "text" }, "json_object", null]) {
      expect(await contentOf({ messages: [user("hi")], response_format })).toBe(`${preface} You wrote: hi`);
    }
  });

  test("a schema that refers to itself without end: 400", async () => {
    const response_format = { type: "json_schema", json_schema: { schema: { $ref: "#" } } };
    await expect(ask({ messages: [user("hi")], response_format })).rejects.toThrow(/costs too much/);
  });
});

test("n makes so many choices, all alike, and each is counted", async () => {
  const { choices, usage } = await ask({ messages: [user("hi")], n: 3 });
  expect(choices.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(new Set(choices.map(({ message }) => message.content))).toEqual(new Set([`${preface} You wrote: hi`]));
  expect(usage).toEqual({ prompt_tokens: 1, completion_tokens: 36, total_tokens: 37 });
});

test.each([0, 1.5, "2", 129])("n of %j: 400", async (n) => {
  await expect(ask({ messages: [user("hi")], n })).rejects.toThrow(/n must be a whole number from 1 to 128/);
});

describe("logprobs", () => {
  test("tell of words, which make up the text and were all certain", async () => {
    const messages = [user(' é \ud83d\ude00\t"x" \ud800 ')];
    const { choices } = await ask({ messages, logprobs: true, top_logprobs: 2 });
    const tokens = choices[0].logprobs!.content;
    expect(tokens.map(({ token }) => token).join("")).toBe(choices[0].message.content);
    expect(tokens.slice(-4).map(({ token }) => token)).toEqual(["  é", " \ud83d\ude00", '\t"x"', " \ud800 "]);
    for (const { token, logprob, bytes, top_logprobs } of tokens) {
      expect(logprob).toBe(0);
      expect(bytes).toEqual([...Buffer.from(token, "utf8")]);
      expect(top_logprobs).toEqual([{ token, logprob, bytes }]);
    }
  });

  test("of a text that was cut end where it ends; without top_logprobs there are none of others", async () => {
    const { choices } = await ask({ messages: [user("hi")], logprobs: true, max_tokens: 2 });
    expect(choices[0].logprobs!.content.map(({ token }) => token)).toEqual(["This", " is"]);
    expect(choices[0].logprobs!.content[0]!.top_logprobs).toEqual([]);
  });

  test("are null when they are not asked for", async () => {
    expect((await ask({ messages: [user("hi")] })).choices[0].logprobs).toBeNull();
  });
});

test("the model's name comes back", async () => {
  expect(await ask({ model: "m", messages: [user("hi")] })).toMatchObject({ model: "m", object: "chat.completion" });
});

test("an abort during the delay ends the wait, and wipes the answer", async () => {
  const slow = new EchoModel({ delayMs: 600_000, maxAnswerBytes: 10_000, maxDepth: 64, locking: "preferred" });
  using request = SecureBuffer.from(JSON.stringify({ messages: [user("hi")] }), "preferred");
  const controller = new AbortController();
  let during = 0;
  const { setTimeout: sleep } = timers;
  const sleeping = jest.spyOn(timers, "setTimeout").mockImplementation((...args) => {
    during = getMemoryProtectionInfo().stats.bytesInUse;
    setImmediate(() => controller.abort());
    return sleep(...args);
  });
  try {
    await expect(slow.complete(request, controller.signal)).rejects.toThrow(Disconnected);
  } finally {
    sleeping.mockRestore();
  }
  // The answer, and its room for metadata.
  expect(during - getMemoryProtectionInfo().stats.bytesInUse).toBeGreaterThan(8192);
});
