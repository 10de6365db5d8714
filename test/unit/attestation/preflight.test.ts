/** The preflight's verdict: shared, aged, bound to the server's key; failures are the asker's alone. */
import { Preflight } from "../../../lib/attestation/preflight.js";

let now = 0;
const patient = <T>(promise: Promise<T>): Promise<T> => promise;
const good = (): Promise<void> => Promise.resolve();

beforeEach(() => {
  now = 0;
});

/** As the client uses it: until there is a verdict that holds. */
async function ensure(preflight: Preflight, key: string, ask: () => Promise<unknown>): Promise<void> {
  while (!preflight.covers(key)) await preflight.ask(key, ask, patient);
}

test("asks once for calls at the same time, and for later ones", async () => {
  const preflight = new Preflight(undefined, () => now);
  const ask = jest.fn(good);
  await Promise.all([1, 2, 3].map(() => ensure(preflight, "key", ask)));
  now = 1e12;
  await ensure(preflight, "key", ask);
  expect(ask).toHaveBeenCalledTimes(1);
});

test("covers a key until the verdict is as old as allowed, counted from the asking", async () => {
  const preflight = new Preflight(1000, () => now);
  await preflight.ask(
    "key",
    () => {
      now += 400;
      return Promise.resolve();
    },
    patient,
  );
  now = 999;
  expect(preflight.covers("key")).toBe(true);
  now = 1000;
  expect(preflight.covers("key")).toBe(false);
});

test("does not cover a key whose verdict was too old when it came", async () => {
  const preflight = new Preflight(1000, () => now);
  const late = (): Promise<void> => {
    now += 1000;
    return Promise.resolve();
  };
  expect(await preflight.ask("key", late, patient)).toBe(true);
  expect(preflight.covers("key")).toBe(false);
});

test("covers no other key of the server, and not the former one once a new one was attested", async () => {
  const preflight = new Preflight(undefined, () => now);
  await preflight.ask("key", good, patient);
  expect(preflight.covers("new key")).toBe(false);
  await preflight.ask("new key", good, patient);
  expect(preflight.covers("new key")).toBe(true);
  expect(preflight.covers("key")).toBe(false);
});

test("gives a failure to who asked; who waited asks for himself", async () => {
  const preflight = new Preflight(undefined, () => now);
  const first = ensure(preflight, "key", () => Promise.reject(new Error("his API key")));
  const ask = jest.fn(good);
  const second = ensure(preflight, "key", ask);
  await expect(first).rejects.toThrow("his API key");
  await second;
  expect(ask).toHaveBeenCalledTimes(1);
});

test("waits for another's asking with the caller's own patience", async () => {
  const preflight = new Preflight(undefined, () => now);
  void preflight.ask("key", () => new Promise(() => undefined), patient);
  const impatient = preflight.ask("key", good, () => Promise.reject(new Error("my deadline")));
  await expect(impatient).rejects.toThrow("my deadline");
});

test("a failure for an old key does not forget the new key's verdict", async () => {
  const preflight = new Preflight(undefined, () => now);
  let fail = (_: Error): void => undefined;
  const old = preflight.ask("old", () => new Promise((_, reject) => (fail = reject)), patient);
  await preflight.ask("new", good, patient);
  fail(new Error("too late"));
  await expect(old).rejects.toThrow("too late");
  expect(preflight.covers("new")).toBe(true);
});
