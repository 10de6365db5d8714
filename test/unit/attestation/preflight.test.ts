/** The preflight's verdict: shared, aged, bound to the server's key. */
import { Preflight } from "../../../lib/attestation/preflight.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";

let now = 0;
const report = (): AttestationReport => ({ verified: true }) as AttestationReport;

/** Counts how often it was asked. */
function asker(answer: () => Promise<AttestationReport> = () => Promise.resolve(report())): jest.Mock {
  return jest.fn(answer);
}

beforeEach(() => {
  now = 0;
});

test("asks once for calls at the same time, and for later ones", async () => {
  const preflight = new Preflight(undefined, () => now);
  const attest = asker();
  const reports = await Promise.all([1, 2, 3].map(() => preflight.ensure("key", attest)));
  now = 1e12;
  reports.push(await preflight.ensure("key", attest));
  expect(attest).toHaveBeenCalledTimes(1);
  expect(new Set(reports).size).toBe(1);
});

test("asks again when the verdict is as old as allowed, counted from the asking", async () => {
  const preflight = new Preflight(1000, () => now);
  const attest = asker(() => {
    now += 400;
    return Promise.resolve(report());
  });
  await preflight.ensure("key", attest);
  now = 999;
  await preflight.ensure("key", attest);
  expect(attest).toHaveBeenCalledTimes(1);
  now = 1000;
  await preflight.ensure("key", attest);
  expect(attest).toHaveBeenCalledTimes(2);
});

test("asks again when the server's key has changed, or when told to forget", async () => {
  const preflight = new Preflight(undefined, () => now);
  const attest = asker();
  await preflight.ensure("key", attest);
  await preflight.ensure("new key", attest);
  expect(attest).toHaveBeenCalledTimes(2);
  preflight.forget();
  await preflight.ensure("new key", attest);
  expect(attest).toHaveBeenCalledTimes(3);
});

test("forgets a failure: the waiting calls get it, the next one asks again", async () => {
  const preflight = new Preflight(undefined, () => now);
  const failing = asker(() => Promise.reject(new Error("refused")));
  const outcomes = await Promise.allSettled([preflight.ensure("key", failing), preflight.ensure("key", failing)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(failing).toHaveBeenCalledTimes(1);
  const attest = asker();
  await preflight.ensure("key", attest);
  expect(attest).toHaveBeenCalledTimes(1);
});

test("a failure for an old key does not forget the new key's verdict", async () => {
  const preflight = new Preflight(undefined, () => now);
  let fail = (_: Error): void => undefined;
  const old = preflight.ensure("old", () => new Promise((_, reject) => (fail = reject)));
  const attest = asker();
  await preflight.ensure("new", attest);
  fail(new Error("too late"));
  await expect(old).rejects.toThrow("too late");
  await preflight.ensure("new", attest);
  expect(attest).toHaveBeenCalledTimes(1);
});
