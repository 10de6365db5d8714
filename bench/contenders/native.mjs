// This package, through the functions that the client uses.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { chatRequest } from "../../dist/bench/payload.js";
import { openPackage } from "../../dist/envelope/open.js";
import { sealJson } from "../../dist/envelope/seal.js";
import { native } from "../../dist/native.js";
import { stall } from "./stall.mjs";

const policy = "required";
const sealing = { policy, maxPlaintextBytes: 10 * 1024 * 1024 };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const publicKey = (folder) => native.importPublicKey(readFileSync(`${folder}/public.pem`, "utf8"), 4096);

async function privateKey(folder) {
  const pem = native.bufferFrom(readFileSync(`${folder}/private.pem`), policy);
  try {
    return await native.importPrivateKey(pem, null, policy);
  } finally {
    native.bufferDispose(pem);
  }
}

async function open(key, body) {
  const opened = await openPackage(key, body, { policy });
  try {
    return opened.value();
  } finally {
    opened.dispose();
  }
}

export const kinds = {
  seal({ content, size, folder }) {
    const key = publicKey(folder);
    const request = chatRequest(content, size);
    return {
      operation: () => sealJson(key, request, sealing),
      baseline: () => sealJson(key, {}, sealing),
      evidence: () => {
        const file = `${folder}/sealed-native.json`;
        writeFileSync(file, sealJson(key, request, sealing));
        return { file };
      },
    };
  },
  async open({ content, size, folder }) {
    const key = await privateKey(folder);
    const body = readFileSync(`${folder}/package-${content}-${size}.json`);
    const smallest = readFileSync(`${folder}/package-smallest.json`);
    return {
      operation: () => open(key, body),
      baseline: () => open(key, smallest),
      evidence: async () => ({ sha256: sha256(JSON.stringify(await open(key, body))) }),
    };
  },
  /** The whole opening of a 2-byte request: the private operation, the way to its thread and back, and a few microseconds of AES and JSON. */
  async rsa({ folder }) {
    const key = await privateKey(folder);
    const body = readFileSync(`${folder}/package-smallest.json`);
    return {
      operation: () => open(key, body),
      evidence: async () => ({ value: await open(key, body) }),
    };
  },
  keygen() {
    const operation = () => native.generatePrivateKey(4096, policy);
    const dispose = async () => native.privateKeyDispose(await operation());
    return {
      operation: dispose,
      evidence: async () => {
        const key = await operation();
        const recipient = native.privateKeyPublic(key);
        const opened = await open(key, sealJson(recipient, { text: "x" }, sealing));
        native.privateKeyDispose(key);
        return { pem: native.publicKeyInfo(recipient).pem, opens: sha256(JSON.stringify(opened)) };
      },
    };
  },
  attestation({ label, folder }) {
    const { tpm_attestation: block, payload_id: id } = JSON.parse(readFileSync(`${folder}/attestation-${label}.json`));
    const nonce = createHash("sha256").update(id).digest().subarray(0, 16);
    const policyText = JSON.stringify({ version: 1, mode: "require" });
    const verify = async (text, qualifyingData) =>
      JSON.parse(await native.verifyAttestation(text, qualifyingData, policyText, null));
    const text = JSON.stringify(block);
    return {
      operation: () => verify(text, nonce),
      evidence: async () => ({
        valid: (await verify(text, nonce)).verified,
        forged: (await verify(text, createHash("sha256").update("another").digest().subarray(0, 16))).verified,
      }),
    };
  },
  async stall({ folder }) {
    const { operation, evidence } = await kinds.rsa({ folder });
    return { evidence, measure: stall(operation) };
  },
};
