import { ConfigurationError } from "../../../lib/errors.js";
import { isLoopback } from "../../../lib/http/loopback.js";
import { resolveOptions } from "../../../lib/router/options.js";
import type { RouterOptions } from "../../../lib/router/options.js";
import { completionsUrl } from "../../../lib/router/upstream.js";

const apiKeys = ["a-key-of-some-length-0123"];
const tls = { cert: "certificate", key: "key" };

function refusedOption(options: RouterOptions): string {
  try {
    resolveOptions(options);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.option;
    throw error;
  }
  throw new Error("was not refused");
}

describe("listening", () => {
  test.each(["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])("%s is loopback", (host) => {
    expect(isLoopback(host)).toBe(true);
  });
  test.each([
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "example.org",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "::ffff:127.0.0.1",
    "",
  ])("%s is not", (host) => {
    expect(isLoopback(host)).toBe(false);
  });

  test("elsewhere than on loopback needs API keys and TLS, or explicit leave", () => {
    expect(refusedOption({ host: "0.0.0.0", tls })).toBe("apiKeys");
    expect(refusedOption({ host: "0.0.0.0", apiKeys })).toBe("tls");
    expect(refusedOption({ host: "0.0.0.0", allowHttp: true })).toBe("apiKeys");
    expect(resolveOptions({ host: "0.0.0.0", apiKeys, tls }).host).toBe("0.0.0.0");
    expect(resolveOptions({ host: "0.0.0.0", allowOpen: true, allowHttp: true }).host).toBe("0.0.0.0");
  });
});

describe("the upstream", () => {
  test.each([
    ["http://127.0.0.1:11434", "http://127.0.0.1:11434/v1/chat/completions"],
    ["http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1/chat/completions"],
    ["https://host.example/v1", "https://host.example/v1/chat/completions"],
    ["https://host.example/openai/v3/", "https://host.example/openai/v3/chat/completions"],
    ["https://host.example/x/chat/completions", "https://host.example/x/chat/completions"],
    ["https://host.example/proxy", "https://host.example/proxy/v1/chat/completions"],
  ])("%s is asked at %s", (base, url) => {
    expect(completionsUrl(base).href).toBe(url);
  });

  test.each(["nonsense", "ftp://host", "https://user:password@host", "https://host/v1?key=1", "https://host/#x"])(
    "%s is refused",
    (url) => {
      expect(refusedOption({ upstream: { url } })).toBe("upstream.url");
    },
  );

  test("on another machine over plain HTTP needs explicit leave", () => {
    expect(refusedOption({ upstream: { url: "http://vllm:8000" } })).toBe("upstream.allowHttp");
    expect(resolveOptions({ upstream: { url: "http://vllm:8000", allowHttp: true } }).upstream?.url.host).toBe(
      "vllm:8000",
    );
  });

  test("a key that would break the header is refused", () => {
    expect(refusedOption({ upstream: { url: "https://host", apiKey: "a\r\nb" } })).toBe("upstream.apiKey");
  });
});

describe("the TPM", () => {
  const tcti = "swtpm:port=1";
  test("a certificate chain needs certificates and a persistent handle", () => {
    const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    expect(refusedOption({ tpm: { tcti, certificateChain: pem } })).toBe("tpm.certificateChain");
    expect(refusedOption({ tpm: { tcti, certificateChain: "x", persistentHandle: 0x81010002 } })).toBe(
      "tpm.certificateChain",
    );
    expect(
      resolveOptions({ tpm: { tcti, certificateChain: pem, persistentHandle: 0x81010002 } }).attestor,
    ).toBeDefined();
  });
  test.each([0, 0x80000000, 0x82000000, -1])("%i is not a persistent handle", (persistentHandle) => {
    expect(refusedOption({ tpm: { tcti, persistentHandle } })).toBe("tpm.persistentHandle");
  });
});

test.each<[string, RouterOptions]>([
  ["port", { port: 65_536 }],
  ["port", { port: 1.5 }],
  ["maxRequests", { maxRequests: 0 }],
  ["rateLimit.perSecond", { rateLimit: { perSecond: 0, burst: 1 } }],
  ["rateLimit.burst", { rateLimit: { perSecond: 1, burst: 0 } }],
  ["rateLimit.burst", { rateLimit: { perSecond: 1 } as never }],
  ["maxRequestsPerKey", { maxRequests: 4, maxRequestsPerKey: 5 }],
  ["tls.key", { tls: { cert: "c" } as never }],
  ["tpm.tcti", { tpm: {} as never }],
  ["upstream.url", { upstream: {} as never }],
  ["apiKeys", { apiKeys: "a-key-of-some-length-0123" as never }],
  ["tierModels", { tierModels: { high: "one-model" } as never }],
  ["allowOpen", { allowOpen: "yes" as never }],
  ["log", { log: "console" as never }],
  ["keyPassword", { keyPassword: 7 as never }],
  // Misspelt, each would silently not protect.
  ["apiKey", { apiKey: "a-key-of-some-length-0123" } as never],
  ["tls.ca", { tls: { cert: "c", key: "k", ca: "x" } } as never],
  ["tpm.handle", { tpm: { tcti: "swtpm:", handle: 0x81010002 } } as never],
  ["upstream.timeout", { upstream: { url: "https://host", timeout: 5 } } as never],
  ["rateLimit.requestsPerSecond", { rateLimit: { requestsPerSecond: 1, burst: 1 } } as never],
  ["upstream", { upstream: null as never }],
  ["tierModels", { tierModels: { ultra: [] } as object }],
  ["secureMemory", { secureMemory: "maybe" as "off" }],
  ["threads", { threads: 0 }],
  ["threads", { threads: 65 }],
  ["threads", { threads: "2" as unknown as number }],
])("a wrong %s is refused by its name", (option, options) => {
  expect(refusedOption(options)).toBe(option);
});

test("what is left out is what the documentation of the options says", () => {
  expect(resolveOptions({})).toMatchObject({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    upstream: undefined,
    attestor: undefined,
    rateLimit: undefined,
    maxBodyBytes: 64 * 1024 * 1024,
    maxPlaintextBytes: 10 * 1024 * 1024,
    maxRequests: 256,
    maxRequestsPerKey: 256,
    secureMemory: { locking: "required", mechanism: undefined },
    threads: undefined,
    secureInference: true,
    echoDelayMs: 0,
    stopTimeoutMs: 30_000,
  });
});
