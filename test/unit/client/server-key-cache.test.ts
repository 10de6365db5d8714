/** What happens to the AES key that lies ready for a server when the server's key goes out of use. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ServerKeyCache } from "../../../lib/client/server-key.js";
import { native } from "../../../lib/native.js";
import { keyVectors } from "../../support/test-clients.js";

const logger = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn() };
const pem = readFileSync(join(keyVectors, "client_public.pem"), "utf8");
const dropped = jest.spyOn(native, "publicKeyDropAhead");
const patient = <T>(promise: Promise<T>) => promise;

function cache(cacheTtl = 60_000): ServerKeyCache {
  const trust = { fingerprints: [], cacheTtl, minBits: 2048, knownServers: undefined };
  return new ServerKeyCache("https://server.example", trust, () => Promise.resolve({ pem }), logger);
}
beforeEach(() => jest.clearAllMocks());
afterAll(() => jest.restoreAllMocks());

// That dropping wipes the AES key, native/test/envelope/key_wrapper_test.cc shows: the pool's numbers here are of the
// whole process.
test("closing has it wiped, once", async () => {
  const keys = cache();
  const { key } = await keys.get(patient);
  keys.close();
  keys.close();
  expect(dropped.mock.calls.map(([handle]) => handle === key.handle)).toEqual([true]);
});

test("a key that is given up, or replaced by a newer one, has it wiped; the key itself works on", async () => {
  const keys = cache(0);
  const first = (await keys.get(patient)).key;
  const second = (await keys.get(patient)).key;
  expect(dropped.mock.calls.map(([handle]) => handle === first.handle)).toEqual([true]);
  keys.invalidate(first); // another one by now
  expect(dropped).toHaveBeenCalledTimes(1);
  keys.invalidate(second);
  expect(dropped.mock.calls[1]?.[0] === second.handle).toBe(true);
  const seal = () =>
    native.sealBytes(second.handle, Buffer.from("{}"), { maxPlaintextBytes: 100, locking: "required" });
  for (let i = 0; i < 3; i++) expect(JSON.parse(Buffer.from(seal()).toString())).toHaveProperty("encrypted_aes_key");
});

test("a handle of another kind is a TypeError", () => {
  expect(() => native.publicKeyDropAhead({} as never)).toThrow("expected a public key");
});
