/** The client and the package's own local router: both sides on the same core. */
import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { AuthenticationError, ServiceUnavailableError } from "../../../lib/errors.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { makeKeyFolder } from "../../support/key-folder.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const apiKey = "test-key-0123456789";
const request = { model: "m", messages: [{ role: "user" as const, content: "Grüße 👋" }] };
const routerKey = routerKeyFile();
const clientKeys = makeKeyFolder();
let tpm: SoftwareTpm;
let router: Router;
let plain: Router;
let client: SecureChatCompletion;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
  router = await startRouter({ keyFile: routerKey.path, apiKeys: [apiKey], tpm: { tcti: tpm.tcti } });
  plain = await startRouter({ keyFile: routerKey.path });
  client = new SecureChatCompletion({
    baseUrl: router.url,
    allowHttp: true,
    apiKey,
    maxRetries: 0,
    keyDir: clientKeys.path,
    keyRotationInterval: 0,
  });
});
afterAll(async () => {
  await client.close();
  await router.close();
  await plain.close();
  await tpm.close();
  routerKey.remove();
  clientKeys.remove();
});

it("answers, with the echo model", async () => {
  const answer = await client.create(request);
  expect(answer.choices[0]?.message.content).toContain("Grüße 👋");
  expect(answer._metadata).toMatchObject({ is_encrypted: true, processed_at: expect.any(Number) });
});

it("proves itself at tier maximum", async () => {
  const answer = await client.create({ ...request, security_tier: "maximum" }, { attestation: "require" });
  expect(answer._metadata.attestation_report).toMatchObject({ verified: true });
});

it("confirms the relay binding", async () => {
  const options = { attestation: { version: 1, mode: "require", binding: "required" } } as const;
  expect((await client.create(request, options))._metadata.attestation_report).toMatchObject({ verified: true });
});

it("refuses a wrong API key, and tier maximum without a TPM, with the right classes", async () => {
  await expect(client.create(request, { apiKey: "wrong-key-0123456789" })).rejects.toThrow(AuthenticationError);
  const refused = client.create({ ...request, security_tier: "maximum" }, { baseUrl: plain.url, apiKey: null });
  await expect(refused).rejects.toThrow(ServiceUnavailableError);
});

it("shows the fingerprint that the router says it has", async () => {
  expect((await client.serverKey()).fingerprint).toBe(router.publicKey.spkiSha256);
});

it("serves many requests at once, each its own answer", async () => {
  const texts = Array.from({ length: 40 }, (_, i) => `message ${i} ${"x".repeat(i * 50)}.`);
  const answers = await Promise.all(
    texts.map((content) => client.create({ model: "m", messages: [{ role: "user", content }] })),
  );
  answers.forEach((answer, i) => expect(answer.choices[0]?.message.content).toContain(texts[i]));
});
