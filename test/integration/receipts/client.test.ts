/** Receipts of a client: what they say of an answer and of a refusal, beside the answer and in the folder. */
import { createHash, createHmac } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigurationError, getBuildInfo, SecureBuffer } from "../../../lib/index.js";
import type { SecureChatCompletion } from "../../../lib/index.js";
import type { ReceiptOptions } from "../../../lib/receipts/receipt-options.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { receiptFolder, receiptNames, receiptsIn } from "../../support/receipts.js";
import { echo, ReferenceServer } from "../../support/reference-server.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { TestClients } from "../../support/test-clients.js";

const clients = new TestClients();
const request = { model: "m", messages: [{ role: "user" as const, content: "QUOKKA, a word of a prompt" }] };
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");
let server: ReferenceServer;
let base: string;
let folder: string;
beforeEach(async () => {
  server = await ReferenceServer.start();
  ({ base, folder } = receiptFolder());
});
afterEach(async () => {
  await clients.close();
  await server.stop();
  rmSync(base, { recursive: true });
});
afterAll(() => clients.removeKeys());
const client = (receipts?: string | ReceiptOptions): SecureChatCompletion =>
  clients.make({ baseUrl: server.url, apiKey: null, maxRetries: 0, receipts });

describe("without a folder", () => {
  test("withResponse and createSecure give one, outside of any chain", async () => {
    const { data, receipt, response } = await client().create(request).withResponse();
    expect(receipt).toMatchObject({
      version: 1,
      outcome: "answered",
      code: null,
      payload_id: response.payloadId,
      server: server.url,
      attempts: 1,
      tier: { asked: null },
      request: {
        sha256: sha256(server.received[0]!.body),
        bytes: server.received[0]!.body.length,
        plaintext_hmac: null,
      },
      digest_key: null,
      keys: { server: server.keys.fingerprint },
      attestation: { mode: "report", block: data._metadata.tpm_attestation, report: data._metadata.attestation_report },
      software: { package: getBuildInfo().version, openssl: getBuildInfo().opensslVersion },
      chain: null,
    });
    expect(receipt.started_at <= receipt.ended_at).toBe(true);
    using secure = await client().createSecure({ ...request, security_tier: "high" });
    expect(secure.receipt).toMatchObject({ payload_id: secure._metadata.payload_id, tier: { asked: "high" } });
    expect(JSON.stringify([receipt, secure.receipt])).not.toContain("QUOKKA");
  });

  test("a large package is digested as it was sent", async () => {
    const content = "x".repeat(2_000_000);
    const { receipt } = await client()
      .create({ model: "m", messages: [{ role: "user", content }] })
      .withResponse();
    expect(receipt.request!.sha256).toBe(sha256(server.received[0]!.body));
    expect(receipt.response!.bytes).toBeGreaterThan(2_000_000);
  });
});

describe("with a folder", () => {
  test("each answer's receipt is there before the answer, in a chain of one owner's files", async () => {
    const one = client(folder);
    const first = await one.create(request).withResponse();
    expect(receiptsIn(folder)).toEqual([first.receipt]);
    using second = await one.createSecure(request);
    const text = readFileSync(join(folder, receiptNames(folder)[0]!), "utf8");
    const lines = text.split("\n").slice(0, -1);
    expect(first.receipt.chain).toEqual({ sequence: 1, previous: "0".repeat(64) });
    expect(second.receipt.chain).toEqual({ sequence: 2, previous: sha256(lines[0]!) });
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([first.receipt, second.receipt]);
    if (process.platform !== "win32") {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      expect(statSync(join(folder, receiptNames(folder)[0]!)).mode & 0o777).toBe(0o600);
    }
    const policy = readFileSync(join(folder, `policy-${first.receipt.attestation.policy}.json`));
    expect(sha256(policy)).toBe(first.receipt.attestation.policy);
  });

  test("another client goes on where the first has ended, and none can write beside it", async () => {
    const one = client(folder);
    await one.create(request);
    const refused = await client(folder)
      .create(request)
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(refused).toBeInstanceOf(ConfigurationError);
    expect(refused).toMatchObject({ option: "receipts", sent: "no", message: expect.stringContaining("one writer") });
    expect(server.received).toHaveLength(1);
    await one.close();
    await client(folder).create(request);
    expect(receiptsIn(folder).map(({ chain }) => chain!.sequence)).toEqual([1, 2]);
  });

  test("with a key, both plaintexts are digested by it, padding left out", async () => {
    const digestKeyFile = join(base, "key");
    writeFileSync(digestKeyFile, "k".repeat(40), { mode: 0o600 });
    const one = clients.make({
      baseUrl: server.url,
      apiKey: null,
      padding: "bucket",
      receipts: { folder, digestKeyFile },
    });
    const key = "k".repeat(40);
    const hmac = (text: string): string => createHmac("sha256", key).update(text).digest("hex");
    using secret = SecureBuffer.from("a long text ".repeat(20_000));
    for (const content of ["short", secret]) {
      using answer = await one.createSecure({ model: "m", messages: [{ role: "user", content }] });
      const { request: sent, response, digest_key: id } = answer.receipt;
      const asked = content === secret ? secret.toString() : "short";
      const json = JSON.stringify({ model: "m", messages: [{ role: "user", content: asked }] });
      expect(sent!.plaintext_hmac).toBe(hmac(json));
      expect(response!.plaintext_hmac).toBe(hmac(answer.text()));
      expect(id).toBe(hmac("nomyo-native receipt key").slice(0, 16));
    }
  });

  test.each([
    ["open to others", "k".repeat(32), 0o644, /chmod 600/],
    ["too short", "k".repeat(31), 0o600, /32 to 1024 bytes/],
    ["too long", "k".repeat(1025), 0o600, /32 to 1024 bytes/],
    ["not there", undefined, 0o600, /ENOENT/],
  ])("a digest key that is %s is refused, and nothing is sent", async (_what, content, mode, message) => {
    if (process.platform === "win32" && mode !== 0o600) return;
    const digestKeyFile = join(base, "key");
    if (content !== undefined) {
      writeFileSync(digestKeyFile, content);
      chmodSync(digestKeyFile, mode);
    }
    const failed = client({ folder, digestKeyFile }).create(request);
    await expect(failed).rejects.toMatchObject({
      code: "CONFIGURATION",
      sent: "no",
      message: expect.stringMatching(message),
    });
    expect(server.received).toEqual([]);
  });

  test("an answer that was refused has one too, with the reason; a server's own refusal has none", async () => {
    const one = client(folder);
    server.answer = (asked) => ({ ...echo(asked), _metadata: { payload_id: "of another request" } });
    await expect(one.create(request)).rejects.toMatchObject({ code: "PAYLOAD_ID" });
    server.answer = echo;
    await expect(one.create(request, { attestation: "require" })).rejects.toMatchObject({
      code: "ATTESTATION_MISSING",
    });
    server.onPost = (_body, _request, response) => void response.end("{}");
    await expect(one.create(request)).rejects.toMatchObject({ code: "PACKAGE_FORMAT" });
    server.onPost = (_body, _request, response) => void response.writeHead(503).end("{}");
    await expect(one.create(request)).rejects.toMatchObject({ statusCode: 503 });
    const receipts = receiptsIn(folder);
    expect(receipts.map(({ outcome, code }) => [outcome, code])).toEqual([
      ["refused", "PAYLOAD_ID"],
      ["refused", "ATTESTATION_MISSING"],
      ["refused", "PACKAGE_FORMAT"],
    ]);
    expect(receipts[1]!.attestation).toMatchObject({ mode: "require", report: { verified: false } });
    expect(receipts[2]!.response).toEqual({ bytes: 2, sha256: sha256("{}"), plaintext_hmac: null });
  });

  test("a key that is not the pinned one is recorded, though nothing was sent", async () => {
    const one = clients.make({
      baseUrl: server.url,
      apiKey: null,
      receipts: folder,
      serverKey: { fingerprints: "ab".repeat(32) },
    });
    await expect(one.create(request)).rejects.toMatchObject({ code: "SERVER_KEY_PIN" });
    expect(receiptsIn(folder)).toMatchObject([
      { outcome: "refused", code: "SERVER_KEY_PIN", payload_id: null, request: null },
    ]);
  });

  test("attest() hands nothing on, and has none", async () => {
    const one = client(folder);
    await one.attest();
    await one.ready();
    expect(receiptsIn(folder)).toEqual([]);
  });

  test("many at once are one chain", async () => {
    const one = client({ folder, maxFileBytes: 1024 * 1024 });
    await Promise.all(Array.from({ length: 60 }, () => one.create(request)));
    const receipts = receiptsIn(folder);
    expect(receipts.map(({ chain }) => chain!.sequence)).toEqual(receipts.map((_, at) => at + 1));
    expect(new Set(receipts.map(({ payload_id: id }) => id)).size).toBe(60);
  });

  test("a receipt that cannot be written keeps the answer back, and later requests too until it can", async () => {
    const one = client(folder);
    await one.create(request);
    // Moved away: what is written now would be nobody's.
    const file = join(folder, receiptNames(folder)[0]!);
    const written = readFileSync(file);
    rmSync(file);
    await expect(one.create(request)).rejects.toMatchObject({
      code: "RECEIPT_NOT_WRITTEN",
      sent: "yes",
      payloadId: expect.any(String),
    });
    expect(server.received).toHaveLength(2);
    writeFileSync(file, "no receipt\n", { mode: 0o600 });
    await expect(one.create(request)).rejects.toMatchObject({ code: "CONFIGURATION", sent: "no" });
    expect(server.received).toHaveLength(2);
    rmSync(file);
    // Nor does a chain that it has written begin anew.
    await expect(one.create(request)).rejects.toMatchObject({ code: "CONFIGURATION", sent: "no" });
    expect(server.received).toHaveLength(2);
    writeFileSync(file, written, { mode: 0o600 });
    await one.create(request);
    expect(receiptsIn(folder)).toHaveLength(2);
    expect(existsSync(join(folder, ".probe"))).toBe(false);
  });
});

describe("from a server with a TPM", () => {
  let tpm: SoftwareTpm;
  let router: Router;
  let keyFile: ReturnType<typeof routerKeyFile>;
  beforeAll(async () => {
    tpm = await SoftwareTpm.start();
    keyFile = routerKeyFile();
    router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti } });
  });
  afterAll(async () => {
    await router.close();
    await tpm.close();
    keyFile.remove();
  });

  test("the block is as it came, and the report is the verifier's", async () => {
    const one = clients.make({ baseUrl: router.url, receipts: folder, attestation: "require" });
    const { data, receipt } = await one.create({ ...request, security_tier: "maximum" }).withResponse();
    expect(receipt).toMatchObject({
      tier: { asked: "maximum", given: "maximum" },
      attestation: {
        mode: "require",
        block: data._metadata.tpm_attestation,
        report: { verified: true, trust: "self-asserted", policyId: receipt.attestation.policy },
      },
      keys: { server: router.publicKey.spkiSha256 },
    });
  });
});
