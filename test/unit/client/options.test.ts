import { inspect } from "node:util";

import { resolveClientOptions, resolveRequestOptions } from "../../../lib/client/options.js";
import type { ClientOptions } from "../../../lib/client/options.js";
import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { SecureCompletionClient } from "../../../lib/client/secure-completion-client.js";
import type { NomyoError } from "../../../lib/errors.js";
import { ConfigurationError, SecurityError } from "../../../lib/errors.js";

const thrownBy = (act: () => unknown): NomyoError & { option?: string } => {
  try {
    act();
  } catch (error) {
    return error as NomyoError;
  }
  throw new Error("Nothing was thrown.");
};

describe("defaults", () => {
  it("are those of the documentation", () => {
    delete process.env["NOMYO_API_KEY"];
    expect(resolveClientOptions({})).toMatchObject({
      apiKey: undefined,
      baseUrl: "https://api.nomyo.ai",
      allowHttp: false,
      timeout: 600_000,
      maxRetries: 2,
      keyRotationInterval: 86_400_000,
      padding: "none",
      secureMemory: { locking: "required", mechanism: undefined },
      threads: undefined,
      serverKey: { fingerprints: [], cacheTtl: 3_600_000, minBits: 4096 },
      attestation: { mode: "report" },
      rateLimit: undefined,
      maxResponseBytes: 67_108_864,
    });
  });

  it("a burst is twice the rate, and one at least", () => {
    const rateLimit = (requestsPerSecond: number) =>
      resolveClientOptions({ rateLimit: { requestsPerSecond } }).rateLimit;
    expect(rateLimit(2)).toEqual({ perSecond: 2, burst: 4 });
    expect(rateLimit(0.1)).toEqual({ perSecond: 0.1, burst: 1 });
  });

  it("the base URL never comes from the environment", () => {
    for (const name of ["NOMYO_BASE_URL", "NOMYO_API_BASE", "OPENAI_BASE_URL"])
      process.env[name] = "https://evil.example";
    expect(resolveClientOptions({}).baseUrl).toBe("https://api.nomyo.ai");
    for (const name of ["NOMYO_BASE_URL", "NOMYO_API_BASE", "OPENAI_BASE_URL"])
      Reflect.deleteProperty(process.env, name);
  });
});

describe("each wrong option is refused by the constructor, which names it", () => {
  const cases: [string, object][] = [
    ["timeOut", { timeOut: 5 }],
    ["debug", { debug: true }],
    ["apiKey", { apiKey: "" }],
    ["apiKey", { apiKey: "with space" }],
    ["apiKey", { apiKey: "line\nbreak" }],
    ["apiKey", { apiKey: "ümlaut" }],
    ["apiKey", { apiKey: 7 }],
    ["baseUrl", { baseUrl: "nonsense" }],
    ["baseUrl", { baseUrl: "ftp://x" }],
    ["baseUrl", { baseUrl: "https://user:pw@x" }],
    ["baseUrl", { baseUrl: "https://x?y" }],
    ["baseUrl", { baseUrl: "https://x#y" }],
    ["baseUrl", { baseUrl: "https://x/v1" }],
    ["baseUrl", { baseUrl: "https://x/v1/" }],
    ["allowHttp", { allowHttp: "yes" }],
    ["timeout", { timeout: 0 }],
    ["timeout", { timeout: 1.5 }],
    ["timeout", { timeout: 2 ** 31 }],
    ["timeout", { timeout: "5" }],
    ["maxRetries", { maxRetries: -1 }],
    ["maxRetries", { maxRetries: 11 }],
    ["keyDir", { keyDir: "" }],
    ["keyPassword", { keyPassword: "long enough" }],
    ["keyPassword", { keyDir: "x", keyPassword: "" }],
    ["keyPassword", { keyDir: "x", keyPassword: 7 }],
    ["keyRotationInterval", { keyRotationInterval: -1 }],
    ["padding", { padding: "some" }],
    ["secureMemory", { secureMemory: "yes" }],
    ["threads", { threads: 0 }],
    ["threads", { threads: 65 }],
    ["threads", { threads: 1.5 }],
    ["threads", { threads: "2" }],
    ["threads", { threads: null }],
    ["serverKey", { serverKey: "x" }],
    ["serverKey.pin", { serverKey: { pin: "x" } }],
    ["serverKey.fingerprints", { serverKey: { fingerprints: "abc" } }],
    ["serverKey.fingerprints", { serverKey: { fingerprints: [] } }],
    ["serverKey.fingerprints", { serverKey: { fingerprints: [7] } }],
    ["serverKey.cacheTtl", { serverKey: { cacheTtl: -1 } }],
    ["serverKey.minBits", { serverKey: { minBits: 1024 } }],
    // No key is larger: none would ever do.
    ["serverKey.minBits", { serverKey: { minBits: 8193 } }],
    ["serverKey.knownServersFile", { serverKey: { knownServersFile: "" } }],
    ["serverKey.knownServersFile", { serverKey: { fingerprints: "a".repeat(64), knownServersFile: "x" } }],
    ["attestation", { attestation: "maybe" }],
    ["rateLimit", { rateLimit: 5 }],
    ["rateLimit.rps", { rateLimit: { requestsPerSecond: 1, rps: 1 } }],
    ["rateLimit.requestsPerSecond", { rateLimit: {} }],
    ["rateLimit.requestsPerSecond", { rateLimit: { requestsPerSecond: 0 } }],
    ["rateLimit.burst", { rateLimit: { requestsPerSecond: 1, burst: 0.5 } }],
    ["maxResponseBytes", { maxResponseBytes: 5 }],
    ["fetch", { fetch: {} }],
    ["dispatcher", { dispatcher: {} }],
    ["dispatcher", { dispatcher: null }],
    ["logger", { logger: { debug: () => undefined } }],
    ["logger", { logger: null }],
  ];
  it.each(cases)("%s: %j", (option, options) => {
    const error = thrownBy(() => new SecureChatCompletion(options));
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.option).toBe(option);
    expect(error.message).toContain(option);
  });

  it("options that are no object", () => {
    expect(thrownBy(() => new SecureChatCompletion(null as unknown as ClientOptions)).option).toBe("options");
  });

  it("plain HTTP is a SecurityError", () => {
    const error = thrownBy(() => new SecureChatCompletion({ baseUrl: "http://localhost:1" }));
    expect(error).toBeInstanceOf(SecurityError);
    expect(error.code).toBe("PLAIN_HTTP");
  });

  it("never shows a wrong API key or password", () => {
    for (const options of [
      { apiKey: "hunter2 hunter2" },
      { keyPassword: "hunter2hunter2" },
      { baseUrl: "https://u:hunter2@x" },
    ]) {
      expect(
        inspect(
          thrownBy(() => resolveClientOptions(options)),
          { showHidden: true },
        ),
      ).not.toContain("hunter2");
    }
  });
});

it("a client that is printed shows nothing of its options", () => {
  // Of the two clients the one that begins nothing by itself: this folder must not come into being.
  const client = new SecureCompletionClient({
    apiKey: "hunter2hunter2",
    keyDir: "client_keys",
    keyPassword: "hunter2hunter2",
  });
  expect(inspect(client, { depth: 20, showHidden: true }) + JSON.stringify(client)).not.toContain("hunter2");
});

describe("a base URL", () => {
  it.each([
    ["https://api.example/", "https://api.example"],
    ["https://api.example/prefix//", "https://api.example/prefix"],
    ["HTTPS://API.example:443", "https://api.example"],
  ])("%s becomes %s", (given, expected) => {
    expect(resolveClientOptions({ baseUrl: given }).baseUrl).toBe(expected);
  });
});

describe("secureMemory", () => {
  it.each([
    [true, "required"],
    [false, "off"],
    ["required", "required"],
    ["preferred", "preferred"],
    ["off", "off"],
  ] as const)("%j means %s", (given, locking) => {
    expect(resolveClientOptions({ secureMemory: given })).toMatchObject({
      secureMemory: { locking, mechanism: undefined },
    });
  });

  it.each([
    [{}, "required", undefined],
    [{ policy: "off" }, "off", undefined],
    [{ mechanism: "memfd_secret" }, "required", "memfd_secret"],
    [{ policy: "preferred", mechanism: "mlock" }, "preferred", "mlock"],
  ] as const)("%j means %s by %s", (given, locking, mechanism) => {
    expect(resolveClientOptions({ secureMemory: given })).toMatchObject({ secureMemory: { locking, mechanism } });
  });

  it.each<[unknown, string]>([
    [null, "secureMemory"],
    [{ policy: "yes" }, "secureMemory.policy"],
    [{ mechanism: "VirtualLock" }, "secureMemory.mechanism"],
    [{ mechanism: "memfd_secret", policy: "preferred" }, "secureMemory.mechanism"],
    [{ mechanisms: "mlock" }, "secureMemory.mechanisms"],
  ])("%j is refused", (given, option) => {
    const wrong = { secureMemory: given as "off" };
    expect(() => resolveClientOptions(wrong)).toThrow(expect.objectContaining({ option }));
  });
});

describe("options of a request", () => {
  const client = resolveClientOptions({ apiKey: "k", timeout: 5000 });
  const resolve = (options: object, tier?: unknown) => resolveRequestOptions(client, options, tier);

  it("fall back to the client's", () => {
    expect(resolve({})).toMatchObject({
      apiKey: "k",
      timeout: 5000,
      maxRetries: 2,
      baseUrl: "https://api.nomyo.ai",
      securityTier: undefined,
    });
  });

  it("win over the client's", () => {
    const signal = new AbortController().signal;
    expect(
      resolve({ signal, timeout: 7, maxRetries: 0, apiKey: "other", baseUrl: "https://x", attestation: "off" }),
    ).toMatchObject({
      signal,
      timeout: 7,
      maxRetries: 0,
      apiKey: "other",
      baseUrl: "https://x",
      attestation: { mode: "off" },
    });
    expect(resolve({ signal: null, apiKey: null })).toMatchObject({ signal: undefined, apiKey: undefined });
  });

  it("take the tier from either place, or both when they agree", () => {
    expect(resolve({}, "high").securityTier).toBe("high");
    expect(resolve({}, null).securityTier).toBeUndefined();
    expect(resolve({ security_tier: "maximum" }).securityTier).toBe("maximum");
    expect(resolve({ security_tier: "high" }, "high").securityTier).toBe("high");
  });

  it.each([
    ["signal", { signal: {} }, undefined],
    ["timeout", { timeout: -1 }, undefined],
    ["maxRetries", { maxRetries: 2.5 }, undefined],
    ["keyDir", { keyDir: "x" }, undefined],
    ["security_tier", {}, "ultra"],
    ["security_tier", {}, 7],
    ["security_tier", { security_tier: "high" }, "standard"],
    ["attestation", { attestation: 7 }, undefined],
  ])("a wrong %s is refused", (option, options, tier) => {
    expect(thrownBy(() => resolve(options, tier)).option).toBe(option);
  });
});
