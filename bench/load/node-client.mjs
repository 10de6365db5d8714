// The same by Node alone: `fetch`, and the fastest envelope of lib/bench/node-envelope.ts, whose private operation runs on the
// JavaScript thread, as Node has no other.
import { createPublicKey, generateKeyPairSync, randomUUID } from "node:crypto";
import { openPieces, sealPieces } from "../../dist/bench/node-envelope.js";
import { serve } from "./load.mjs";

await serve(async (url) => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 });
  const pem = encodeURIComponent(publicKey.export({ type: "spki", format: "pem" }));
  const server = createPublicKey(await (await fetch(`${url}/pki/public_key`)).text());
  return {
    async request(body) {
      const response = await fetch(`${url}/v1/chat/secure_completion`, {
        method: "POST",
        headers: { "X-Payload-ID": randomUUID(), "X-Public-Key": pem, "Content-Type": "application/octet-stream" },
        body: sealPieces(server, body),
      });
      if (!response.ok) throw new Error(`The router answered ${response.status}: ${await response.text()}`);
      return openPieces(privateKey, Buffer.from(await response.arrayBuffer()));
    },
    memory: () => undefined,
    close: () => undefined,
  };
});
