// HTTPS_PROXY=http://proxy:3128 node examples/proxy.mjs [BASE_URL]
// The variable is asked for here, by name: the package itself never looks at it.
import { readFile } from "node:fs/promises";
import { ProxyAgent } from "undici";
import { SecureChatCompletion } from "nomyo-native";

const { HTTPS_PROXY, CA_FILE } = process.env;
if (!HTTPS_PROXY) {
  console.error("Give the proxy's address: HTTPS_PROXY=http://… node examples/proxy.mjs [BASE_URL]");
  process.exit(2);
}
const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const dispatcher = new ProxyAgent({
  uri: HTTPS_PROXY,
  // For a server behind it with a certificate of a private authority: requestTls: { ca }
  requestTls: CA_FILE ? { ca: await readFile(CA_FILE) } : {},
});
const client = new SecureChatCompletion({ baseUrl, dispatcher });

const answer = await client.create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] });
console.log(answer.choices[0].message.content);

await client.close();
await dispatcher.close();
