// node examples/openai-sdk.mjs [BASE_URL]
import OpenAI from "openai";
import { createSecureFetch } from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const fetch = createSecureFetch({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1"), attestation: "report" });
const openai = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: process.env.NOMYO_API_KEY ?? "none", fetch });

const request = { model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] };
const answer = await openai.chat.completions.create(request, { headers: { "X-Security-Tier": "standard" } });
console.log(answer.choices[0].message.content);
console.log("quote verified:", answer._metadata.attestation_report.verified);

const stream = await openai.chat.completions.create({ ...request, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
console.log();

await fetch.close();
