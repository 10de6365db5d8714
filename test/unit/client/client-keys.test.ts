/** The ring of the client's keys when things go wrong: generation is a made-up one, of a ready-made key. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ClientKeys } from "../../../lib/client/client-keys.js";
import { ConfigurationError, SecurityError } from "../../../lib/errors.js";
import { PrivateKey } from "../../../lib/keys/private-key.js";
import { native } from "../../../lib/native.js";
import type { PrivateKeyHandle } from "../../../lib/native.js";
import { keyVectors } from "../../support/test-clients.js";

const logger = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn() };
const patient = <T>(promise: Promise<T>) => promise;
const ofAddon = (code: string) => Object.assign(new Error(`the addon's sentence on ${code}`), { code });
const generation = jest.spyOn(native, "generatePrivateKey");
const dispose = jest.spyOn(native, "privateKeyDispose");
let keys: ClientKeys;
/** How often this very key was wiped: Jest takes any two handles for equal. */
const wiped = (handle: PrivateKeyHandle) => dispose.mock.calls.filter(([key]) => key === handle).length;

async function readyKey(): Promise<PrivateKeyHandle> {
  const pem = native.bufferFrom(readFileSync(join(keyVectors, "client_private.pem")), "required");
  try {
    return await native.importPrivateKey(pem, null, "required");
  } finally {
    native.bufferDispose(pem);
  }
}
function ring(keyRotationInterval = 0): ClientKeys {
  return (keys = new ClientKeys(
    { keyDir: undefined, keyPassword: undefined, keyRotationInterval, locking: "required" },
    logger,
  ));
}
beforeEach(() => {
  jest.clearAllMocks();
  generation.mockReset();
  generation.mockImplementation(readyKey);
});
afterEach(() => keys.close());
afterAll(() => jest.restoreAllMocks());

test("a failure at the start is told by the next lease, which tries again", async () => {
  generation.mockRejectedValueOnce(ofAddon("CRYPTO_FAILURE"));
  ring().start();
  await expect(keys.lease(patient)).rejects.toThrow(new SecurityError("the addon's sentence on CRYPTO_FAILURE"));
  const lease = await keys.lease(patient);
  expect(lease.publicPem).toBe(readFileSync(join(keyVectors, "client_public.pem"), "utf8"));
  expect(generation).toHaveBeenCalledTimes(2);
});

test("a key that is leased when the ring closes is wiped with its last release, once", async () => {
  const [one, two] = [await ring().lease(patient), await keys.lease(patient)];
  keys.close();
  one.release();
  one.release();
  expect(dispose).not.toHaveBeenCalled();
  two.release();
  expect(wiped(two.key)).toBe(1);
});

test("a key that is made for a ring that has closed is wiped, and not used", async () => {
  const key = await readyKey();
  let finish: (key: PrivateKeyHandle) => void = () => undefined;
  generation.mockReturnValueOnce(new Promise((resolve) => (finish = resolve)));
  const lease = ring().lease(patient);
  keys.close();
  finish(key);
  await expect(lease).rejects.toBeInstanceOf(ConfigurationError);
  expect(wiped(key)).toBe(1);
  await expect(keys.lease(patient)).rejects.toThrow(/has been closed/);
  keys.start();
  expect(generation).toHaveBeenCalledTimes(1);
});

test("the next key takes over at its time; the former is wiped when its request has ended", async () => {
  const former = await ring(200).lease(patient);
  let current = former;
  while (current.key === former.key) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    current = await keys.lease(patient);
    current.release();
  }
  expect(current.key).not.toBe(former.key);
  expect(wiped(former.key)).toBe(0);
  former.release();
  expect(wiped(former.key)).toBe(1);
  expect(logger.error).not.toHaveBeenCalled();
});

test("a rotation that fails is logged with its code alone, and the present key stays", async () => {
  const former = await ring(100).lease(patient);
  former.release();
  generation.mockRejectedValue(ofAddon("OUT_OF_MEMORY"));
  while (logger.error.mock.calls.length === 0) await new Promise((r) => setTimeout(r, 20));
  expect(logger.error.mock.calls).toEqual([[expect.stringContaining("stays in use"), { code: "OUT_OF_MEMORY" }]]);
  expect((await keys.lease(patient)).key).toBe(former.key);
  expect(dispose).not.toHaveBeenCalled();
});

test("a next key that is overtaken by a key that the caller gives is wiped", async () => {
  jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
  try {
    const lease = await ring(1000).lease(patient);
    lease.release();
    jest.advanceTimersByTime(950); // the next key is begun in the last tenth
    expect(generation).toHaveBeenCalledTimes(2);
    const next = (await generation.mock.results[1]?.value) as PrivateKeyHandle;
    await new Promise((resolve) => setImmediate(resolve));
    expect(wiped(next)).toBe(0);
    keys.use({ key: new PrivateKey(await readyKey()), writtenAt: Date.now() });
    expect(wiped(next)).toBe(1);
  } finally {
    jest.useRealTimers();
  }
});
