/** The echo model's behaviour, which clients' own tests may rest on. */
import { echo } from "../../../lib/router/echo.js";
import { Refusal } from "../../../lib/http/refusal.js";

interface Answer {
  readonly choices: readonly [
    {
      readonly finish_reason: string;
      readonly message: {
        readonly content: string | null;
        readonly tool_calls?: readonly [{ readonly function: { readonly name: string; readonly arguments: string } }];
      };
    },
  ];
  readonly usage: Record<string, number>;
}
const ask = (request: object) => echo(request, 0) as unknown as Answer;
const user = (content: unknown) => ({ role: "user", content });
const contentOf = (request: object) => ask(request).choices[0].message.content;
const preface = "This is nomyo-native's echo model, not a language model.";

test.each([
  ["no messages", {}],
  ["messages that are no list", { messages: "hello" }],
  ["no message in the list", { messages: [] }],
  ["a message that is no object", { messages: ["hello"] }],
  ["a message that is null", { messages: [user("hello"), null] }],
  ["a message that is a list", { messages: [[]] }],
])("%s: 400", (_what, request) => {
  expect(() => echo(request, 0)).toThrow(Refusal);
  expect(() => echo(request, 0)).toThrow(/needs messages/);
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
  ])("of %s is repeated", (_what, content, said) => {
    expect(contentOf({ messages: [user("before"), user(content)] })).toBe(`${preface} You wrote: ${said}`);
  });

  test("of a tool is told from a user's", () => {
    expect(contentOf({ messages: [{ role: "tool", content: "21 °C" }] })).toBe(`${preface} The tool answered: 21 °C`);
  });

  test.each<[object, string, string]>([
    [{ max_tokens: 2 }, "This is", "length"],
    [{ max_completion_tokens: 1, max_tokens: 2 }, "This", "length"],
    [{ max_tokens: 12 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: 0 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: 1.5 }, `${preface} You wrote: hi`, "stop"],
    [{ max_tokens: "1" }, `${preface} You wrote: hi`, "stop"],
  ])("under %j", (limit, content, finish) => {
    const { choices } = ask({ messages: [user("hi")], ...limit });
    expect([choices[0].message.content, choices[0].finish_reason]).toEqual([content, finish]);
  });

  test("words are counted as tokens, of all messages", () => {
    const { usage } = ask({ messages: [user(" two  words "), user("")], max_tokens: 3 });
    expect(usage).toEqual({ prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 });
  });
});

describe("a call of a tool", () => {
  const tool = (name: unknown, parameters?: unknown) => ({ type: "function", function: { name, parameters } });
  const call = (said: string, rest: object) =>
    ask({ messages: [user(said)], ...rest }).choices[0].message.tool_calls?.[0].function;

  test("with the arguments that were given as an object", () => {
    const tools = [tool("other"), tool("weather")];
    expect(call('call weather {"city": "Ulm"} ', { tools })).toEqual({ name: "weather", arguments: '{"city": "Ulm"}' });
  });

  test.each(["call weather", "call weather in Ulm", "call weather [1]"])(
    "%j: the schema makes the arguments",
    (said) => {
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
      expect(JSON.parse(call(said, { tools: [tool("weather", parameters)] })!.arguments)).toEqual({
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
    (parameters) => {
      const given = call("hi", { tools: [tool("weather", parameters)], tool_choice: "required" });
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
  ])("tool_choice %j and %j: %s", (tool_choice, said, expected) => {
    const tools = [tool("first"), tool("second")];
    expect(call(said, { tools, tool_choice })?.name).toBe(expected);
  });

  test("is not made after a tool's answer, nor of what is no tool", () => {
    const tools = [null, "x", {}, { function: null }, tool(7)];
    expect(call("call 7", { tools, tool_choice: "required" })).toBeUndefined();
    expect(call("call x", { tools: { length: 1 } })).toBeUndefined();
    const messages = [{ role: "tool", content: "call first" }];
    expect(ask({ messages, tools: [tool("first")], tool_choice: "required" }).choices[0].finish_reason).toBe("stop");
  });

  test("has an id that says which call it is, and counts the words of its arguments", () => {
    const request = { messages: [user('call f {"a": 1}')], tools: [tool("f")] };
    expect(ask(request)).toEqual(ask(request));
    expect(ask(request).choices[0].finish_reason).toBe("tool_calls");
    expect(ask(request).usage["completion_tokens"]).toBe(2);
  });
});
