import { GrowingBytes } from "../../../lib/http/growing-bytes.js";

describe("GrowingBytes", () => {
  test("collects pieces of every size in their order", () => {
    const pieces = Array.from({ length: 300 }, (_, i) => Buffer.alloc((i * 37) % 1000, i));
    const bytes = new GrowingBytes(1_000_000);
    for (const piece of pieces) bytes.append(piece);
    expect(Buffer.concat(pieces).equals(bytes.bytes)).toBe(true);
  });

  test("takes memory in few steps, tells of each before, and never more than twice what it holds", () => {
    const grown: number[] = [];
    const bytes = new GrowingBytes(10_000_000, (more) => grown.push(more));
    for (let i = 0; i < 1_000_000; i += 1) bytes.append(Uint8Array.of(i));
    expect(grown.length).toBeLessThan(10);
    expect(grown.reduce((sum, more) => sum + more, 0)).toBe(bytes.capacity);
    expect(bytes.capacity).toBeLessThan(2 * bytes.length);
  });

  test("stops at its limit, and takes no more than that", () => {
    const bytes = new GrowingBytes(100_000);
    bytes.append(Buffer.alloc(99_999, 1));
    bytes.append(Buffer.alloc(1, 2));
    expect(bytes.capacity).toBe(100_000);
    expect(() => bytes.append(Buffer.alloc(1))).toThrow(RangeError);
    expect([bytes.length, bytes.bytes.at(-1)]).toEqual([100_000, 2]);
  });

  test("is as it was when more memory is refused", () => {
    const bytes = new GrowingBytes(1_000_000, (more) => {
      if (more > 50_000) throw new Error("no");
    });
    bytes.append(Buffer.alloc(20_000, 7));
    expect(() => bytes.append(Buffer.alloc(100_000))).toThrow("no");
    expect([bytes.length, bytes.capacity]).toEqual([20_000, 20_000]);
  });
});
