/**
 * Which of the package's error classes each of the addon's codes becomes, for a request that is sealed and for
 * everything else.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigurationError,
  InvalidRequestError,
  MemoryProtectionError,
  NomyoError,
  SecurityError,
} from "../../lib/errors.js";
import type { NativeErrorCode } from "../../lib/native.js";
import { fromNative, nativeCode, nativeErrorCodes, withNativeErrors } from "../../lib/native-error.js";
import type { NativeContext } from "../../lib/native-error.js";

type Class = abstract new (...args: never[]) => NomyoError;
const ofAddon = (code: NativeErrorCode): Error => Object.assign(new Error(`the addon's sentence on ${code}`), { code });
const contexts: NativeContext[] = ["sealing", "opening"];

/** The class itself, not one above it: callers tell what to do by the class. */
function expectError(given: unknown, kind: Class, code: string, message: string | RegExp): void {
  expect((given as NomyoError).constructor).toBe(kind);
  expect(given).toMatchObject({ code, message: expect.stringMatching(message) });
}

const opaque: NativeErrorCode[] = ["DECRYPT", "PACKAGE_FORMAT", "PACKAGE_ALGORITHM", "PLAINTEXT"];

test("every code of the core is in the table, and none that it does not have", () => {
  const header = readFileSync(join(__dirname, "../../native/core/result.h"), "utf8");
  const codes = [...header.matchAll(/^ {2}k\w+, +\/\/ ([A-Z0-9_]+) /gm)].map(([, code]) => code);
  expect(codes.length).toBe(header.match(/^ {2}k\w+,/gm)!.length);
  expect(codes).toEqual(nativeErrorCodes);
});

test.each<[NativeErrorCode, Class]>([
  ["MEMORY_LOCK", MemoryProtectionError],
  ["OUT_OF_MEMORY", MemoryProtectionError],
  ["KEY_FORMAT", SecurityError],
  ["KEY_WEAK", SecurityError],
  ["KEY_PASSWORD", SecurityError],
  ["CRYPTO_FAILURE", SecurityError],
  ["DISPOSED", NomyoError],
  ["VIEW_TAKEN", NomyoError],
  ["QUEUE_FULL", NomyoError],
  ["CANCELLED", NomyoError],
  ["NOT_FOUND", NomyoError],
  ["INVALID_ARGUMENT", NomyoError],
  ["UNSUPPORTED", NomyoError],
  ["TSS_MISSING", NomyoError],
  ["TPM_ERROR", NomyoError],
])("%s is the same in both contexts, and keeps its sentence", (code, kind) => {
  for (const context of contexts) {
    expectError(fromNative(ofAddon(code), context), kind, code, `the addon's sentence on ${code}`);
  }
});

test("too large: a request that must be smaller, an answer that is refused", () => {
  const refused = fromNative(ofAddon("TOO_LARGE"), "sealing");
  expectError(refused, InvalidRequestError, "TOO_LARGE", /sentence on TOO_LARGE/);
  expect(refused).toMatchObject({ sent: "no" });
  expectError(fromNative(ofAddon("TOO_LARGE"), "opening"), SecurityError, "TOO_LARGE", /sentence on TOO_LARGE/);
});

test("a text that is not UTF-8 is the request's mistake only where one is sealed", () => {
  const refused = fromNative(ofAddon("INVALID_UTF8"), "sealing");
  expectError(refused, InvalidRequestError, "INVALID_UTF8", /INVALID_UTF8/);
  expect(refused).toMatchObject({ sent: "no" });
  expectError(fromNative(ofAddon("INVALID_UTF8"), "opening"), NomyoError, "INVALID_UTF8", /INVALID_UTF8/);
});

test.each(contexts)("whatever is wrong with a package reads the same (%s)", (context) => {
  const errors = opaque.map((code) => fromNative(ofAddon(code), context) as SecurityError);
  errors.forEach((error, i) => expectError(error, SecurityError, opaque[i]!, "Nothing of it was used"));
  expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
  expect(errors[0]!.message).not.toContain("the addon's sentence");
});

test.each<[string, unknown]>([
  ["one without a code", new TypeError("wrong argument")],
  ["one with a code of Node's", Object.assign(new Error("no such file"), { code: "ENOENT" })],
  ["one whose code is a name of Object.prototype", Object.assign(new Error("x"), { code: "toString" })],
  ["one of the package's, whatever its code", new NomyoError("already public", "DECRYPT")],
  ["one of the package's", new ConfigurationError("close", "closed")],
  ["a text", "DECRYPT"],
  ["null", null],
  ["undefined", undefined],
])("%s stays what it is", (_what, error) => {
  expect(nativeCode(error)).toBeUndefined();
  for (const context of contexts) expect(fromNative(error, context)).toBe(error);
});

test("withNativeErrors: what works gives its value, what fails the public error", () => {
  expect(withNativeErrors("opening", () => 7)).toBe(7);
  expect(() =>
    withNativeErrors("sealing", () => {
      throw ofAddon("TOO_LARGE");
    }),
  ).toThrow(InvalidRequestError);
});
