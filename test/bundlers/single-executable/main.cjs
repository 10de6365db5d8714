// A single executable has no folder of its own: the package lies beside it, in node_modules.
const { createRequire } = require("node:module");
const beside = createRequire(process.execPath);
const { SecureChatCompletion } = beside("nomyo-native");
const { startRouter } = beside("nomyo-native/router");

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
