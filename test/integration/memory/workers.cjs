/** A subject: worker threads with a client each, that finish their requests, or are terminated in the middle of work. */
const { once } = require("node:events");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { SecureChatCompletion } = require("../../../dist/index.js");
const { native } = require("../../../dist/native.js");
const settledPool = require("../../support/settled-pool.cjs");

if (!isMainThread) {
  runWorker(workerData);
} else {
  const answerCalls = require("../../support/answer-calls.cjs");
  answerCalls({ runToTheEnd, terminateInTheMiddle, settled: () => settledPool(() => native.memoryInfo()) });
}

async function runWorker({ task, baseUrl, keyDir, requests }) {
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

/** Starts workers that each have `requests` under way at once; gives how many answers were right, and the pool's peak. */
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
