/** Whole requests against a server whose cryptography is Python's. */
import { python } from "../support/python-envelope.js";
import { processedAt, ReferenceServer } from "../support/reference-server.js";
import { TestClients } from "../support/test-clients.js";

const clients = new TestClients();
let server: ReferenceServer;

beforeAll(async () => {
  server = await ReferenceServer.start();
});
afterAll(async () => {
  await clients.close();
  await server.stop();
  clients.removeKeys();
});

it("Python opens the request and seals the answer", async () => {
  let request: unknown;
  server.onPost = (body, incoming, response) => {
    const privatePem = server.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const [opened] = python([{ do: "open", private: privatePem, body: body.toString("base64") }]);
    request = JSON.parse(Buffer.from(opened!, "base64").toString("utf8"));
    const answer = Buffer.from(JSON.stringify({ id: "1", choices: [{ message: { content: "ответ 👋" } }] }));
    const clientPem = decodeURIComponent(String(incoming.headers["x-public-key"]));
    const [sealed] = python([{ do: "seal", public: clientPem, plaintext: answer.toString("base64") }]);
    response.end(Buffer.from(sealed!, "base64"));
  };
  const client = clients.make({ baseUrl: server.url });
  const messages = [{ role: "user" as const, content: `Grüße 👋 ${"long ".repeat(5000)}` }];
  const answer = await client.create({ model: "m", messages });
  expect(request).toEqual({ model: "m", messages });
  expect(answer.choices[0]?.message.content).toBe("ответ 👋");
  expect(answer._metadata.processed_at).toBe(processedAt);
});
