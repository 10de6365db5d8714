import { takeApart } from "../../../lib/chat/request-parts.js";
import { ConfigurationError } from "../../../lib/errors.js";

const messages = [{ role: "user", content: "x" }];

describe("takeApart", () => {
  it("passes every parameter on, known or not, as the same value", () => {
    const tools = [{ type: "function", function: { name: "f" } }];
    const { payload, model } = takeApart({ model: "m", messages, temperature: 0.5, tools, top_k: 7, stream: false });
    expect(payload).toEqual({ model: "m", messages, temperature: 0.5, tools, top_k: 7 });
    expect(payload["tools"]).toBe(tools);
    expect(payload["messages"]).toBe(messages);
    expect(model).toBe("m");
  });

  it("keeps tier and streaming out of the payload", () => {
    const taken = takeApart({
      model: "m",
      messages,
      security_tier: "high",
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(taken.payload).toEqual({ model: "m", messages });
    expect(taken).toMatchObject({ tier: "high", stream: true, streamOptions: { include_usage: true } });
  });

  it("asks toJSON, as JSON.stringify would", () => {
    expect(takeApart({ toJSON: () => ({ model: "m", messages }) }).payload).toEqual({ model: "m", messages });
  });

  it.each([
    ["body", null],
    ["body", "text"],
    ["model", { messages }],
    ["model", { model: "", messages }],
    ["messages", { model: "m" }],
    ["messages", { model: "m", messages: "x" }],
    ["api_key", { model: "m", messages, api_key: "k" }],
    ["apiKey", { model: "m", messages, apiKey: "k" }],
    ["stream", { model: "m", messages, stream: "yes" }],
  ])("refuses a wrong %s", (option, body) => {
    const refuse = (): unknown => takeApart(body as object);
    expect(refuse).toThrow(ConfigurationError);
    expect(refuse).toThrow(expect.objectContaining({ option }));
  });
});
