import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { checkPayloadBinding } from "../../../lib/router/payload-binding.js";
import { Refusal } from "../../../lib/http/refusal.js";

const makePem = () =>
  generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" }) as string;
const server = makePem();
const client = makePem();
const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";

/** What the specification says, by the OpenSSL command: base64url(SHA-256(server SPKI || client SPKI)). */
function commitmentByOpenssl(serverPem: string, clientPem: string): string {
  const der = (pem: string) => execFileSync("openssl", ["pkey", "-pubin", "-outform", "DER"], { input: pem });
  const digest = execFileSync("openssl", ["dgst", "-sha256", "-binary"], {
    input: Buffer.concat([der(serverPem), der(clientPem)]),
  });
  return digest.toString("base64url");
}

describe("checkPayloadBinding", () => {
  test("accepts the commitment to both keys", () => {
    const id = `${uuid}.${commitmentByOpenssl(server, client)}`;
    expect(checkPayloadBinding(id, server, client)).toBe("verified");
  });

  test("an id without a commitment has none", () => {
    expect(checkPayloadBinding(uuid, server, client)).toBe("none");
    expect(checkPayloadBinding("request-17.of.today", server, client)).toBe("none");
  });

  test.each([
    ["to another server's key", () => commitmentByOpenssl(makePem(), client)],
    ["to another client's key", () => commitmentByOpenssl(server, makePem())],
    ["to the keys in the other order", () => commitmentByOpenssl(client, server)],
    ["cut short", () => commitmentByOpenssl(server, client).slice(0, -1)],
    ["with something after it", () => `${commitmentByOpenssl(server, client)}A`],
    ["with padding", () => `${commitmentByOpenssl(server, client)}=`],
    ["that is empty", () => ""],
  ])("refuses a commitment %s", (_what, commitment) => {
    expect(() => checkPayloadBinding(`${uuid}.${commitment()}`, server, client)).toThrow(Refusal);
  });

  test("refuses a commitment whose spare bits are set, though it decodes to the same hash", () => {
    const commitment = commitmentByOpenssl(server, client);
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = commitment.slice(0, -1) + alphabet[alphabet.indexOf(commitment.at(-1)!) + 1]!;
    expect(Buffer.from(twin, "base64url")).toEqual(Buffer.from(commitment, "base64url"));
    expect(() => checkPayloadBinding(`${uuid}.${twin}`, server, client)).toThrow(Refusal);
  });
});
