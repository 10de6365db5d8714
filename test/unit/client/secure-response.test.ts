import { inspect } from "node:util";
import { openPackage } from "../../../lib/envelope/open.js";
import { sealJson } from "../../../lib/envelope/seal.js";
import { ConfigurationError } from "../../../lib/errors.js";
import { SecureResponse } from "../../../lib/client/secure-response.js";
import { native } from "../../../lib/native.js";
import type { PrivateKeyHandle, PublicKeyHandle } from "../../../lib/native.js";
import { madeUpReceipt } from "../../support/receipts.js";
import settledPool from "../../support/settled-pool.cjs";
import type { AnswerMetadata } from "../../../lib/chat/chat-types.js";

const metadata: AnswerMetadata = {
  payload_id: "id",
  is_encrypted: true,
  encryption_algorithm: "hybrid-aes256-rsa4096",
};

const answer = {
  id: "chatcmpl-1",
  choices: [{ index: 0, message: { role: "assistant", content: "Grüße, 世界 😀" }, finish_reason: "stop" }],
  usage: { total_tokens: 7 },
};

let key: PrivateKeyHandle;
let recipient: PublicKeyHandle;
beforeAll(async () => {
  key = await native.generatePrivateKey(2048, "required");
  recipient = native.privateKeyPublic(key);
});

async function response(value: unknown = answer, logger?: { debug(message: string): void }): Promise<SecureResponse> {
  const body = sealJson(recipient, value, { maxPlaintextBytes: 1 << 20, locking: "required" });
  return new SecureResponse(await openPackage(key, body, { locking: "required", logger }), metadata, madeUpReceipt());
}

describe("SecureResponse", () => {
  it("copies out only what is asked for", async () => {
    using secure = await response();
    expect(secure.text()).toBe(JSON.stringify(answer));
    expect(secure.byteLength).toBe(Buffer.byteLength(JSON.stringify(answer)));
    expect(secure.json()).toEqual({ ...answer, _metadata: metadata });
    expect(secure.get("/usage/total_tokens")).toBe(7);
    expect(secure.get("/choices/0/message")).toEqual(answer.choices[0]?.message);
    expect(secure._metadata).toBe(metadata);
  });

  it("shows the server's own report in its own words only", async () => {
    const forged = { ...answer, _metadata: { payload_id: "id", attestation_report: { verified: true } } };
    using secure = await response(forged);
    expect(secure.json()._metadata).toEqual(metadata);
    expect(secure._metadata).not.toHaveProperty("attestation_report");
    expect(secure.text()).toBe(JSON.stringify(forged));
    expect(secure.get("/_metadata")).toEqual(forged._metadata);
  });

  it("refuses json() of what is no object", async () => {
    using secure = await response({ ...answer });
    jest.spyOn(native, "openedValue").mockReturnValueOnce([1]);
    expect(() => secure.json()).toThrow(expect.objectContaining({ code: "ANSWER_SHAPE" }) as Error);
  });

  it("gives text as a SecureBuffer, which outlives it", async () => {
    const secure = await response();
    using content = secure.content();
    using id = secure.content("/id");
    secure.dispose();
    expect(content.locked).toBe(true);
    expect(content.toString()).toBe("Grüße, 世界 😀");
    expect(id.toString()).toBe("chatcmpl-1");
  });

  it("says when there is nothing, or no text, at a pointer", async () => {
    using secure = await response();
    for (const work of [
      () => secure.get("/choices/1"),
      () => secure.content("/usage"),
      () => secure.content("/nothing"),
    ]) {
      expect(work).toThrow(expect.objectContaining({ code: "NOT_FOUND" }) as Error);
    }
  });

  it("shows nothing by accident", async () => {
    using secure = await response();
    expect(inspect(secure, { showHidden: true, depth: 9 })).toBe("[SecureResponse: redacted]");
    expect(() => JSON.stringify({ secure })).toThrow(ConfigurationError);
    expect(JSON.stringify(Object.entries(secure))).not.toContain("Grüße");
  });

  it("throws DISPOSED after disposal", async () => {
    const secure = await response();
    secure.dispose();
    secure.dispose();
    for (const work of [
      () => secure.text(),
      () => secure.json(),
      () => secure.content(),
      () => secure.get(""),
      () => secure.byteLength,
    ]) {
      expect(work).toThrow(expect.objectContaining({ code: "DISPOSED" }) as Error);
    }
    expect(secure._metadata.payload_id).toBe("id");
  });

  it("gives its memory back on disposal", async () => {
    const inUse = async () => (await settledPool(() => native.memoryInfo())).bytesInUse;
    const secure = await response();
    const [held, { byteLength }] = [await inUse(), secure];
    secure.dispose();
    expect(held - (await inUse())).toBeGreaterThanOrEqual(byteLength);
  });
});
