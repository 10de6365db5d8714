/** Only compiled (test/unit/client/types.test.ts does so): `openai`'s types go in, and ours come out as `openai`'s. */
import type OpenAI from "openai";
import type {
  ChatCompletion as OpenAICompletion,
  ChatCompletionChunk as OpenAIChunk,
  ChatCompletionCreateParams,
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionCreateParamsStreaming,
} from "openai/resources/chat/completions";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionStream,
  SecureBuffer,
  SecureResponse,
} from "../../lib/index.js";
import { createSecureFetch, SecureChatCompletion } from "../../lib/index.js";

declare function use(...values: unknown[]): void;
declare const client: SecureChatCompletion;
declare const secret: SecureBuffer;
declare const plain: ChatCompletionCreateParamsNonStreaming;
declare const streaming: ChatCompletionCreateParamsStreaming;
declare const either: ChatCompletionCreateParams;

export async function openaiTypesFit(): Promise<void> {
  const whole: ChatCompletion = await client.create(plain);
  const asOpenAI: OpenAICompletion = whole;
  const stream: ChatCompletionStream = await client.create(streaming);
  for await (const chunk of stream) {
    const ours: ChatCompletionChunk = chunk;
    const theirs: OpenAIChunk = ours;
    use(theirs);
  }
  const one: ChatCompletion | ChatCompletionStream = await client.create(either);
  const { data, response } = await client.create(plain).withResponse();
  const id: string = data._metadata.payload_id + response.payloadId;
  const secure: SecureResponse = await client.createSecure(plain);
  // A function written for the SDK's client takes ours.
  const created: OpenAICompletion = await client.chat.completions.create(plain);
  use(asOpenAI, one, id, secure, created);
}

export async function literalsFit(): Promise<void> {
  // Unknown parameters pass; known ones are checked.
  await client.create({
    model: "m",
    messages: [{ role: "user", content: "x" }],
    top_k: 40,
    chat_template_kwargs: { think: false },
  });
  await client.create({ model: "m", messages: [{ role: "user", content: secret }], security_tier: "maximum" });
  await client.create({
    model: "m",
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: secret },
          { type: "image_url", image_url: { url: "data:" } },
        ],
      },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "1", content: "x" },
    ],
    tools: [{ type: "function", function: { name: "f", parameters: {} } }],
  });
  // @ts-expect-error -- a request has a model
  await client.create({ messages: [] });
  // @ts-expect-error -- there is no such tier
  await client.create({ model: "m", messages: [], security_tier: "ultra" });
  // @ts-expect-error -- a temperature is a number
  await client.create({ model: "m", messages: [], temperature: "warm" });
  // @ts-expect-error -- there is no such role
  await client.create({ model: "m", messages: [{ role: "nobody", content: "x" }] });
  // @ts-expect-error -- there is no such option
  use(new SecureChatCompletion({ timeOut: 5 }));
  // @ts-expect-error -- there is no such request option
  await client.create({ model: "m", messages: [] }, { retries: 5 });
}

export function fetchFits(openai: typeof OpenAI): OpenAI {
  return new openai({ apiKey: "k", fetch: createSecureFetch({}) });
}
