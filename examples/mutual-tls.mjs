// CA_FILE=ca.pem CERT_FILE=client.pem KEY_FILE=client.key node examples/mutual-tls.mjs BASE_URL
import { readFile } from "node:fs/promises";
import { Agent } from "undici";
import { SecureChatCompletion } from "nomyo-native";

const { CA_FILE, CERT_FILE, KEY_FILE } = process.env;
if (!CA_FILE || !CERT_FILE || !KEY_FILE || !process.argv[2]) {
  console.error(
    "Give three files and the server: CA_FILE=… CERT_FILE=… KEY_FILE=… node examples/mutual-tls.mjs BASE_URL",
  );
  process.exit(2);
}
const dispatcher = new Agent({
  connect: { ca: await readFile(CA_FILE), cert: await readFile(CERT_FILE), key: await readFile(KEY_FILE) },
});
const client = new SecureChatCompletion({ baseUrl: process.argv[2], dispatcher });

const answer = await client.create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] });
console.log(answer.choices[0].message.content);

await client.close();
await dispatcher.close();
