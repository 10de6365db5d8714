// Node's own crypto, as fast as it gets (lib/bench/node-envelope.ts), and JavaScript's own escaping (escaped-json.mjs).
import {
  createCipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  privateDecrypt,
  randomBytes,
  verify,
} from "node:crypto";
import { createHash, constants } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { openVariants, sealVariants } from "../../dist/bench/node-envelope.js";
import { chatRequest } from "../../dist/bench/payload.js";
import { sealEscaped } from "./escaped-json.mjs";
import { stall } from "./stall.mjs";

const sealers = { ...sealVariants, escaped: sealEscaped };
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
const publicKey = (folder) => createPublicKey(readFileSync(`${folder}/public.pem`));
const privateKey = (folder) => createPrivateKey(readFileSync(`${folder}/private.pem`));
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

export const kinds = {
  seal({ content, size, variant = "pieces", folder }) {
    const seal = sealers[variant];
    const key = publicKey(folder);
    const request = chatRequest(content, size);
    return {
      operation: () => seal(key, request),
      baseline: () => seal(key, {}),
      evidence: () => {
        const file = `${folder}/sealed-node-${variant}.json`;
        writeFileSync(file, seal(key, request));
        return { file };
      },
    };
  },
  open({ content, size, variant = "pieces", folder }) {
    const open = openVariants[variant];
    const key = privateKey(folder);
    const body = readFileSync(`${folder}/package-${content}-${size}.json`);
    const smallest = readFileSync(`${folder}/package-smallest.json`);
    return {
      operation: () => open(key, body),
      baseline: () => open(key, smallest),
      evidence: () => ({ sha256: sha256(JSON.stringify(open(key, body))) }),
    };
  },
  rsa({ folder }) {
    const key = privateKey(folder);
    const { encrypted_aes_key: wrapped } = JSON.parse(readFileSync(`${folder}/package-smallest.json`));
    const ciphertext = Buffer.from(wrapped, "base64");
    const operation = () => privateDecrypt({ key, ...oaep }, ciphertext);
    return { operation, evidence: () => ({ key: operation().toString("hex") }) };
  },
  keygen() {
    const generate = promisify(generateKeyPair);
    const operation = () => generate("rsa", { modulusLength: 4096, publicExponent: 65537 });
    return {
      operation,
      evidence: async () => {
        const pair = await operation();
        return {
          pem: pair.publicKey.export({ type: "spki", format: "pem" }),
          opens: sha256(
            JSON.stringify(openVariants.pieces(pair.privateKey, sealVariants.pieces(pair.publicKey, { text: "x" }))),
          ),
        };
      },
    };
  },
  aes({ size }) {
    const key = randomBytes(32);
    const nonce = randomBytes(12);
    const plain = randomBytes(size);
    const run = () => {
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const ciphertext = cipher.update(plain);
      cipher.final();
      return [ciphertext, cipher.getAuthTag()];
    };
    return {
      operation: run,
      evidence: () => ({
        key: key.toString("hex"),
        nonce: nonce.toString("hex"),
        plain: sha256(plain),
        sealed: Buffer.concat(run()).toString("base64"),
      }),
    };
  },
  base64({ size }) {
    const bytes = Buffer.alloc(size, "nomyo");
    const out = Buffer.alloc(Math.ceil(size / 3) * 4);
    const run = () => out.write(bytes.toString("base64"), 0, "latin1");
    return {
      operation: run,
      evidence: () => {
        run();
        return { sha256: sha256(out) };
      },
    };
  },
  /** The signature check alone. */
  attestation({ label, folder }) {
    const { pem, message, signature } = JSON.parse(readFileSync(`${folder}/signature-${label}.json`));
    const key = createPublicKey(pem);
    const signed = Buffer.from(message, "base64");
    const check = (bytes) => verify("sha256", bytes, key, Buffer.from(signature, "base64"));
    return {
      operation: () => check(signed),
      evidence: () => ({ valid: check(signed), forged: check(Buffer.concat([signed, Buffer.of(0)])) }),
    };
  },
  stall({ folder }) {
    const { operation, evidence } = kinds.rsa({ folder });
    return { evidence, measure: stall(async () => operation()) };
  },
};
