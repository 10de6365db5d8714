/**
 * What the client does with a server's quote. Quotes are of a software TPM; what makes one valid is the verifier's own
 * test.
 */
import { createHash } from "node:crypto";

import type { ClientOptions } from "../../../lib/client/options.js";
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import { ConfigurationError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import type { TpmAttestationBlock, TpmHandle } from "../../../lib/native.js";
import { echo, makeKeyPair, ReferenceServer } from "../../support/reference-server.js";
import type { Received } from "../../support/reference-server.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { TestClients } from "../../support/test-clients.js";

const request = { model: "m", messages: [{ role: "user" as const, content: "a confidential prompt" }] };
const clients = new TestClients();
let server: ReferenceServer;
let tpm: SoftwareTpm;
let handle: TpmHandle;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
  handle = await native.tpmOpen(tpm.tcti);
});
beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await clients.close();
  await server.stop();
});
afterAll(async () => {
  clients.removeKeys();
  native.tpmClose(handle);
  await tpm.close();
});

const quote = (payloadId: string): Promise<TpmAttestationBlock> =>
  native.tpmQuote(handle, createHash("sha256").update(payloadId).digest().subarray(0, 16), {});
/** The server has a TPM, and quotes for the id that `idOf` gives. */
const attesting = (idOf: (received: Received) => string = ({ payloadId }) => payloadId): void => {
  server.answer = async (received) => {
    const answer = echo(received);
    return { ...answer, _metadata: { payload_id: received.payloadId, tpm_attestation: await quote(idOf(received)) } };
  };
};
const make = (attestation: ClientOptions["attestation"], more: ClientOptions = {}) =>
  clients.make({ baseUrl: server.url, attestation, ...more });
const prompts = (): string[] => server.received.map(({ payload }) => payload.messages[0].content);

describe("report (the default)", () => {
  it("puts the verifier's report beside the block, which stays as the server sent it", async () => {
    attesting();
    let sent: unknown;
    const { answer } = server;
    server.answer = async (received) => {
      const whole = (await answer(received)) as { _metadata: { tpm_attestation: unknown } };
      sent = whole._metadata.tpm_attestation;
      return whole;
    };
    const { _metadata } = await clients.make({ baseUrl: server.url }).create(request);
    expect(_metadata.tpm_attestation).toEqual(sent);
    expect(_metadata.attestation_report).toMatchObject({ verified: true, trust: "self-asserted" });
  });

  it("lets an answer through whose quote does not verify, and says why", async () => {
    attesting(() => "another id");
    const { choices, _metadata } = await make("report").create(request);
    expect(choices[0]?.message.content).toBe("a confidential prompt");
    expect(_metadata.attestation_report).toMatchObject({ verified: false, code: "NONCE_MISMATCH" });
  });

  it("reports also that there is none", async () => {
    const { _metadata } = await make("report").create(request);
    expect(_metadata.attestation_report).toMatchObject({ verified: false, code: "ATTESTATION_MISSING" });
  });
});

describe("off", () => {
  it("makes no report", async () => {
    attesting();
    const { _metadata } = await make("off").create(request);
    expect(_metadata).not.toHaveProperty("attestation_report");
    expect(_metadata.tpm_attestation).toMatchObject({ is_available: true });
  });

  it("contradicts tier maximum, unless the request itself says so", async () => {
    const client = make("off");
    await expect(client.create({ ...request, security_tier: "maximum" })).rejects.toThrow(ConfigurationError);
    expect(server.log).toEqual([]);
    await client.create({ ...request, security_tier: "maximum" }, { attestation: "off" });
    expect(server.received).toHaveLength(1);
  });
});

describe("require", () => {
  it("gives an answer whose quote verifies, plain and in locked memory", async () => {
    attesting();
    const client = make("require");
    expect((await client.create(request)).choices[0]?.message.content).toBe("a confidential prompt");
    using secure = await client.createSecure(request);
    expect(secure._metadata.attestation_report).toMatchObject({ verified: true });
  });

  it.each([
    ["no TPM", (): void => undefined, "ATTESTATION_MISSING"],
    ["a quote for another request", (): void => attesting(() => "another id"), "NONCE_MISMATCH"],
  ])("gives nothing of an answer with %s", async (_what, prepare, code) => {
    prepare();
    const { answer } = server;
    server.answer = async (received) => ({ ...((await answer(received)) as object), filling: "x".repeat(1_000_000) });
    const client = make("require");
    await client.ready();
    const before = native.memoryInfo().stats.bytesInUse;
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AttestationError);
    expect(error).toMatchObject({ code, sent: "yes", report: { verified: false, code } });
    expect(JSON.stringify(error)).not.toContain("confidential");
    // One attempt: an attestation that fails is not retried.
    expect(server.received).toHaveLength(1);
    // The opened answer, of a megabyte, was wiped before the error was thrown.
    expect(native.memoryInfo().stats.bytesInUse - before).toBeLessThan(100_000);
  });

  it("of a request wins over the client's option, both ways", async () => {
    await expect(make("off").create(request, { attestation: "require" })).rejects.toThrow(AttestationError);
    await make("require").create(request, { attestation: "report" });
  });
});

describe("preflight", () => {
  const policy = { version: 1, mode: "require", preflight: true } as const;

  it("verifies the server before the first prompt leaves, once", async () => {
    attesting();
    const client = make(policy);
    await client.create(request);
    await client.create(request);
    expect(prompts()).toEqual(["ping", "a confidential prompt", "a confidential prompt"]);
    expect(server.received[0]?.payload).toMatchObject({ model: "m", max_tokens: 1 });
  });

  it("is shared by requests that start together", async () => {
    attesting();
    const client = make(policy);
    await Promise.all([client.create(request), client.create(request), client.create(request)]);
    expect(prompts().filter((prompt) => prompt === "ping")).toHaveLength(1);
  });

  it("keeps the prompt here when it fails, and is tried again by the next request", async () => {
    const client = make(policy);
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AttestationError);
    expect(error).toMatchObject({ code: "ATTESTATION_MISSING", sent: "no" });
    expect(prompts()).toEqual(["ping"]);
    attesting();
    await client.create(request);
    expect(prompts()).toEqual(["ping", "ping", "a confidential prompt"]);
  });

  it("belongs to the engine too: what one has verified is no verdict of another", async () => {
    attesting();
    const client = make({ policy, engine: "offline" });
    await client.create(request);
    // A TPM that is not there verifies nothing; the other engine's verdict must not stand for it.
    const elsewhere = { policy, engine: { tcti: `swtpm:path=${tpm.folder}/nobody` } };
    await expect(client.create(request, { attestation: elsewhere })).rejects.toMatchObject({ sent: "no" });
    expect(prompts()).toEqual(["ping", "a confidential prompt", "ping"]);
    // Nor does its failure take the verdict of the first away.
    await client.create(request);
    expect(prompts()).toEqual(["ping", "a confidential prompt", "ping", "a confidential prompt"]);
  });

  it("is repeated when its verdict is too old", async () => {
    attesting();
    const client = make({ ...policy, maxAgeMs: 1000 });
    await client.create(request);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await client.create(request);
    expect(prompts()).toEqual(["ping", "a confidential prompt", "ping", "a confidential prompt"]);
  });

  /** Holds the first answer to a ping back; resolves when it has been asked for. */
  const holdFirstPing = (): { readonly asked: Promise<void>; readonly release: () => void } => {
    const { answer } = server;
    let asked = (): void => undefined;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let pings = 0;
    const whenAsked = new Promise<void>((resolve) => (asked = resolve));
    server.answer = async (received) => {
      if (received.payload.messages[0].content === "ping" && ++pings === 1) {
        asked();
        await held;
      }
      return answer(received);
    };
    return { asked: whenAsked, release };
  };

  it("ends for a caller who aborts, whose request is closed; another asks for himself", async () => {
    attesting();
    const first = holdFirstPing();
    const client = make(policy);
    const controller = new AbortController();
    const impatient = client.create(request, { signal: controller.signal });
    await first.asked;
    const patient = client.create(request);
    controller.abort();
    await expect(impatient).rejects.toMatchObject({ name: "APIUserAbortError", sent: "no" });
    await patient;
    expect(prompts()).toEqual(["ping", "ping", "a confidential prompt"]);
    first.release();
  });

  it("has the deadline of the attempt, and of the one who waits", async () => {
    attesting();
    const first = holdFirstPing();
    const client = make(policy);
    const asking = client.create(request);
    await first.asked;
    // The ping of the first caller does not end; the second caller's time does.
    const waiting = client.create(request, { timeout: 50, maxRetries: 0 });
    await expect(waiting).rejects.toMatchObject({ name: "APIConnectionTimeoutError", sent: "no" });
    first.release();
    await asking;

    server.onPost = () => undefined;
    const fresh = make(policy).create(request, { timeout: 50, maxRetries: 0 });
    await expect(fresh).rejects.toMatchObject({ name: "APIConnectionTimeoutError", sent: "no" });
    server.onGetKey = () => undefined;
    const keyless = make(policy).create(request, { timeout: 50, maxRetries: 0 });
    await expect(keyless).rejects.toMatchObject({ name: "APIConnectionTimeoutError", sent: "no" });
  });

  it("uses the asking caller's credentials only: a wrong key of one is no error of another", async () => {
    attesting();
    server.onPost = async (body, incoming, response) => {
      if (incoming.headers.authorization === "Bearer right") return server.reply(body, incoming, response);
      response.writeHead(401).end();
    };
    const client = make(policy);
    const wrong = client.create(request, { apiKey: "wrong" });
    const right = client.create(request, { apiKey: "right" });
    await expect(wrong).rejects.toMatchObject({ name: "AuthenticationError", sent: "no" });
    await right;
  });

  it("is retried as the request itself is", async () => {
    attesting();
    let posts = 0;
    server.onPost = async (body, incoming, response) => {
      if (++posts === 1) response.writeHead(503, { "retry-after": "0" }).end();
      else await server.reply(body, incoming, response);
    };
    await make(policy).create(request);
    expect(posts).toBe(3);
  });

  it("leaves nothing open when the client is closed with abort", async () => {
    attesting();
    const first = holdFirstPing();
    const client = make(policy);
    const pending = client.create(request);
    await first.asked;
    const disposed = jest.spyOn(native, "privateKeyDispose");
    const [outcome] = await Promise.allSettled([pending, client.close({ abort: true })]);
    expect(outcome.status).toBe("rejected");
    expect(disposed).toHaveBeenCalledTimes(1);
    disposed.mockRestore();
    first.release();
  });

  it("belongs to the server's key: no prompt is sealed to another one before that has attested", async () => {
    attesting();
    const client = make(policy, { serverKey: { cacheTtl: 0, minBits: 2048 } });
    await client.create(request);
    // The server has another key now, and no TPM.
    server.keys = makeKeyPair(2048);
    server.answer = echo;
    await expect(client.create(request)).rejects.toMatchObject({ code: "ATTESTATION_MISSING", sent: "no" });
    expect(prompts()).toEqual(["ping", "a confidential prompt", "ping"]);
  });

  it("is repeated for the new key after a 400", async () => {
    attesting();
    const client = make(policy, { serverKey: { minBits: 2048 } });
    await client.create(request);
    server.keys = makeKeyPair(2048);
    server.answer = echo;
    // The old key's package cannot be opened there: 400, then the new key, which attests nothing.
    await expect(client.create(request)).rejects.toMatchObject({ code: "ATTESTATION_MISSING" });
    expect(prompts()).toEqual(["ping", "a confidential prompt", "ping"]);
  });

  it("belongs to tier and policy", async () => {
    attesting();
    const client = make(policy);
    await client.create(request);
    await client.create({ ...request, security_tier: "high" });
    await client.create(request, { attestation: { ...policy, requirePrimary: false } });
    await client.create(request);
    expect(prompts().filter((prompt) => prompt === "ping")).toHaveLength(3);
  });

  it("gives up when every verdict is too old before it comes", async () => {
    attesting();
    const client = make({ ...policy, maxAgeMs: 1 });
    const { answer } = server;
    server.answer = async (received) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return answer(received);
    };
    await expect(client.create(request)).rejects.toMatchObject({ code: "PREFLIGHT_AGE", sent: "no" });
    expect(prompts()).toEqual(["ping", "ping"]);
  });
});

describe("attest()", () => {
  it("asks with one harmless token and gives the report", async () => {
    attesting();
    const report = await make("require").attest({ model: "small" });
    expect(report).toMatchObject({ verified: true });
    expect(server.received[0]?.payload).toEqual({
      model: "small",
      messages: [{ role: "user", content: "ping" }],
      max_tokens: 1,
    });
  });

  it("rejects under require, reports under report and off", async () => {
    await expect(make("require").attest()).rejects.toThrow(AttestationError);
    await expect(make("report").attest()).resolves.toMatchObject({ verified: false });
    await expect(make("off").attest()).resolves.toMatchObject({ verified: false, code: "ATTESTATION_MISSING" });
  });
});

describe("the relay binding", () => {
  it("makes the payload id commit to both keys, and the quote is over that id", async () => {
    attesting();
    const client = make({ version: 1, mode: "require", binding: "optional" });
    const { _metadata } = await client.create(request);
    const { payloadId, clientKey } = server.received[0]!;
    const commitment = createHash("sha256")
      .update(server.keys.publicKey.export({ type: "spki", format: "der" }))
      .update(clientKey.export({ type: "spki", format: "der" }))
      .digest("base64url");
    expect(payloadId).toMatch(/^[0-9a-f-]{36}\./);
    expect(payloadId.slice(37)).toBe(commitment);
    expect(_metadata.payload_id).toBe(payloadId);
  });

  it("when required, refuses a server that does not confirm it", async () => {
    attesting();
    const client = make({ version: 1, mode: "require", binding: "required" });
    await expect(client.create(request)).rejects.toMatchObject({ name: "AttestationError", code: "BINDING_MISSING" });
  });
});
