// node examples/quick-start.mjs [BASE_URL]
import { SecureChatCompletion } from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const client = new SecureChatCompletion({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1") });
const request = { model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] };

const answer = await client.create(request);
console.log(answer.choices[0].message.content);

const stream = await client.create({ ...request, stream: true });
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? "");
console.log();

await client.close(); // or `await using client = …` where the syntax is known
