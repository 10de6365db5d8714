import fc from "fast-check";
import { blankMember, JsonObjectError, scanObject } from "../../../lib/router/json-members.js";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const scan = (text: string, depth = 100) => scanObject(bytesOf(text), depth);

describe("scanObject", () => {
  test("finds the members' names and values, as JSON.parse sees them", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), fc.nat(3), (value, indent) => {
        const text = ` ${JSON.stringify(value, null, indent)}\n`;
        const bytes = bytesOf(text);
        const { members } = scanObject(bytes, 100);
        const found = members.map(({ name, valueStart, end }) => [
          name,
          JSON.parse(textOf(bytes.subarray(valueStart, end))) as unknown,
        ]);
        expect(found).toEqual(Object.entries(JSON.parse(text) as object));
      }),
    );
  });

  test("accepts exactly the texts that JSON.parse accepts, among broken ones", () => {
    const base = '{"a":[1,-0.5e+3,{"b":"\\u00e9\\n"},[],{}],"c":null,"d":true,"e":false}';
    fc.assert(
      fc.property(
        fc.nat(base.length - 1),
        fc.constantFrom(
          "delete",
          "double",
          ...["{", "}", "[", "]", '"', ",", ":", "\\", "0", "-", ".", "e", "1", "t", "u", " ", "\u0001"],
        ),
        (at, edit) => {
          const replacement = edit === "delete" ? "" : edit === "double" ? base[at]!.repeat(2) : edit;
          const text = base.slice(0, at) + replacement + base.slice(at + 1);
          let parsed: unknown;
          try {
            parsed = JSON.parse(text);
          } catch {
            parsed = undefined;
          }
          if (parsed === undefined) expect(() => scan(text)).toThrow(JsonObjectError);
          else if (new Set(topLevelNames(text)).size === topLevelNames(text).length) {
            expect(
              scan(text)
                .members.map(({ name }) => name)
                .sort(),
            ).toEqual(Object.keys(parsed as object).sort());
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each([
    "",
    " ",
    "[]",
    "1",
    '"a"',
    "{}{}",
    "{} x",
    '{"a":1,}',
    '{"a":01}',
    '{"a":.5}',
    '{"a":+1}',
    "{a:1}",
    '\ufeff{"a":1}',
  ])("refuses %j", (text) => {
    expect(() => scan(text)).toThrow(JsonObjectError);
  });

  test("refuses a name that occurs twice, however it is escaped", () => {
    expect(() => scan('{"model":"a","m\\u006fdel":"b"}')).toThrow("a name occurs twice");
  });

  test("refuses what is nested deeper than allowed", () => {
    expect(scan('{"a":[[[[]]]]}', 5).members).toHaveLength(1);
    expect(() => scan('{"a":[[[[[]]]]]}', 5)).toThrow("nested too deeply");
  });

  test("needs no stack for a deep text", () => {
    const text = `{"a":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
    expect(scan(text, 300_000).members).toHaveLength(1);
  });
});

describe("blankMember", () => {
  test("takes one member away and leaves the others as they were", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (value, pick) => {
        const text = JSON.stringify(value);
        const names = Object.keys(value);
        const name = names[pick % names.length]!;
        const bytes = bytesOf(text);
        blankMember(bytes, name, 100);
        const left = Object.entries(JSON.parse(text) as object).filter(([key]) => key !== name);
        expect(bytes).toHaveLength(bytesOf(text).length);
        expect(Object.entries(JSON.parse(textOf(bytes)) as object)).toEqual(left);
      }),
    );
  });

  test("takes neighbours away one after the other", () => {
    const bytes = bytesOf('{"model":"m","stream":true,"stream_options":{"include_usage":true}}');
    blankMember(bytes, "stream", 100);
    blankMember(bytes, "stream_options", 100);
    expect(JSON.parse(textOf(bytes))).toEqual({ model: "m" });
  });
});

/** The names of the outermost object of valid JSON, those that occur twice included. */
function topLevelNames(text: string): string[] {
  const names: string[] = [];
  let depth = 0;
  let expectName = false;
  for (const token of text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []) {
    if (token === "{" || token === "[") {
      depth += 1;
      expectName = token === "{" && depth === 1;
    } else if (token === "}" || token === "]") depth -= 1;
    else if (token === "," && depth === 1) expectName = true;
    else if (expectName && depth === 1) {
      names.push(JSON.parse(token) as string);
      expectName = false;
    }
  }
  return names;
}
