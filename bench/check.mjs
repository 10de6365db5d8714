// Before a contender is timed, what it made is checked by another one: what it sealed is opened by Node's crypto (and
// what Node sealed by the addon), what it opened is compared with the request.
import { createDecipheriv, createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { openPieces, packageText } from "../dist/bench/node-envelope.js";
import { chatRequest } from "../dist/bench/payload.js";
import { root } from "./processes.mjs";

export class WrongResult extends Error {}

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** nomyo-js's packages have the tag at the end of the ciphertext. */
function withOwnTag(body) {
  const { encrypted_payload: payload, encrypted_aes_key: wrapped } = JSON.parse(body);
  if (payload.tag !== undefined) return body;
  const glued = Buffer.from(payload.ciphertext, "base64");
  const [ciphertext, tag] = [glued.subarray(0, -16), glued.subarray(-16)].map((bytes) => bytes.toString("base64"));
  return Buffer.from(packageText(ciphertext, payload.nonce, tag, wrapped));
}

/** Opens a ciphertext with its tag at the end; throws when the tag does not hold. */
function openGcm(keyHex, nonce, sealed) {
  const gcm = createDecipheriv("aes-256-gcm", Buffer.from(keyHex, "hex"), nonce, { authTagLength: 16 });
  gcm.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([gcm.update(sealed.subarray(0, -16)), gcm.final()]);
}

function rsa(_item, contender, evidence, folder) {
  if (contender.startsWith("native")) return isDeepStrictEqual(evidence.value, {});
  // Its tag shows that the unwrapped key is the right one.
  const { ciphertext, nonce, tag } = JSON.parse(readFileSync(`${folder}/package-smallest.json`)).encrypted_payload;
  const sealed = Buffer.concat([Buffer.from(ciphertext, "base64"), Buffer.from(tag, "base64")]);
  return openGcm(evidence.key, Buffer.from(nonce, "base64"), sealed).equals(Buffer.from("{}"));
}

const checks = {
  rsa,
  async seal({ content, size }, contender, { file }, folder) {
    const body = withOwnTag(readFileSync(file));
    const pem = readFileSync(`${folder}/private.pem`, "utf8");
    // The addon is strict about the form of a package, too.
    const { load, privateKey, open } = await import("./contenders/native.mjs");
    await load(root);
    const opened = contender.startsWith("node") ? await open(await privateKey(pem), body) : openPieces(pem, body);
    return isDeepStrictEqual(opened, chatRequest(content, size));
  },
  open: ({ content, size }, _contender, evidence) =>
    evidence.sha256 === sha256(JSON.stringify(chatRequest(content, size))),
  keygen(_item, _contender, { pem, opens }) {
    const { modulusLength, publicExponent } = createPublicKey(pem).asymmetricKeyDetails;
    return modulusLength === 4096 && publicExponent === 65537n && opens === sha256(JSON.stringify({ text: "x" }));
  },
  aes: (_item, _contender, { key, nonce, plain, sealed }) =>
    sha256(openGcm(key, Buffer.from(nonce, "hex"), Buffer.from(sealed, "base64"))) === plain,
  base64: ({ size }, _contender, evidence) =>
    evidence.sha256 === sha256(Buffer.alloc(size, "nomyo").toString("base64")),
  attestation: (_item, _contender, { valid, forged }) => valid === true && forged === false,
  hold: (item, contender, evidence, folder) =>
    contender === "copy" ? evidence.right === true : checks.seal(item, contender, evidence, folder),
  memory: (...given) => checks.open(...given),
  quote: (...given) => checks.attestation(...given),
  stall: rsa,
};

/** Throws {@link WrongResult} unless the evidence holds. */
export async function check(item, contender, evidence, folder) {
  let right = false;
  let why = "";
  try {
    right = await checks[item.kind](item, contender, evidence, folder);
  } catch (error) {
    why = ` (${error.message})`;
  }
  if (!right) throw new WrongResult(`${item.name}: ${contender} gave a wrong result${why}.`);
}
