// node examples/locked-memory.mjs [BASE_URL] < prompt.txt
import { readSync } from "node:fs";
import { SecureBuffer, SecureChatCompletion } from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const client = new SecureChatCompletion({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1") });

// Read straight into locked memory: no string, no Buffer of the prompt.
const room = SecureBuffer.alloc(65_536);
const length = room.use((bytes) => {
  let at = 0;
  for (let read = -1; read !== 0 && at < bytes.length; at += read)
    read = readSync(0, bytes, at, bytes.length - at, null);
  return at;
});
const content = room.use((bytes) => SecureBuffer.from(bytes.subarray(0, length)));
room.dispose();

const answer = await client.createSecure({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content }] });
content.dispose();
console.log("tokens:", answer.get("/usage/total_tokens"));

// The text, too, can stay there; here it is looked at in place.
const text = answer.content();
text.use((bytes) => process.stdout.write(bytes));
console.log();

text.dispose();
answer.dispose();
await client.close();
