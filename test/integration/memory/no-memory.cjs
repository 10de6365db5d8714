/**
 * A subject: calls the addon's asynchronous functions, and lets each allocation that the addon makes on the JavaScript
 * thread meanwhile fail, one call after the other: `no-memory.cjs ORDERS`, with test/support/failing-malloc.c before
 * it. Prints what came of it as JSON.
 */
const { openSync, readFileSync, readSync, writeSync } = require("node:fs");
const { join } = require("node:path");
const { native } = require("../../../dist/native.js");
const settledPool = require("../../support/settled-pool.cjs");

/** `struct orders` of failing-malloc.c. */
const file = openSync(process.argv[2], "r+");
const at = { begin: 0, end: 8, before: 16, failed: 24, alive: 32 };
const order = (name, value) => writeSync(file, new BigUint64Array([BigInt.asUintN(64, BigInt(value))]), 0, 8, at[name]);
const told = (name) => {
  const value = new BigInt64Array(1);
  readSync(file, value, 0, 8, at[name]);
  return Number(value[0]);
};

const pages = [...readFileSync("/proc/self/maps", "utf8").matchAll(/^(\w+)-(\w+) r-xp .*nomyo_native.*$/gm)];
if (pages.length !== 1) throw new Error(`the addon's code lies in ${pages.length} places`);

const vectors = join(__dirname, "..", "..", "vectors");
const pem = readFileSync(join(vectors, "keys", "client_private.pem"));
const block = JSON.parse(readFileSync(join(vectors, "attestation", "rsa2048-rsassa-sha256.json"), "utf8"));
const policy = JSON.stringify({ version: 1, mode: "require" });
const limits = { maxPlaintextBytes: 1e6, maxDepth: 64 };

/** A key, and what the functions are called with. */
async function given() {
  const text = native.bufferFrom(pem, "required");
  const key = await native.importPrivateKey(text, null, "required");
  const publicKey = native.privateKeyPublic(key);
  const sealing = { maxPlaintextBytes: 1e6, padding: "none", locking: "required" };
  const sealed = native.sealBytes(publicKey, Buffer.from('{"text":"x"}'), sealing);
  const request = '{"model":"m","messages":[{"role":"user","content":"one two"}]}';
  const asked = native.bufferFrom(request, "required");
  const echoing = { created: 1, maxBytes: 1e6, maxDepth: 64, room: 0 };
  const answered = native.bufferFrom(
    '{"id":"a","model":"m","created":1,"choices":[' +
      '{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}',
    "required",
  );
  const events = { metadata: "{}", includeUsage: false, maxDepth: 64, maxBytes: 1e6 };
  const scan = { find: ["model"], blank: [], refuseFolded: true, maxDepth: 64 };
  return { text, key, sealed, request, asked, echoing, answered, events, scan };
}

/** Each call gives what shows that the result is right, and gives back what it has got. */
const callsOf = ({ text, key, sealed, request, asked, echoing, answered, events, scan }) => ({
  async open() {
    const opened = await native.open(key, sealed, limits, "required");
    const length = native.openedByteLength(opened);
    native.openedDispose(opened);
    return length === 12;
  },
  async importPrivateKey() {
    native.privateKeyDispose(await native.importPrivateKey(text, null, "required"));
    return true;
  },
  async exportPrivateKey() {
    native.bufferDispose(await native.exportPrivateKey(key, null, "required"));
    return true;
  },
  async cancelled() {
    const token = native.createCancelToken();
    native.cancel(token);
    const code = await native.open(key, sealed, limits, "required", token).then(
      () => "none",
      (error) => error.code,
    );
    if (code !== "CANCELLED") throw Object.assign(new Error("not cancelled"), { code });
    return true;
  },
  async echo() {
    const { buffer, length } = await native.echo(asked, request.length, echoing, "required");
    native.bufferDispose(buffer);
    return length > 0;
  },
  async composeChatEvents() {
    native.bufferDispose(await native.composeChatEvents(answered, events, "required"));
    return true;
  },
  scanObject: async () => (await native.scanObject(asked, request.length, scan, "required")).found.length === 1,
  verifyAttestation: async () =>
    (await native.verifyAttestation(JSON.stringify(block.tpm_attestation), Buffer.alloc(16), policy, null)).verified ===
    false,
  /** The other kind of job: a TPM's. None is there. */
  async tpmOpen() {
    const code = await native.tpmOpen("swtpm:path=/nonexistent/socket").then(
      () => "none",
      (error) => error.code,
    );
    if (code !== "TPM_ERROR" && code !== "TSS_MISSING") throw Object.assign(new Error("opened"), { code });
    return true;
  },
});

const outcome = async (call) => {
  try {
    return (await call()) ? "right" : "wrong";
  } catch (error) {
    return error.code ?? error.message;
  }
};

/** Until a call makes fewer allocations than are to succeed before the one that fails. */
async function sweep(call) {
  const outcomes = {};
  for (let before = 0; ; before++) {
    order("failed", 0);
    order("before", before);
    const came = await outcome(call);
    order("before", -1);
    if (told("failed") === 0) return { ...outcomes, unhindered: came };
    outcomes[came] = (outcomes[came] ?? 0) + 1;
  }
}

/** What stays, when it has been the same for ten looks: a TPM's threads end when they end. */
async function left() {
  const looks = [];
  for (;;) {
    const { bytesInUse, allocations } = await settledPool(native.memoryInfo, { collect: global.gc });
    looks.push(JSON.stringify({ bytesInUse, allocations, alive: told("alive") }));
    if (looks.length >= 10 && new Set(looks.slice(-10)).size === 1) return JSON.parse(looks.at(-1));
  }
}

async function main() {
  order("begin", `0x${pages[0][1]}`);
  order("end", `0x${pages[0][2]}`);
  const outcomes = {};
  /**
   * Sweeps over all calls, with `between` them, and gives back what they were given: a key in use keeps blindings, as
   * many and as long as chance has it.
   */
  const twice = async (between = () => {}) => {
    const made = await given();
    const calls = callsOf(made);
    const all = async () => {
      for (const [name, call] of Object.entries(calls)) outcomes[name] = await sweep(call);
    };
    await all();
    await between(calls);
    await all();
    native.privateKeyDispose(made.key);
    for (const buffer of [made.text, made.asked, made.answered]) native.bufferDispose(buffer);
  };
  // What is made once, and kept: each thread's own random generators, its list of errors.
  await twice(async (calls) => {
    for (let round = 0; round < 20; round++) {
      const atOnce = Array.from({ length: 8 }, () => Object.values(calls).map((call) => call()));
      await Promise.all(atOnce.flat());
    }
  });
  const first = await left();
  await twice();
  console.log(JSON.stringify({ outcomes, first, last: await left() }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
