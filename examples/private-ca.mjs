// CA_FILE=ca.pem node examples/private-ca.mjs BASE_URL
// Without code: NODE_EXTRA_CA_CERTS=ca.pem does the same for the whole process.
import { readFile } from "node:fs/promises";
import { Agent } from "undici";
import { SecureChatCompletion } from "nomyo-native";

const { CA_FILE } = process.env;
if (!CA_FILE || !process.argv[2]) {
  console.error("Give the authority's certificate and the server: CA_FILE=… node examples/private-ca.mjs BASE_URL");
  process.exit(2);
}
const dispatcher = new Agent({ connect: { ca: await readFile(CA_FILE) } });
const client = new SecureChatCompletion({ baseUrl: process.argv[2], dispatcher });

const answer = await client.create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] });
console.log(answer.choices[0].message.content);

await client.close();
await dispatcher.close();
