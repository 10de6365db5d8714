/**
 * The process that is searched: a client of this package with one request. The password and the prompt go from files
 * into locked memory, the key file is read by the package itself, so whatever else the scanner finds of them the
 * package has left there.
 */
const { readFileSync } = require("node:fs");
const answerCalls = require("../support/answer-calls.cjs");
const readSecret = require("../support/read-secret.cjs");
const { SecureChatCompletion, getMemoryProtectionInfo } = require("../../dist/index.js");

let client, password, prompt, answering, response, content;

answerCalls({
  async connect({ baseUrl, keySha256, keyDir, passwordFile }) {
    password = readSecret(passwordFile);
    client = new SecureChatCompletion({
      baseUrl,
      allowHttp: true,
      apiKey: null,
      serverKey: { fingerprints: keySha256 },
      keyDir,
      keyPassword: password,
      maxRetries: 0,
    });
    await client.ready();
  },
  ask({ promptFile }) {
    prompt = readSecret(promptFile);
    answering = client.createSecure({
      model: "forensic",
      messages: [
        { role: "system", content: "Answer." },
        { role: "user", content: prompt },
      ],
    });
    answering.catch(() => {}); // reported by receive()
  },
  /** The bytes of the answer that are equal to the file's: all of them, or it throws. */
  async receive({ answerFile }) {
    response = await answering;
    content = response.content();
    const expected = readSecret(answerFile);
    const same = content.equals(expected);
    expected.dispose();
    if (!same) throw new Error("the answer is not what the model said");
    return content.length;
  },
  async close() {
    content.dispose();
    response.dispose();
    prompt.dispose();
    await client.close();
    password.dispose();
  },
  memory: () => getMemoryProtectionInfo(),
  /** On purpose: one file into the JavaScript heap. */
  leak({ file }) {
    globalThis.leaked = readFileSync(file, "utf8");
  },
});
