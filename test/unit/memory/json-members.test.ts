import fc from "fast-check";
import { JsonObjectError, scanObject } from "../../../lib/memory/json-members.js";
import { native } from "../../../lib/native.js";
import type { ScannedObject, ScanOptions } from "../../../lib/native.js";

interface Scanned extends ScannedObject {
  /** The text afterwards. */
  readonly text: string;
}

/** Scans text in the pool. */
async function scan(text: string | Uint8Array, options: Partial<ScanOptions> = {}): Promise<Scanned> {
  const buffer = native.bufferFrom(typeof text === "string" ? new TextEncoder().encode(text) : text, "preferred");
  try {
    const scanned = await scanObject(
      buffer,
      native.bufferLength(buffer),
      { find: [], blank: [], refuseFolded: false, maxDepth: 100, ...options },
      "preferred",
    );
    return { ...scanned, text: native.bufferToString(buffer) };
  } finally {
    native.bufferDispose(buffer);
  }
}

const refusal = async (text: string | Uint8Array, options: Partial<ScanOptions> = {}) => {
  const outcome: unknown = await scan(text, options).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(JsonObjectError);
  return (outcome as JsonObjectError).message;
};

describe("finding", () => {
  test("gives the values' places, as JSON.parse sees them", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue(), { minKeys: 1 }),
        fc.nat(3),
        fc.nat(),
        async (value, indent, pick) => {
          const text = ` ${JSON.stringify(value, null, indent)}\n`;
          const names = Object.keys(value);
          const name = names[pick % names.length]!;
          const { found, left, close } = await scan(text, { find: [name, "nothing of the kind"] });
          const bytes = new TextEncoder().encode(text);
          const place = found[0]!;
          const parsed = JSON.parse(text) as Record<string, unknown>;
          expect(JSON.parse(new TextDecoder().decode(bytes.subarray(place.begin, place.end)))).toEqual(parsed[name]);
          expect(found[1]).toBeNull();
          expect(left).toBe(names.length);
          expect(String.fromCharCode(bytes[close]!)).toBe("}");
        },
      ),
      { numRuns: 200 },
    );
  });

  test("by what the name stands for, however it is escaped", async () => {
    expect((await scan('{"m\\u006fdel":"x"}', { find: ["model"] })).found).toEqual([{ begin: 14, end: 17 }]);
  });
});

test("exactly the texts are accepted that JSON.parse accepts, among broken ones", async () => {
  const base = '{"a":[1,-0.5e+3,{"b":"\\u00e9\\n"},[],{}],"c":null,"d":true,"e":false}';
  for (let at = 0; at < base.length; at += 1) {
    for (const edit of ["", "{", "}", "[", '"', ",", ":", "\\", "0", "-", "e", "t", " ", "\u0001"]) {
      const text = base.slice(0, at) + edit + base.slice(at + 1);
      let parses = true;
      try {
        JSON.parse(text);
      } catch {
        parses = false;
      }
      const outcome = await scan(text).then(
        () => "accepted",
        (error: unknown) => (error as Error).message,
      );
      if (!parses) expect([text, outcome]).toEqual([text, expect.stringContaining("not the JSON of one object")]);
      else expect([text, outcome]).toEqual([text, expect.stringMatching(/^(accepted|a name occurs twice)$/)]);
    }
  }
});

describe("refused", () => {
  test.each(["", " ", "[]", "1", '"a"', "{}{}", "{} x", '{"a":1,}', '{"a":01}', "{a:1}", '\ufeff{"a":1}'])(
    "%j",
    async (text) => {
      expect(await refusal(text)).toBe("it is not the JSON of one object in UTF-8, or nested too deeply");
    },
  );

  test("what is not UTF-8", async () => {
    await refusal(Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
  });

  test("what is nested deeper than allowed, and no stack is needed for what is", async () => {
    expect((await scan('{"a":[[[[]]]]}', { maxDepth: 5 })).left).toBe(1);
    await refusal('{"a":[[[[[]]]]]}', { maxDepth: 5 });
    const text = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    expect((await scan(text, { maxDepth: 300_000 })).left).toBe(1);
  });

  test("a name that occurs twice, known or not, however it is escaped; nothing is blanked then", async () => {
    expect(await refusal('{"model":"a","m\\u006fdel":"b"}')).toBe("a name occurs twice");
    expect(await refusal('{"x":1,"y":2,"\\u0078":3}', { blank: ["y"] })).toBe("a name occurs twice");
  });

  test("more members than anybody asks with: a flood ends where the bound is, in one pass of native code", async () => {
    const members = (count: number) =>
      `{${Array.from({ length: count }, (_, i) => `"${i.toString(36)}":0`).join(",")}}`;
    expect((await scan(members(4096))).left).toBe(4096);
    expect(await refusal(members(4097))).toBe("it has more than 4096 members");
    // Only a call of the addon is made for it, and no byte of it is handed to JavaScript.
    const calls = jest.spyOn(native, "scanObject");
    const views = jest.spyOn(native, "bufferView");
    try {
      expect(await refusal(members(1_000_000))).toBe("it has more than 4096 members");
      expect(calls).toHaveBeenCalledTimes(1);
      expect(views).not.toHaveBeenCalled();
    } finally {
      calls.mockRestore();
      views.mockRestore();
    }
  });
});

describe("names that others take for ours", () => {
  const request = { find: ["model"], blank: ["stream", "stream_options"], refuseFolded: true };
  test.each([
    ["Model", "model"],
    ["MODEL", "model"],
    ["m\\u004fdel", "model"],
    ["mo_del", "model"],
    ["Stream", "stream"],
    ["\u017ftream", "stream"],
    ["\\u017Ftream", "stream"],
    ["STREAM_OPTIONS", "stream_options"],
    ["streamOptions", "stream_options"],
    ["stream-options", "stream_options"],
    ["\u017ftream_option\u017f", "stream_options"],
  ])("%s", async (name, known) => {
    const text = `{"model":"small","${name}":"large"}`;
    expect(await refusal(text, request)).toBe(`some parsers take one of its names for "${known}"`);
    expect((await scan(text)).left).toBe(2);
  });

  test("the Kelvin sign is a k", async () => {
    expect(await refusal('{"to\u212aen":1}', { find: ["token"], refuseFolded: true })).toMatch(/"token"/);
  });

  test.each(["models", "mode", "m\u00f6del", "stream_option", "metadata", "\u017f", "", "_", "\ud83d\ude00model"])(
    "%j is only itself",
    async (name) => {
      expect((await scan(JSON.stringify({ model: "m", [name]: 1 }), request)).left).toBe(2);
    },
  );
});

describe("blanking", () => {
  test("takes members away, neighbours too, and leaves the others as they were", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 0 }),
        fc.subarray(["a", "b", "c", "d", "e", "f"]),
        fc.nat(2),
        async (names, blank, indent) => {
          const value = Object.fromEntries(names.map((name, index) => [name, { [name]: [index, "x,}"] }]));
          const text = JSON.stringify(value, null, indent);
          const scanned = await scan(text, { blank });
          const kept = Object.entries(value).filter(([name]) => !blank.includes(name));
          expect(scanned.text).toHaveLength(text.length);
          expect(Object.entries(JSON.parse(scanned.text) as object)).toEqual(kept);
          expect(scanned.left).toBe(kept.length);
        },
      ),
      { numRuns: 500 },
    );
  });
});

test("a buffer that a view is out of is not scanned, nor more than it holds", async () => {
  const buffer = native.bufferFrom("{}", "preferred");
  const options = { find: [], blank: [], refuseFolded: false, maxDepth: 10 };
  const view = native.bufferView(buffer);
  await expect(scanObject(buffer, 2, options, "preferred")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  native.bufferReleaseView(buffer, view);
  await expect(scanObject(buffer, 3, options, "preferred")).rejects.toThrow("expected a length in the buffer");
  await expect(scanObject(buffer, 2, options, "preferred", AbortSignal.abort())).rejects.toMatchObject({
    code: "CANCELLED",
  });
  native.bufferDispose(buffer);
});

test("a view that another owner of the same bytes has counts too, for as long as it is out", async () => {
  const buffer = native.bufferFrom("{} ", "preferred");
  const shared = native.bufferShare(buffer);
  const options = { find: [], blank: [], refuseFolded: false, maxDepth: 10 };
  const view = native.bufferView(shared);
  await expect(scanObject(buffer, 2, options, "preferred")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(() => native.bufferTruncate(buffer, 2)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  native.bufferReleaseView(shared, view);
  native.bufferTruncate(buffer, 2);
  await expect(scanObject(buffer, 2, options, "preferred")).resolves.toBeDefined();

  // Who disposes of his own takes nothing from the other one, who looks at it.
  const again = native.bufferView(shared);
  native.bufferDispose(buffer);
  expect(Buffer.from(again).toString()).toBe("{}");
  expect(() => native.bufferDispose(shared)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  native.bufferReleaseView(shared, again);
  native.bufferDispose(shared);
});
