/**
 * The control: the same request, with the envelope done by Node's own crypto, as careful code without locked memory
 * would do it. Its secrets are found all over the process; a search that finds none here is broken.
 */
const crypto = require("node:crypto");
const { readFileSync } = require("node:fs");
const { packageText, unwrapKey, wrapKey } = require("../../dist/bench/node-envelope.js");
const answerCalls = require("../support/answer-calls.cjs");

let server, serverKey, privateKey, answering;

answerCalls({
  async connect({ baseUrl, keyDir, passwordFile }) {
    server = baseUrl;
    serverKey = await (await fetch(`${baseUrl}/pki/public_key`)).text();
    globalThis.password = readFileSync(passwordFile, "utf8");
    privateKey = crypto.createPrivateKey({
      key: readFileSync(`${keyDir}/private_key.pem`),
      passphrase: globalThis.password,
    });
  },
  ask({ promptFile }) {
    const messages = [{ role: "user", content: readFileSync(promptFile, "utf8") }];
    const plaintext = Buffer.from(JSON.stringify({ model: "forensic", messages }));
    const key = crypto.randomBytes(32);
    const nonce = crypto.randomBytes(12);
    const cipher = crypto.createCipheriv("aes-256-gcm", key, nonce);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const parts = [ciphertext, nonce, cipher.getAuthTag()].map((bytes) => bytes.toString("base64"));
    const publicKey = crypto.createPublicKey(privateKey).export({ type: "spki", format: "pem" });
    answering = fetch(`${server}/v1/chat/secure_completion`, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        "x-payload-id": crypto.randomUUID(),
        "x-public-key": encodeURIComponent(publicKey),
      },
      body: packageText(...parts, wrapKey(serverKey, key)),
    });
    // What a client has that is about to send its request again. A cipher forgets its key schedule only when it is
    // finished.
    const again = crypto.createCipheriv("aes-256-gcm", key, nonce);
    again.update(plaintext.subarray(0, 1000));
    globalThis.request = { messages, plaintext, key, again };
  },
  async receive() {
    const sealed = await (await answering).json();
    const field = (name) => Buffer.from(sealed.encrypted_payload[name], "base64");
    const key = unwrapKey(privateKey, sealed.encrypted_aes_key);
    const decipher = crypto.createDecipheriv("aes-256-gcm", key, field("nonce"), { authTagLength: 16 });
    decipher.setAuthTag(field("tag"));
    const plaintext = decipher.update(field("ciphertext"));
    const { content } = JSON.parse(plaintext.toString("utf8")).choices[0].message;
    globalThis.answer = { plaintext, key, decipher, content };
    return Buffer.byteLength(content);
  },
  leak({ file }) {
    globalThis.leaked = readFileSync(file, "utf8");
  },
});
