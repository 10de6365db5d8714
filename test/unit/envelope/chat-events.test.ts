/**
 * The events that the addon makes in the pool are those that chat/chunks.ts makes of the value, whatever the answer
 * holds.
 */
import fc from "fast-check";
import type { ChatCompletion } from "../../../lib/chat/chat-types.js";
import { toChunks } from "../../../lib/chat/chunks.js";
import { chatEvents } from "../../../lib/envelope/chat-events.js";
import { SecurityError } from "../../../lib/errors.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";

const how = { maxDepth: 64, maxBytes: 1 << 24, locking: "required", signal: undefined } as const;
const metadata = { payload_id: "an id" };

async function events(json: string, includeUsage = false): Promise<string> {
  using answer = SecureBuffer.from(json);
  using made = await chatEvents(answer, { ...how, metadata, includeUsage });
  return made.toString();
}

/** As the client's `stream: true` has them. */
function expected(json: string, includeUsage: boolean): string {
  const completion = { ...(JSON.parse(json) as ChatCompletion), _metadata: metadata } as unknown as ChatCompletion;
  const chunks = toChunks(completion, { include_usage: includeUsage });
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), "data: [DONE]\n\n"].join("");
}

// Names that JavaScript keeps in the order in which they come, and that mean nothing here.
const name = fc.constantFrom("a", "content", "refusal", "id", "x y", 'q"\\', "é", "annotations");
const value = fc.jsonValue({ maxDepth: 3 }).map((it) => JSON.parse(JSON.stringify(it, reorder)) as unknown);
/** Objects without names that are numbers, which JavaScript would put first. */
function reorder(_name: string, it: unknown): unknown {
  if (typeof it !== "object" || it === null || Array.isArray(it)) return it;
  return Object.fromEntries(Object.entries(it).map(([key, item]) => [`k${key}`, item]));
}
const optional = (arbitrary: fc.Arbitrary<unknown>) => fc.option(arbitrary, { nil: undefined });
const more = fc.dictionary(name, value, { maxKeys: 4 });
const index = optional(fc.oneof(fc.nat(), fc.constantFrom("one", null)));
const call = fc.record({ rest: more, index }).map(({ rest, index: at }) => ({ ...rest, index: at }));
const message = fc
  .record({
    rest: more,
    role: optional(fc.constantFrom("assistant", null)),
    calls: optional(fc.oneof(fc.constant(null), fc.array(call, { maxLength: 3 }))),
  })
  .map(({ rest, role, calls }) => ({ ...rest, role, tool_calls: calls }));
const choice = fc.record({
  index,
  message,
  logprobs: optional(value),
  finish_reason: optional(fc.constantFrom("stop", null)),
});
const completion = fc
  .record({ rest: more, choices: fc.array(choice, { maxLength: 3 }), usage: optional(value), object: optional(value) })
  .map(({ rest, ...own }) => ({ ...rest, ...own, _metadata: { forged: true } }));

test("for random completions, with and without counts, whatever white space is between the tokens", async () => {
  await fc.assert(
    fc.asyncProperty(completion, fc.boolean(), fc.constantFrom(undefined, 1, "\t"), async (it, usage, space) => {
      const json = JSON.stringify(it, undefined, space);
      expect(await events(json, usage)).toBe(expected(json, usage));
    }),
    { numRuns: 150 },
  );
});

test("for an answer of a megabyte", async () => {
  const content = 'a "line"\n'.repeat(120_000);
  const json = JSON.stringify({ id: "x", choices: [{ message: { role: "assistant", content } }] });
  expect((await events(json)) === expected(json, false)).toBe(true);
});

test.each([
  ['{"choices":{}}', /`choices` is not a list/],
  ['{"choices":[{"message":1}]}', /`message` is not an object/],
  ['{"choices":[{"message":{"tool_calls":[1]}}]}', /tool call is not an object/],
  ['{"choices":[],"choices":[]}', /a name occurs twice/],
])("%s is no chat completion", async (json, message) => {
  const refused = events(json);
  await expect(refused).rejects.toBeInstanceOf(SecurityError);
  await expect(refused).rejects.toMatchObject({ code: "ANSWER_SHAPE", message: expect.stringMatching(message) });
});

test("ends with the signal's reason", async () => {
  using answer = SecureBuffer.from('{"choices":[]}');
  // Before the work, since nobody can say whether a later one comes in time.
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await expect(chatEvents(answer, { ...how, metadata, includeUsage: false, signal })).rejects.toBe(reason);
});
