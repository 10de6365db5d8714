/**
 * A subject: works on a task without end, and leaves by process.exit(CODE): `exits.cjs TASK MOMENT DELAY CODE URL
 * KEYS`, DELAY ms after the MOMENT, which is `start` (of the process, before anything is loaded) or `work`. On file
 * descriptor 3 it says which task it was at.
 */
const { writeSync } = require("node:fs");
const { Worker, isMainThread } = require("node:worker_threads");
const [, , task, moment, delay, code, baseUrl, keyDir] = process.argv;

const leaveLater = () => setTimeout(() => process.exit(Number(code)), Number(delay));
let doing = "loading";
if (isMainThread) {
  process.on("exit", () => writeSync(3, doing));
  if (moment === "start") leaveLater();
}

const tasks = {
  async keys({ native }) {
    for (;;) await Promise.all([1, 2, 3].map(() => native.generatePrivateKey(2048, "required")));
  },
  async requests({ SecureChatCompletion }) {
    const client = new SecureChatCompletion({ baseUrl, allowHttp: true, apiKey: null, keyDir, maxRetries: 0 });
    const body = { model: "echo", messages: [{ role: "user", content: "prompt ".repeat(20_000) }] };
    for (;;) await Promise.all([1, 2, 3, 4].map(() => client.create(body)));
  },
  async buffers({ SecureBuffer }) {
    const kept = [];
    for (let i = 0; ; i++) {
      const buffer = SecureBuffer.alloc(1 + ((i * 7919) % 100_000));
      kept.push(buffer);
      buffer.use((view) => view.fill(i));
      if (kept.length > 50) kept.splice((i * 31) % 50, 1)[0].dispose();
      if (i % 20 === 0) await new Promise(setImmediate);
    }
  },
  async workers(addon) {
    for (let i = 0; i < 2; i++)
      new Worker(module.filename, { argv: ["requests", "never", delay, code, baseUrl, keyDir] });
    await tasks.keys(addon);
  },
};

// In a turn of its own, so that the exit may fall between.
setImmediate(() => {
  const addon = { ...require("../../../dist/index.js"), ...require("../../../dist/native.js") };
  doing = task;
  if (isMainThread && moment === "work") leaveLater();
  tasks[task](addon).catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(99);
  });
});
