// HTTP alone: what Node's own client costs for the same bytes. Each request is a package that was sealed beforehand; its answer is not
// opened. With the argument `rsa` each answer is followed by a bare private operation of RSA-4096 on libuv's threads: what HTTP and RSA
// cost at the least when they share the cores, with each other and with the router. (It is a signature, since Node has no decryption
// off the JavaScript thread; the padding costs nothing beside the operation.)
import { generateKeyPairSync, createPublicKey, randomUUID, sign } from "node:crypto";
import { promisify } from "node:util";
import http from "node:http";
import { sealPieces } from "../../dist/bench/node-envelope.js";
import { serve } from "./load.mjs";

const completion = { choices: [{ message: { content: "not opened" } }] };

await serve(async (url) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const pem = encodeURIComponent(publicKey.export({ type: "spki", format: "pem" }));
  const server = createPublicKey(await (await fetch(`${url}/pki/public_key`)).text());
  const agent = new http.Agent({ keepAlive: true, scheduling: "lifo" });
  const privateOperation = promisify(sign);
  const withRsa = process.argv[3] === "rsa";
  const packages = new WeakMap();
  const packageOf = (body) => {
    if (!packages.has(body)) packages.set(body, sealPieces(server, body));
    return packages.get(body);
  };
  return {
    request: async (body) => {
      const answer = await new Promise((resolve, reject) => {
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
            if (response.statusCode === 200 && answer.includes('"encrypted_payload"')) resolve(answer);
            else reject(new Error(`The router answered ${response.statusCode}: ${answer.toString().slice(0, 200)}`));
          });
        });
        request.end(bytes);
      });
      if (withRsa) await privateOperation("sha256", answer.subarray(0, 32), privateKey);
      return completion;
    },
    memory: () => undefined,
    close: () => agent.destroy(),
  };
});
