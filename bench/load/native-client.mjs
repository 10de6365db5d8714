// This package's client under load.
import { native } from "../../dist/native.js";
import { SecureChatCompletion } from "../../dist/index.js";
import { serve } from "./load.mjs";

await serve(async (url) => {
  const client = new SecureChatCompletion({
    baseUrl: url,
    allowHttp: true,
    apiKey: null,
    maxRetries: 0,
    attestation: "off",
  });
  await client.ready();
  return {
    request: (body) => client.create(body),
    memory: () => native.memoryInfo().stats,
    close: () => client.close(),
  };
});
