// This package, through the functions that the client uses.
import { createHash } from "node:crypto";
import { openPackage } from "../../dist/envelope/open.js";
import { sealJson } from "../../dist/envelope/seal.js";
import { native } from "../../dist/native.js";

const locking = "required";
const sealing = { locking, maxPlaintextBytes: 10 * 1024 * 1024 };

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
  const opened = await openPackage(key, body, { locking });
  try {
    return opened.value();
  } finally {
    opened.dispose();
  }
}

/** The whole opening of a 2-byte request: the private operation, the way to its thread and back, and a few microseconds of AES and JSON. */
export const privateOperation = (key, body) => () => open(key, body);

export async function generate() {
  native.privateKeyDispose(await native.generatePrivateKey(4096, locking));
}

export async function generated() {
  const key = await native.generatePrivateKey(4096, locking);
  return { pem: native.publicKeyInfo(native.privateKeyPublic(key)).pem, open: (body) => open(key, body) };
}

export function attestation(read) {
  const { tpm_attestation: block, payload_id: id } = read("attestation");
  const [text, policyText] = [block, { version: 1, mode: "require" }].map((value) => JSON.stringify(value));
  const nonceOf = (payloadId) => createHash("sha256").update(payloadId).digest().subarray(0, 16);
  const verify = (nonce) => native.verifyAttestation(text, nonce, policyText, null);
  return {
    holds: async (nonce) => JSON.parse(await verify(nonce)).verified,
    statement: nonceOf(id),
    forged: nonceOf("another"),
  };
}
