/** A subject: opens packages, holds the values that are made of them, and lets go of them. */
const { readFileSync } = require("node:fs");
const { once } = require("node:events");
const { setTimeout: delay } = require("node:timers/promises");
const { setFlagsFromString } = require("node:v8");
const { runInNewContext } = require("node:vm");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
const { openPackage } = require("../../../dist/envelope/open.js");
const { native } = require("../../../dist/native.js");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

let held;

async function hold({ keyFile, bodyFile }) {
  const pem = native.bufferFrom(readFileSync(keyFile), "required");
  const key = await native.importPrivateKey(pem, null, "required");
  native.bufferDispose(pem);
  const opened = await openPackage(key, readFileSync(bodyFile), { locking: "required" });
  held = opened.value();
  opened.dispose();
  native.privateKeyDispose(key);
  return held.content.length;
}

async function letGo() {
  held = undefined;
  for (let i = 0; i < 5; i++) {
    await delay(10);
    collect();
  }
}

/** A worker that still holds such strings when it ends by itself, or is terminated; gives its exit code. */
async function inWorker({ terminated, ...files }) {
  const worker = new Worker(module.filename, { workerData: { terminated, ...files } });
  const exit = once(worker, "exit");
  await once(worker, "message");
  if (terminated) await worker.terminate();
  else worker.postMessage("end");
  await exit;
  return true;
}

if (isMainThread) {
  require("../../support/answer-calls.cjs")({ hold, letGo, inWorker });
} else {
  hold(workerData).then((length) => {
    parentPort.once("message", () => parentPort.close());
    parentPort.postMessage(length);
  });
}
