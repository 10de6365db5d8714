import { chatRequest, contents, jsonBytes } from "../../../lib/bench/payload.js";

const sizes = [1024, 32 * 1024, 100_003, 1024 * 1024];
const cases = contents.flatMap((content) => sizes.map((size) => ({ content, size })));

test.each(cases)("a request of kind $content has exactly $size bytes of JSON", ({ content, size }) => {
  expect(Buffer.byteLength(JSON.stringify(chatRequest(content, size)))).toBe(size);
});

test("the same request comes out every time", () => {
  expect(chatRequest("cjk", 5000)).toEqual(chatRequest("cjk", 5000));
});

test("the texts are what their names say", () => {
  const prompt = (content: "ascii" | "latin1" | "cjk") => {
    const last = chatRequest(content, 4096).messages[1]?.["content"] as string;
    return Array.from(last, (character) => character.codePointAt(0)!);
  };
  expect(Math.max(...prompt("ascii"))).toBeLessThan(0x80);
  expect(Math.max(...prompt("latin1"))).toBeGreaterThanOrEqual(0x80);
  expect(Math.max(...prompt("latin1"))).toBeLessThan(0x100);
  expect(Math.max(...prompt("cjk"))).toBeGreaterThan(0xffff);
});

test("the conversation has 200 messages, and every tool call has its result", () => {
  const { messages } = chatRequest("tools", 64 * 1024);
  const calls = messages.flatMap(
    (message) => (message["tool_calls"] as { id: string }[] | undefined)?.map(({ id }) => id) ?? [],
  );
  const results = messages.filter(({ role }) => role === "tool").map((message) => message["tool_call_id"]);
  expect(messages).toHaveLength(200);
  expect(calls).toHaveLength(66);
  expect(results).toEqual(calls);
});

test("too small a size is refused", () => {
  expect(() => chatRequest("ascii", 50)).toThrow(RangeError);
  expect(jsonBytes({ a: "é" })).toBe(10);
});
