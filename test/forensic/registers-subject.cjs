/**
 * One thread for each function through which a secret's bytes pass: it calls it once, and then turns in a loop of JavaScript, which leaves
 * the vector registers as they are. Says "ready" when all of them do. Its argument has their secrets, 1024 characters each.
 */
const { Worker, isMainThread, workerData } = require("node:worker_threads");

const cases = ["from", "equals", "toString", "toString throws", "from throws"];

if (isMainThread) {
  const secrets = Buffer.from(process.argv[2], "latin1");
  const done = new Int32Array(new SharedArrayBuffer(4 * cases.length));
  cases.forEach((name, i) => {
    const secret = secrets.subarray(1024 * i, 1024 * (i + 1));
    new Worker(__filename, { workerData: { name, index: i, secret: Uint8Array.from(secret), done } });
  });
  const look = () => {
    if (done.every((each) => each === 1)) console.log("ready");
    else if (done.some((each) => each < 0)) console.log(`failed: ${done.join()}`);
    else setTimeout(look, 10);
  };
  look();
} else {
  const { SecureBuffer } = require("../../dist/index.js");
  const { name, index, done } = workerData;
  const secret = Buffer.from(workerData.secret);
  // The 0xff, and the half of a surrogate pair, come last: by then the rest has been through the registers.
  const noUtf8 = SecureBuffer.from(Buffer.concat([secret, Buffer.of(0xff)]));
  const half = `${secret.toString("latin1")}\ud800`;
  const buffer = SecureBuffer.from(secret);
  const same = Uint8Array.from(secret);
  let outcome = false;
  let kept;
  switch (name) {
    case "from":
      kept = SecureBuffer.from(secret);
      outcome = true;
      break;
    case "equals":
      outcome = buffer.equals(same);
      break;
    case "toString":
      kept = buffer.toString();
      outcome = true;
      break;
    case "toString throws":
      try {
        noUtf8.toString();
      } catch {
        outcome = true;
      }
      break;
    case "from throws":
      try {
        SecureBuffer.from(half);
      } catch {
        outcome = true;
      }
  }
  done[index] = outcome ? 1 : -1;
  for (;;) if (kept === null) break;
}
