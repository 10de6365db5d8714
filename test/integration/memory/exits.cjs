/** A subject: works on the given task without end, and leaves by process.exit(CODE) after DELAY ms: `exits.cjs TASK DELAY CODE URL`. */
const { Worker, isMainThread } = require("node:worker_threads");
const [, , task, delay, code, baseUrl] = process.argv;

if (isMainThread) {
  // Before anything is loaded, so that the exit may fall into that too.
  setTimeout(() => process.exit(Number(code)), Number(delay));
}
const { SecureBuffer, SecureChatCompletion } = require("../../../dist/index.js");
const { native } = require("../../../dist/native.js");

const tasks = {
  async keys() {
    for (;;) await Promise.all([1, 2, 3].map(() => native.generatePrivateKey(2048, "required")));
  },
  async requests() {
    const client = new SecureChatCompletion({ baseUrl, allowHttp: true, apiKey: null, maxRetries: 0 });
    const body = { model: "echo", messages: [{ role: "user", content: "prompt ".repeat(20_000) }] };
    for (;;) await Promise.all([1, 2, 3, 4].map(() => client.create(body)));
  },
  async buffers() {
    const kept = [];
    for (let i = 0; ; i++) {
      const buffer = SecureBuffer.alloc(1 + ((i * 7919) % 100_000));
      kept.push(buffer);
      buffer.use((view) => view.fill(i));
      if (kept.length > 50) kept.splice((i * 31) % 50, 1)[0].dispose();
      if (i % 20 === 0) await new Promise(setImmediate);
    }
  },
  async workers() {
    for (let i = 0; i < 2; i++) new Worker(module.filename, { argv: ["requests", delay, code, baseUrl] });
    await tasks.keys();
  },
};
tasks[task]().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(99);
});
