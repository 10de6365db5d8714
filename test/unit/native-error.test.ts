/** Which of the package's error classes each of the addon's codes becomes, at the client, for envelopes and for memory. */
import { fromNative } from "../../lib/native-error.js";
import { openError, sealError } from "../../lib/envelope/envelope-error.js";
import {
  ConfigurationError,
  InvalidRequestError,
  MemoryProtectionError,
  NomyoError,
  SecurityError,
} from "../../lib/errors.js";
import { withMemoryErrors } from "../../lib/memory/memory-error.js";
import type { NativeErrorCode } from "../../lib/native.js";

type Class = abstract new (...args: never[]) => NomyoError;
const ofAddon = (code: NativeErrorCode): Error => Object.assign(new Error(`the addon's sentence on ${code}`), { code });

/** The class itself, not one above it: callers tell what to do by the class. */
function expectError(given: unknown, kind: Class, code: string, message: string | RegExp): void {
  expect((given as NomyoError).constructor).toBe(kind);
  expect(given).toMatchObject({ code, message: expect.stringMatching(message) });
}

const opaque: NativeErrorCode[] = ["DECRYPT", "PACKAGE_FORMAT", "PACKAGE_ALGORITHM", "PLAINTEXT"];

describe("an error of the client", () => {
  test.each<[NativeErrorCode, Class]>([
    ["MEMORY_LOCK", MemoryProtectionError],
    ["OUT_OF_MEMORY", MemoryProtectionError],
    ["KEY_FORMAT", SecurityError],
    ["KEY_WEAK", SecurityError],
    ["KEY_PASSWORD", SecurityError],
    ["CRYPTO_FAILURE", SecurityError],
    ["TOO_LARGE", InvalidRequestError],
    ["INVALID_UTF8", InvalidRequestError],
    ["QUEUE_FULL", NomyoError],
    ["CANCELLED", NomyoError],
    ["DISPOSED", NomyoError],
  ])("%s keeps its sentence", (code, kind) => {
    expectError(fromNative(ofAddon(code)), kind, code, `the addon's sentence on ${code}`);
  });

  test.each(["TOO_LARGE", "INVALID_UTF8"] as const)("%s says that nothing was sent", (code) => {
    expect(fromNative(ofAddon(code))).toMatchObject({ sent: "no" });
  });

  test("all failures of decryption read the same", () => {
    const errors = opaque.map((code) => fromNative(ofAddon(code)) as SecurityError);
    errors.forEach((error, i) => expectError(error, SecurityError, opaque[i]!, "Nothing of it was used"));
    expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
    expect(errors[0]!.message).not.toContain("the addon's sentence");
  });

  test.each<[string, unknown]>([
    ["one without a code", new TypeError("wrong argument")],
    ["one with a code of Node's", Object.assign(new Error("no such file"), { code: "ENOENT" })],
    ["one of the package's, whatever its code", new NomyoError("already public", "DECRYPT")],
    ["one of the package's", new ConfigurationError("close", "closed")],
    ["a text", "DECRYPT"],
    ["null", null],
    ["undefined", undefined],
  ])("%s stays what it is", (_what, error) => {
    expect(fromNative(error)).toBe(error);
    expect(sealError(error)).toBe(error);
    expect(openError(error)).toBe(error);
  });
});

describe("an error of an envelope", () => {
  const both: [NativeErrorCode, Class][] = [
    ["MEMORY_LOCK", MemoryProtectionError],
    ["OUT_OF_MEMORY", MemoryProtectionError],
    ["CRYPTO_FAILURE", SecurityError],
    ["DISPOSED", NomyoError],
    ["QUEUE_FULL", NomyoError],
    ["CANCELLED", NomyoError],
    ["NOT_FOUND", NomyoError],
    ["INVALID_ARGUMENT", NomyoError],
    ["UNSUPPORTED", NomyoError],
  ];
  test.each(both)("%s is the same in both directions", (code, kind) => {
    for (const convert of [sealError, openError])
      expectError(convert(ofAddon(code)), kind, code, `the addon's sentence on ${code}`);
  });

  test("too large: a request that must be smaller, an answer that is refused", () => {
    expectError(sealError(ofAddon("TOO_LARGE")), InvalidRequestError, "TOO_LARGE", /sentence on TOO_LARGE/);
    expectError(openError(ofAddon("TOO_LARGE")), SecurityError, "TOO_LARGE", /sentence on TOO_LARGE/);
  });

  test("a text that is not UTF-8 is the caller's mistake when sealing", () => {
    expectError(sealError(ofAddon("INVALID_UTF8")), InvalidRequestError, "INVALID_UTF8", /INVALID_UTF8/);
    expect(sealError(ofAddon("INVALID_UTF8"))).toMatchObject({ sent: "no" });
    expectError(openError(ofAddon("INVALID_UTF8")), NomyoError, "INVALID_UTF8", /INVALID_UTF8/);
  });

  test("whatever is wrong with a package reads the same", () => {
    const errors = opaque.map((code) => openError(ofAddon(code)) as SecurityError);
    errors.forEach((error, i) => expectError(error, SecurityError, opaque[i]!, "Nothing of it was used"));
    expect(new Set(errors.map(({ message }) => message)).size).toBe(1);
  });
});

describe("an error of memory", () => {
  const outcomeOf = (error: unknown): unknown => {
    try {
      return withMemoryErrors(() => {
        throw error;
      });
    } catch (thrown) {
      return thrown;
    }
  };
  test.each<[NativeErrorCode, Class]>([
    ["MEMORY_LOCK", MemoryProtectionError],
    ["OUT_OF_MEMORY", MemoryProtectionError],
    ["DISPOSED", NomyoError],
    ["UNSUPPORTED", NomyoError],
  ])("%s", (code, kind) => expectError(outcomeOf(ofAddon(code)), kind, code, `the addon's sentence on ${code}`));

  test("what is not the addon's stays what it is; what works gives its value", () => {
    for (const error of [new TypeError("wrong"), new NomyoError("public", "X"), "text"])
      expect(outcomeOf(error)).toBe(error);
    expect(withMemoryErrors(() => 7)).toBe(7);
  });
});
