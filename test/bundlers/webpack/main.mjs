import { SecureChatCompletion } from "nomyo-native";
import { startRouter } from "nomyo-native/router";

async function main() {
  const router = await startRouter({ port: 0, secureMemory: "preferred" });
  const client = new SecureChatCompletion({ baseUrl: router.url, allowHttp: true, secureMemory: "preferred" });
  const answer = await client.create({ model: "echo", messages: [{ role: "user", content: "through a bundle" }] });
  if (!answer.choices[0].message.content.includes("through a bundle")) throw new Error("another answer");
  await client.close();
  await router.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
