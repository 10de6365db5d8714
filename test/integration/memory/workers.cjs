/**
 * A subject: worker threads with a client each, that finish their requests, or are terminated in the middle of work.
 */
const { once } = require("node:events");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { SecureChatCompletion } = require("../../../dist/index.js");
const { native } = require("../../../dist/native.js");
const settledPool = require("../../support/settled-pool.cjs");

/** Work that is at nothing else than reading and making JavaScript values when it is ended. */
const loops = {
  move(key, bytes) {
    const { sealJson } = require("../../../dist/envelope/seal.js");
    const options = { maxPlaintextBytes: 1e8, locking: "required" };
    const moved = sealJson(native.privateKeyPublic(key), { x: "y".repeat(bytes) }, options).buffer.transfer();
    parentPort.postMessage(moved, [moved]);
  },
  seal(key) {
    const { sealJson } = require("../../../dist/envelope/seal.js");
    const messages = Array.from({ length: 300 }, (_, i) => ({ role: "user", content: "ä€x".repeat(40 + i) }));
    const options = { maxPlaintextBytes: 1e7, locking: "required" };
    for (;;) sealJson(native.privateKeyPublic(key), { messages }, options);
  },
  async value(key) {
    const { sealJson } = require("../../../dist/envelope/seal.js");
    const { openPackage } = require("../../../dist/envelope/open.js");
    const list = Array.from({ length: 3000 }, (_, i) => ({ i, s: `ä${i}`, t: [i, "\n"] }));
    const sealed = sealJson(native.privateKeyPublic(key), { list }, { maxPlaintextBytes: 1e7, locking: "required" });
    const opened = await openPackage(key, sealed, { locking: "required" });
    for (;;) {
      opened.value();
      opened.get("/list/7");
    }
  },
  buffer() {
    for (;;) {
      const buffer = native.bufferFrom("x".repeat(5000), "required");
      native.bufferUse(buffer, (view) => view[0]);
      native.bufferToString(buffer);
      native.bufferDispose(buffer);
    }
  },
  info() {
    for (;;) native.memoryInfo();
  },
  async scan() {
    const buffer = native.bufferFrom(
      JSON.stringify({ model: "m", a: Array.from({ length: 200 }, (_, i) => i) }),
      "required",
    );
    const options = { find: ["model", "a"], blank: ["stream"], refuseFolded: true, maxDepth: 9 };
    const scan = () => native.scanObject(buffer, native.bufferLength(buffer), options, "required");
    for (;;) await Promise.all(Array.from({ length: 8 }, scan));
  },
};

if (!isMainThread) {
  runWorker(workerData);
} else {
  const answerCalls = require("../../support/answer-calls.cjs");
  answerCalls({
    runToTheEnd,
    terminateInTheMiddle,
    outlivingPackage,
    settled: () => settledPool(() => native.memoryInfo()),
  });
}

async function runWorker({ task, baseUrl, keyDir, requests, bytes }) {
  if (task in loops) {
    const key = await native.generatePrivateKey(2048, "required");
    if (task !== "move") parentPort.postMessage("begun");
    return await loops[task](key, bytes);
  }
  if (task === "keys") {
    parentPort.postMessage("begun");
    await Promise.all(Array.from({ length: requests }, () => native.generatePrivateKey(2048, "required")));
    return;
  }
  const client = new SecureChatCompletion({ baseUrl, allowHttp: true, apiKey: null, keyDir, maxRetries: 0 });
  await client.ready();
  parentPort.postMessage("begun");
  const ask = async (i) => {
    const content = `${"prompt ".repeat(2000)}${i}`;
    const response = await client.createSecure({ model: "echo", messages: [{ role: "user", content }] });
    const answer = response.content();
    const right = answer.toString().includes(content);
    answer.dispose();
    response.dispose();
    if (!right) throw new Error(`request ${i} had another's answer`);
    return 1;
  };
  const answers = await Promise.all(Array.from({ length: requests }, (_, i) => ask(i)));
  await client.close();
  parentPort.postMessage(answers.length);
}

/**
 * Starts workers that each have `requests` under way at once; gives how many answers were right, and the pool's peak.
 */
async function runToTheEnd({ workers, ...work }) {
  const results = await Promise.all(
    Array.from({ length: workers }, async () => {
      const worker = new Worker(module.filename, { workerData: { task: "requests", ...work } });
      let answers = 0;
      worker.on("message", (message) => (answers = message));
      const [code] = await once(worker, "exit");
      if (code !== 0) throw new Error(`a worker ended with ${code}`);
      return answers;
    }),
  );
  return results.reduce((sum, count) => sum + count, 0);
}

/**
 * Gives whether a package that a worker moved to this thread is as it was, once the worker is gone and others were
 * sealed.
 */
async function outlivingPackage({ bytes }) {
  const { sealJson } = require("../../../dist/envelope/seal.js");
  const key = await native.generatePrivateKey(2048, "required");
  const seal = () =>
    sealJson(native.privateKeyPublic(key), { x: "y".repeat(bytes) }, { maxPlaintextBytes: 1e8, locking: "required" });
  const worker = new Worker(module.filename, { workerData: { task: "move", bytes } });
  const ended = once(worker, "exit");
  const [moved] = await once(worker, "message");
  const before = Buffer.from(moved);
  await ended;
  const others = Array.from({ length: 4 }, seal);
  return Buffer.from(moved).equals(before) && others.every((each) => each.buffer !== moved);
}

/** Starts one worker after another, each terminated `delays[i]` ms after it has begun its work. */
async function terminateInTheMiddle({ delays, ...work }) {
  for (const delay of delays) {
    const worker = new Worker(module.filename, { workerData: work });
    const ended = once(worker, "exit");
    await once(worker, "message");
    await new Promise((resolve) => setTimeout(resolve, delay));
    await worker.terminate();
    await ended;
  }
}
