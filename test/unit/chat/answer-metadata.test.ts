/** What the server says about itself: which answer it is of, at which tier, and nothing of our own verdict. */
import { checkServerMetadata, completeMetadata } from "../../../lib/chat/answer-metadata.js";
import type { SecurityTier } from "../../../lib/chat/security-tier.js";

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
