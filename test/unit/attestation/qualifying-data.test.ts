/**
 * Payload ids to qualifying data, and the commitment of the relay binding; OpenSSL and sha256sum give the expected
 * values.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import {
  boundPayloadId,
  isBoundPayloadId,
  keyCommitment,
  qualifyingDataOf,
} from "../../../lib/attestation/qualifying-data.js";

const keys = join(__dirname, "../../vectors/keys");
const server = readFileSync(join(keys, "client_public.pem"), "utf8");
const client = execFileSync("openssl", ["pkey", "-in", join(keys, "rsa1024_private.pem"), "-pubout"]).toString();
const uuid = "8f14e45f-ceea-467f-9b1c-1f0e3d2c4b5a";

test("the qualifying data is the first half of SHA-256", () => {
  const expected = execFileSync("sha256sum", { input: uuid }).toString().slice(0, 32);
  expect(Buffer.from(qualifyingDataOf(uuid)).toString("hex")).toBe(expected);
});

test("the commitment is SHA-256 over both keys as DER, the server's first", () => {
  const der = (pem: string): Buffer => execFileSync("openssl", ["pkey", "-pubin", "-outform", "DER"], { input: pem });
  const digest = execFileSync("openssl", ["dgst", "-sha256", "-binary"], {
    input: Buffer.concat([der(server), der(client)]),
  });
  const expected = digest.toString("base64").replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  expect(keyCommitment(server, client)).toBe(expected);
  expect(keyCommitment(client, server)).not.toBe(expected);
  expect(boundPayloadId(uuid, server, client)).toBe(`${uuid}.${expected}`);
});

test("a bound id is recognised by its form", () => {
  const id = boundPayloadId(uuid, server, client);
  expect(isBoundPayloadId(id)).toBe(true);
  for (const other of [uuid, `${uuid}.`, `${id}=`, id.slice(0, -1), `x${id}`, `${id}\n`])
    expect(isBoundPayloadId(other)).toBe(false);
});
