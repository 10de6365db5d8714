/** Options, request options, policies and bodies: own members only, and `null` refused by name. */
import { enforcementOf } from "../../lib/attestation/enforcement.js";
import { checkPolicy } from "../../lib/attestation/policy.js";
import { verifyTpmAttestation } from "../../lib/attestation/verify.js";
import { resolveClientOptions, resolveRequestOptions } from "../../lib/client/options.js";
import type { ClientOptions } from "../../lib/client/options.js";
import { takeApart } from "../../lib/chat/request-parts.js";
import { SecureChatCompletion } from "../../lib/client/secure-chat-completion.js";
import { SecureCompletionClient } from "../../lib/client/secure-completion-client.js";
import { ConfigurationError } from "../../lib/errors.js";
import { resolveOptions } from "../../lib/router/options.js";

/** Runs `work` in a process in which somebody has written to `Object.prototype`. */
function polluted<T>(members: object, work: () => T): T {
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true });
  }
  try {
    return work();
  } finally {
    for (const name of Object.keys(members)) Reflect.deleteProperty(Object.prototype, name);
  }
}

const evil = {
  baseUrl: "http://evil.example",
  allowHttp: true,
  apiKey: "evil",
  timeout: 1,
  maxRetries: 9,
  attestation: "off",
  policy: "off",
  engine: "esapi",
  mode: "off",
  fingerprints: "00",
  minBits: 2048,
  cacheTtl: 0,
  rateLimit: { requestsPerSecond: 1 },
  security_tier: "standard",
  stream: true,
  signal: "none",
  preflight: true,
  binding: "required",
  tcti: "device:evil",
  receipts: "/evil",
  folder: "/evil",
  digestKeyFile: "/evil",
  profiles: "none",
  host: "0.0.0.0",
  allowOpen: true,
  upstream: { url: "https://evil.example" },
  // What the tables of options are made of.
  otherwise: "evil",
  nullable: true,
  required: true,
};

describe("a polluted Object.prototype", () => {
  it("sets no option of a client", () => {
    const clean = resolveClientOptions({ apiKey: null });
    const seen = polluted(evil, () => resolveClientOptions({ apiKey: null }));
    for (const name of [
      "baseUrl",
      "allowHttp",
      "apiKey",
      "timeout",
      "maxRetries",
      "rateLimit",
      "attestation",
      "receipts",
    ] as const) {
      expect(seen[name]).toEqual(clean[name]);
    }
    expect(seen.serverKey).toEqual(clean.serverKey);
    const given = { apiKey: null, serverKey: {}, rateLimit: { requestsPerSecond: 1 } };
    expect(polluted({ burst: 100 }, () => resolveClientOptions(given)).rateLimit).toEqual({
      perSecond: 1,
      burst: 2,
    });
    const withReceipts = { apiKey: null, receipts: "here" };
    expect(polluted(evil, () => resolveClientOptions(withReceipts)).receipts).toEqual(
      resolveClientOptions(withReceipts).receipts,
    );
  });

  it("sets no option of a request", () => {
    const client = resolveClientOptions({ apiKey: null });
    const seen = polluted(evil, () => resolveRequestOptions(client, {}, undefined));
    expect(seen).toEqual(resolveRequestOptions(client, {}, undefined));
  });

  it.each(["require", { version: 1 }, { version: 1, mode: "require" }] as const)("weakens no policy: %p", (given) => {
    const clean = enforcementOf(given);
    const seen = polluted(evil, () => {
      const { mode, preflight, maxAgeMs, binding, tcti } = enforcementOf(given);
      return { mode, preflight, maxAgeMs, binding, tcti };
    });
    expect(seen).toMatchObject({ mode: "require", preflight: false, binding: "none", tcti: null });
    expect(clean).toMatchObject(seen);
  });

  it("is not read by a policy that was checked before", () => {
    const policy = checkPolicy({ version: 1 });
    expect(polluted(evil, () => [policy.preflight, policy.engine, policy.binding, policy.profiles])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("takes no part in verifyTpmAttestation", async () => {
    const verifying = polluted({ payloadId: "theirs" }, () => verifyTpmAttestation({}, {} as never));
    await expect(verifying).rejects.toThrow(ConfigurationError);
  });

  it("takes no part in a request's body", () => {
    const body = { model: "m", messages: [] };
    const seen = polluted(evil, () => {
      const { payload, tier, stream } = takeApart(body);
      return { names: Object.keys(payload), inherited: payload["stream"], tier, stream };
    });
    expect(seen).toEqual({ names: ["model", "messages"], inherited: undefined, tier: undefined, stream: false });
    expect(() => polluted({ model: "theirs" }, () => takeApart({ messages: [] }))).toThrow(/`model`/);
  });

  it("sets no option of a router", () => {
    const { host, upstream } = polluted(evil, () => {
      const settings = resolveOptions({});
      return { host: settings.host, upstream: settings.upstream };
    });
    expect({ host, upstream }).toEqual({ host: "127.0.0.1", upstream: undefined });
  });
});

describe("null", () => {
  it.each([
    ["baseUrl", { baseUrl: null }],
    ["serverKey", { serverKey: null }],
    ["serverKey.fingerprints", { serverKey: { fingerprints: null } }],
    ["serverKey.minBits", { serverKey: { minBits: null } }],
    ["timeout", { timeout: null }],
    ["attestation", { attestation: null }],
    ["rateLimit", { rateLimit: null }],
    ["rateLimit.burst", { rateLimit: { requestsPerSecond: 1, burst: null } }],
    ["secureMemory", { secureMemory: null }],
    ["threads", { threads: null }],
    ["padding", { padding: null }],
  ])("for %s is refused by name", (option, options) => {
    expect(() => resolveClientOptions(options as unknown as ClientOptions)).toThrow(
      expect.objectContaining({ name: "ConfigurationError", option }) as Error,
    );
  });

  it.each(["baseUrl", "timeout", "maxRetries", "attestation", "security_tier"])(
    "for a request's %s is refused by name",
    (option) => {
      const client = resolveClientOptions({ apiKey: null });
      expect(() => resolveRequestOptions(client, { [option]: null }, undefined)).toThrow(
        expect.objectContaining({ name: "ConfigurationError", option }) as Error,
      );
    },
  );

  it("means none for apiKey and signal", () => {
    const client = resolveClientOptions({ apiKey: null });
    expect(resolveRequestOptions(client, { apiKey: null, signal: null }, undefined)).toMatchObject({
      apiKey: undefined,
      signal: undefined,
    });
  });
});

describe("a wrong argument of an asynchronous method rejects, and throws nothing", () => {
  it.each([
    ["attest({ bogus })", (client: SecureChatCompletion) => client.attest({ bogus: 1 } as never)],
    ["attest({ model: 1 })", (client: SecureChatCompletion) => client.attest({ model: 1 } as never)],
    ["create(1)", (client: SecureChatCompletion) => client.create(1 as never)],
    ["createSecure(null)", (client: SecureChatCompletion) => client.createSecure(null as never)],
  ])("%s", async (_what, call) => {
    const client = new SecureChatCompletion({ apiKey: null });
    const pending = call(client) as Promise<unknown>;
    await expect(pending).rejects.toMatchObject({ name: "ConfigurationError", sent: "no" });
    await client.close();
  });

  it("generateKeys({ saveToFiles })", async () => {
    const client = new SecureCompletionClient({ apiKey: null });
    await expect(client.generateKeys({ saveToFiles: true } as never)).rejects.toMatchObject({ option: "saveToFiles" });
    await client.close();
  });
});
