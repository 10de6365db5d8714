/** The key of plaintexts' digests: whoever cannot be given one has none left in memory either. */
import { DigestKey } from "../../../lib/envelope/digest.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { native } from "../../../lib/native.js";

test("takes its bytes over, and wipes them when it is disposed of", () => {
  const bytes = SecureBuffer.from("k".repeat(32));
  const key = new DigestKey(bytes, "required");
  expect(key.id).toMatch(/^[0-9a-f]{16}$/);
  expect(bytes.disposed).toBe(false);
  key.dispose();
  expect(bytes.disposed).toBe(true);
});

test("wipes them at once, not when the collector comes, where its first HMAC fails", () => {
  const bytes = SecureBuffer.from("k".repeat(32));
  const failing = jest.spyOn(native, "hmacSha256").mockImplementation(() => {
    throw Object.assign(new Error("no memory"), { code: "OUT_OF_MEMORY" });
  });
  try {
    expect(() => new DigestKey(bytes, "required")).toThrow("no memory");
  } finally {
    failing.mockRestore();
  }
  expect(bytes.disposed).toBe(true);
});
