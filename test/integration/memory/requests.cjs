/** A subject: one client that makes requests of given sizes, in an account whose lock limit is small. */
const answerCalls = require("../../support/answer-calls.cjs");
const settledPool = require("../../support/settled-pool.cjs");
const { SecureChatCompletion, getMemoryProtectionInfo } = require("../../../dist/index.js");

let client;
const warnings = [];
const logger = { debug() {}, info() {}, warn: (message) => warnings.push(message), error() {} };

answerCalls({
  async connect({ baseUrl, secureMemory }) {
    client = new SecureChatCompletion({ baseUrl, allowHttp: true, apiKey: null, secureMemory, maxRetries: 0, logger });
    await client.ready();
  },
  /**
   * Sends a request whose JSON has `promptBytes` bytes, for an answer with `answerBytes` of content; gives the
   * content's length.
   */
  async ask({ promptBytes, answerBytes }) {
    const request = (filling) => ({
      model: "test",
      messages: [
        { role: "system", content: String(answerBytes) },
        { role: "user", content: filling },
      ],
    });
    const filling = "p".repeat(Math.max(0, promptBytes - JSON.stringify(request("")).length));
    const response = await client.createSecure(request(filling));
    try {
      return response.get("/choices/0/message/content").length;
    } finally {
      response.dispose();
    }
  },
  memory: () => getMemoryProtectionInfo(),
  settled: () => settledPool(getMemoryProtectionInfo),
  warnings: () => warnings,
  close: () => client.close(),
});
