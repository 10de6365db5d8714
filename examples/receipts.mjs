// Which server answered, in which state, under which keys: a receipt on the disk before the answer is handed on.
// Usage: node examples/receipts.mjs [BASE_URL] [FOLDER]; afterwards: npx nomyo-native receipt verify FOLDER
import { attestationState, SecureChatCompletion } from "nomyo-native";

const [baseUrl, receipts = "receipts"] = process.argv.slice(2);
const client = new SecureChatCompletion({ baseUrl, allowHttp: baseUrl?.startsWith("http://127.0.0.1"), receipts });
const { data, receipt } = await client
  .create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] })
  .withResponse();
console.log(data.choices[0].message.content);
const { state, sentence } = attestationState(receipt.attestation.report ?? undefined);
console.log(`receipt ${receipt.chain.sequence} for ${receipt.payload_id}: ${state}. ${sentence}`);
await client.close();
