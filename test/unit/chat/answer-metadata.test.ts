/** What the server says about itself: which answer it is of, at which tier, and nothing of our own verdict. */
import {
  checkServerMetadata,
  completeMetadata,
  MAX_METADATA_BYTES,
  readServerMetadata,
} from "../../../lib/chat/answer-metadata.js";
import type { SecurityTier } from "../../../lib/chat/security-tier.js";
import { openPackage } from "../../../lib/envelope/open.js";
import { quickKey } from "../../support/client-key.js";
import { nodeSeal } from "../../support/node-package.js";

describe("the tier", () => {
  it.each([
    ["standard", "standard"],
    ["standard", "maximum"],
    ["high", "high"],
    ["high", "maximum"],
    ["maximum", "maximum"],
    [undefined, "standard"],
    [undefined, "something"],
    ["maximum", undefined],
    ["maximum", null],
  ] as [SecurityTier | undefined, unknown][])("asked %p, given %p: accepted", (asked, security_tier) => {
    expect(checkServerMetadata({ security_tier }, "id", asked)).toEqual({ security_tier });
  });

  it.each([
    ["high", "standard"],
    ["maximum", "high"],
    ["maximum", "standard"],
    ["standard", "something"],
    ["high", "MAXIMUM"],
    ["high", 3],
    ["high", ["high"]],
    ["high", {}],
  ] as [SecurityTier, unknown][])("asked %p, given %p: refused", (asked, security_tier) => {
    expect(() => checkServerMetadata({ security_tier }, "id", asked)).toThrow(
      expect.objectContaining({ name: "SecurityError", code: "SECURITY_TIER" }) as Error,
    );
  });
});

test("a report of the server's is dropped, with and without one of ours", () => {
  const forged = { attestation_report: { verified: true }, other: 1 };
  expect(completeMetadata(forged, "id", undefined, undefined)).not.toHaveProperty("attestation_report");
  const ours = { verified: false } as never;
  expect(completeMetadata(forged, "id", undefined, ours)).toMatchObject({ attestation_report: ours, other: 1 });
});

describe("the size", () => {
  /** `_metadata` of exactly so many bytes, of as many values as possible. */
  const opened = async (bytes: number) => {
    const key = await quickKey();
    const list = `[0${",0".repeat((bytes - '{"a":[0]}'.length) >> 1)}]`;
    const metadata = `{"a":${list}${" ".repeat(bytes - list.length - '{"a":}'.length)}}`;
    expect(metadata).toHaveLength(bytes);
    const text = `{"choices":[],"_metadata":${metadata}}`;
    return await openPackage(key.privateKey, nodeSeal(key.publicPem, text), { locking: "required" });
  };

  test("the longest that is read, and one byte more, of which no value is made", async () => {
    expect(readServerMetadata(await opened(MAX_METADATA_BYTES))).toHaveProperty("a.0", 0);
    const longer = await opened(MAX_METADATA_BYTES + 1);
    expect(() => readServerMetadata(longer)).toThrow(
      expect.objectContaining({ name: "SecurityError", code: "METADATA" }) as Error,
    );
  });

  test("an answer has none, or is none any more", async () => {
    const key = await quickKey();
    const none = await openPackage(key.privateKey, nodeSeal(key.publicPem, "{}"), { locking: "required" });
    expect(readServerMetadata(none)).toBeUndefined();
    none.dispose();
    expect(() => readServerMetadata(none)).toThrow(expect.objectContaining({ code: "DISPOSED" }) as Error);
  });
});
