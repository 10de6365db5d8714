// Before a contender is timed, what it made is checked by another one: what it sealed is opened by Node's crypto (and what Node sealed by
// the addon), what it opened is compared with the request.
import { createDecipheriv, createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { openParsed } from "../dist/bench/node-envelope.js";
import { chatRequest } from "../dist/bench/payload.js";

export class WrongResult extends Error {}

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/** Opens with the addon, which is strict about the form of a package too. */
async function openWithAddon(folder, body) {
  const { native } = await import("../dist/native.js");
  const { openPackage } = await import("../dist/envelope/open.js");
  const pem = native.bufferFrom(readFileSync(`${folder}/private.pem`), "required");
  const key = await native.importPrivateKey(pem, null, "required");
  native.bufferDispose(pem);
  const opened = await openPackage(key, body, { policy: "required" });
  const value = opened.value();
  opened.dispose();
  native.privateKeyDispose(key);
  return value;
}

/** nomyo-js's packages have the tag at the end of the ciphertext. */
function withOwnTag(body) {
  const parsed = JSON.parse(body);
  if (parsed.encrypted_payload.tag !== undefined) return body;
  const glued = Buffer.from(parsed.encrypted_payload.ciphertext, "base64");
  Object.assign(parsed.encrypted_payload, {
    ciphertext: glued.subarray(0, -16).toString("base64"),
    tag: glued.subarray(-16).toString("base64"),
  });
  return Buffer.from(JSON.stringify(parsed));
}

/** Opens a ciphertext with its tag at the end; throws when the tag does not hold. */
function openGcm(keyHex, nonce, sealed) {
  const gcm = createDecipheriv("aes-256-gcm", Buffer.from(keyHex, "hex"), nonce, { authTagLength: 16 });
  gcm.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([gcm.update(sealed.subarray(0, -16)), gcm.final()]);
}

const checks = {
  async seal({ content, size }, contender, { file }, folder) {
    const body = withOwnTag(readFileSync(file));
    const opened = contender.startsWith("node")
      ? await openWithAddon(folder, body)
      : openParsed(createPrivateKey(readFileSync(`${folder}/private.pem`)), body);
    return isDeepStrictEqual(opened, chatRequest(content, size));
  },
  open: ({ content, size }, _contender, evidence) =>
    evidence.sha256 === sha256(JSON.stringify(chatRequest(content, size))),
  rsa(_item, contender, evidence, folder) {
    if (contender === "native") return isDeepStrictEqual(evidence.value, {});
    // Its tag shows that the unwrapped key is the right one.
    const { ciphertext, nonce, tag } = JSON.parse(readFileSync(`${folder}/package-smallest.json`)).encrypted_payload;
    const sealed = Buffer.concat([Buffer.from(ciphertext, "base64"), Buffer.from(tag, "base64")]);
    return openGcm(evidence.key, Buffer.from(nonce, "base64"), sealed).equals(Buffer.from("{}"));
  },
  keygen(_item, _contender, { pem, opens }) {
    const { modulusLength, publicExponent } = createPublicKey(pem).asymmetricKeyDetails;
    return modulusLength === 4096 && publicExponent === 65537n && opens === sha256(JSON.stringify({ text: "x" }));
  },
  aes: (_item, _contender, { key, nonce, plain, sealed }) =>
    sha256(openGcm(key, Buffer.from(nonce, "hex"), Buffer.from(sealed, "base64"))) === plain,
  base64: ({ size }, _contender, evidence) =>
    evidence.sha256 === sha256(Buffer.alloc(size, "nomyo").toString("base64")),
  attestation: (_item, _contender, { valid, forged }) => valid === true && forged === false,
};
checks.stall = (item, contender, evidence, folder) =>
  contender === "idle" || checks.rsa(item, contender, evidence, folder);

/** Throws {@link WrongResult} unless the evidence holds. */
export async function check(item, contender, evidence, folder) {
  let right = false;
  let cause;
  try {
    right = await checks[item.kind](item, contender, evidence, folder);
  } catch (error) {
    cause = error;
  }
  if (!right)
    throw new WrongResult(`${item.name}: ${contender} gave a wrong result${cause ? ` (${cause.message})` : ""}.`);
}
