// This package, of whichever build: what it has in public by its public names, sealing and opening by the functions
// that its client uses.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

let openPackage, sealJson, native, verifyTpmAttestation;

/** The build in `folder`. */
export async function load(folder) {
  const built = async (file) => (await import(`${folder}/dist/${file}`)).default;
  ({ openPackage } = await built("envelope/open.js"));
  ({ sealJson } = await built("envelope/seal.js"));
  ({ native } = await built("native.js"));
  ({ verifyTpmAttestation } = await built("index.js"));
}

/** Under both names that the option has had: builds are measured beside each other. */
const locking = "required";
const opening = { locking, policy: locking };
const policy = { version: 1, mode: "require" };
const sealing = { ...opening, maxPlaintextBytes: 10 * 1024 * 1024 };

export const publicKey = (pem) => native.importPublicKey(pem, 4096);

export async function privateKey(text) {
  const pem = native.bufferFrom(Buffer.from(text), locking);
  try {
    return await native.importPrivateKey(pem, null, locking);
  } finally {
    native.bufferDispose(pem);
  }
}

export const seal = (key, request) => sealJson(key, request, sealing);

export async function open(key, body) {
  const opened = await openPackage(key, body, opening);
  try {
    return opened.value();
  } finally {
    opened.dispose();
  }
}

/** Without a value for JavaScript. */
export const openOnly = async (key, body) => (await openPackage(key, body, opening)).dispose();

/**
 * The whole opening of a 2-byte request: the private operation, the way to its thread and back, and a few microseconds
 * of AES and JSON.
 */
export const privateOperation = (key, body) => () => open(key, body);

export async function generate() {
  native.privateKeyDispose(await native.generatePrivateKey(4096, locking));
}

export async function generated() {
  const key = await native.generatePrivateKey(4096, locking);
  return { pem: native.publicKeyInfo(native.privateKeyPublic(key)).pem, open: (body) => open(key, body) };
}

export function attestation(read) {
  const { tpm_attestation: block, payload_id: payloadId } = read("attestation");
  const holds = async (id) => (await verifyTpmAttestation(block, { payloadId: id, policy })).verified;
  return { holds, statement: payloadId, forged: "another" };
}

/** A software TPM that ends with this process, open. */
async function softwareTpm(folder) {
  const socket = `${folder}/tpm`;
  const state = ["--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"];
  const channels = ["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${socket}.ctrl`];
  const child = spawn("swtpm", ["socket", ...state, ...channels], { stdio: "ignore" });
  process.on("exit", () => child.kill());
  // Its sockets' files are there before it listens.
  for (;;) {
    try {
      return await native.tpmOpen(`swtpm:path=${socket}`);
    } catch (error) {
      if (child.exitCode !== null || performance.now() > 60_000) throw error;
      await sleep(20);
    }
  }
}

/** How long a TPM takes to answer one request: a fresh AIK, the quote, the PCRs. */
export async function quoting(aik, tcti, folder) {
  const tpm = await (tcti === undefined ? softwareTpm(folder) : native.tpmOpen(tcti));
  const nonce = new Uint8Array(16);
  const quote = (qualifyingData = nonce) => native.tpmQuote(tpm, qualifyingData, { aik });
  const nonceOf = (id) => createHash("sha256").update(id).digest().subarray(0, 16);
  const holds = async (of, id) => {
    const block = await quote(nonceOf(of));
    return (await verifyTpmAttestation(block, { payloadId: id, policy })).verified;
  };
  return {
    operation: () => quote(),
    evidence: async () => ({ valid: await holds("id", "id"), forged: await holds("id", "another") }),
  };
}
