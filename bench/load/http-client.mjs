// HTTP alone: what Node's own client costs for the same bytes. Each request is a package that was sealed beforehand; its answer is not opened.
import { generateKeyPairSync, createPublicKey, randomUUID } from "node:crypto";
import http from "node:http";
import { sealPieces } from "../../dist/bench/node-envelope.js";
import { serve } from "./load.mjs";

const completion = { choices: [{ message: { content: "not opened" } }] };

await serve(async (url) => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const pem = encodeURIComponent(publicKey.export({ type: "spki", format: "pem" }));
  const server = createPublicKey(await (await fetch(`${url}/pki/public_key`)).text());
  const agent = new http.Agent({ keepAlive: true, scheduling: "lifo" });
  const packages = new WeakMap();
  const packageOf = (body) => {
    if (!packages.has(body)) packages.set(body, sealPieces(server, body));
    return packages.get(body);
  };
  return {
    request: (body) =>
      new Promise((resolve, reject) => {
        const bytes = packageOf(body);
        const request = http.request(`${url}/v1/chat/secure_completion`, {
          method: "POST",
          agent,
          headers: {
            "X-Payload-ID": randomUUID(),
            "X-Public-Key": pem,
            "Content-Type": "application/octet-stream",
            "Content-Length": String(bytes.length),
          },
        });
        request.on("error", reject);
        request.on("response", (response) => {
          const chunks = [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const answer = Buffer.concat(chunks);
            if (response.statusCode === 200 && answer.includes('"encrypted_payload"')) resolve(completion);
            else reject(new Error(`The router answered ${response.statusCode}: ${answer.toString().slice(0, 200)}`));
          });
        });
        request.end(bytes);
      }),
    memory: () => undefined,
    close: () => agent.destroy(),
  };
});
