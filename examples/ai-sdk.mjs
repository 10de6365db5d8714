// node examples/ai-sdk.mjs [BASE_URL]
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { createSecureFetch } from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const fetch = createSecureFetch({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1"), attestation: "report" });
const nomyo = createOpenAICompatible({
  name: "nomyo",
  baseURL: `${baseUrl}/v1`,
  apiKey: process.env.NOMYO_API_KEY ?? "none",
  fetch,
});
const model = nomyo("Qwen/Qwen3-0.6B");

const { text, response } = await generateText({ model, prompt: "Say hello." });
console.log(text);
const report = JSON.parse(Buffer.from(response.headers["x-nomyo-attestation"], "base64url").toString());
console.log("quote verified:", report.verified);

const { textStream } = streamText({ model, prompt: "Say hello." });
for await (const part of textStream) process.stdout.write(part);
console.log();

await fetch.close();
