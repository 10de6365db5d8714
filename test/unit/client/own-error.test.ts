/** Errors that several callers share are made anew for each. */
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import {
  APIConnectionTimeoutError,
  ConfigurationError,
  ForbiddenError,
  MemoryProtectionError,
  NomyoError,
  SecurityError,
} from "../../../lib/errors.js";
import { ownError } from "../../../lib/client/own-error.js";
import { ServerKeyCache } from "../../../lib/client/server-key.js";
import { guardedLogger } from "../../../lib/client/logger.js";

const cause = new Error("why");
test.each([
  ["NomyoError", new NomyoError("m", "CODE", { cause })],
  ["ConfigurationError", new ConfigurationError("option", "m")],
  ["SecurityError", new SecurityError("m", "CODE", { cause })],
  ["MemoryProtectionError", new MemoryProtectionError("m")],
  ["AttestationError", new AttestationError("m", "CODE", { verified: false } as never)],
  [
    "ForbiddenError",
    new ForbiddenError("m", { statusCode: 403, errorDetails: { detail: "x" }, code: "C", sent: "yes" }),
  ],
  ["APIConnectionTimeoutError", new APIConnectionTimeoutError("m", { payloadId: "id", cause })],
])("of the same class, with the same members: %s", (name, shared) => {
  const own = ownError(shared) as NomyoError;
  expect(own).not.toBe(shared);
  expect(own.constructor).toBe(shared.constructor);
  expect(own.name).toBe(name);
  expect(own.message).toBe("m");
  expect(Object.entries(own)).toEqual(Object.entries(shared));
  expect(own.cause).toBe(shared.cause);
  expect(own.stack).toBe(shared.stack);
  own.sent = "maybe";
  own.payloadId = "mine";
  expect(shared.sent).not.toBe("maybe");
  expect(shared.payloadId).not.toBe("mine");
});

test("what no caller writes into is passed on", () => {
  expect(ownError(cause)).toBe(cause);
  expect(ownError("text")).toBe("text");
});

test("those who wait for one fetch of a key each get their own", async () => {
  const policy = { fingerprints: [], cacheTtl: 1000, minBits: 2048, knownServers: undefined };
  const distrust = jest.fn();
  const fetchPem = jest.fn(() => Promise.resolve({ pem: "no key", distrust }));
  const cache = new ServerKeyCache("https://x.example", policy, fetchPem, guardedLogger(undefined));
  const patient = <T>(promise: Promise<T>): Promise<T> => promise;
  const [a, b] = await Promise.allSettled([cache.get(patient), cache.get(patient)]);
  expect(fetchPem).toHaveBeenCalledTimes(1);
  expect(a).toMatchObject({ status: "rejected", reason: { name: "SecurityError", code: "KEY_FORMAT" } });
  expect((a as PromiseRejectedResult).reason).not.toBe((b as PromiseRejectedResult).reason);
  expect(distrust).toHaveBeenCalledTimes(1);
});
