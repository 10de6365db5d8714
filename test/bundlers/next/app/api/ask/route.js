import { SecureChatCompletion } from "nomyo-native";
import { startRouter } from "nomyo-native/router";

export const dynamic = "force-dynamic";

export async function GET() {
  const router = await startRouter({ port: 0, secureMemory: "preferred" });
  const client = new SecureChatCompletion({ baseUrl: router.url, allowHttp: true, secureMemory: "preferred" });
  const answer = await client.create({ model: "echo", messages: [{ role: "user", content: "through a bundle" }] });
  await client.close();
  await router.close();
  return Response.json(answer.choices[0].message.content);
}
