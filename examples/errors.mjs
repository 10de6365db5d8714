// node examples/errors.mjs [BASE_URL]
import {
  APIError,
  AttestationError,
  ConfigurationError,
  RateLimitError,
  SecureChatCompletion,
  SecurityError,
} from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const client = new SecureChatCompletion({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1"), maxRetries: 1 });

/** What to do about a failure. The client has retried already what may be retried. */
function advice(error) {
  if (error instanceof ConfigurationError) return `correct the option ${error.option}`;
  if (error instanceof AttestationError) return `do not trust this server: ${error.code}`;
  if (error instanceof SecurityError) return `stop and find out why: ${error.code}`;
  if (error instanceof RateLimitError) return "send less: set rateLimit";
  if (error instanceof APIError && error.sent === "no") return "try again: the server has seen nothing";
  if (error instanceof APIError) return `status ${error.status}: it may have been processed (${error.payloadId})`;
  throw error;
}

for (const tier of ["standard", "maximum", "ultra"]) {
  try {
    const request = { model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Hello" }], security_tier: tier };
    const answer = await client.create(request, { attestation: "require" });
    console.log(tier, "→", answer.choices[0].message.content);
  } catch (error) {
    console.log(tier, "→", advice(error));
  }
}
await client.close();
