/**
 * Sealing writes what `JSON.stringify` writes, opening gives what `JSON.parse` gives, for values that nobody thought
 * of. The other end is Node's own crypto. `NOMYO_PROPERTY_RUNS` sets how many values each property sees (5 000 by
 * default; the long run is 100 000).
 */
import fc from "fast-check";
import { openPackage } from "../../../lib/envelope/open.js";
import { sealJson } from "../../../lib/envelope/seal.js";
import { quickKey } from "../../support/client-key.js";
import type { TestKey } from "../../support/client-key.js";
import { nodeOpen, nodeSeal } from "../../support/node-package.js";
import { rounds } from "../../support/rounds.js";
import { expectSameValue, parseJson } from "../../support/same-value.js";

const runs = Number(process.env["NOMYO_PROPERTY_RUNS"] ?? rounds(5000));
/** Values that share one package: the RSA operations would take all the time otherwise. */
const perPackage = 25;
const timeout = 60_000 + runs * 20;

let key: TestKey;
beforeAll(async () => {
  key = await quickKey();
});

// Strings of every kind: any code units (lone surrogates too), only Latin-1, long runs, and what JSON escapes.
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "binary", minLength: 60, maxLength: 90 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 100 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xff }).map((unit) => String.fromCharCode(unit)), maxLength: 200 }),
  fc.constantFrom("\ud800", "\udc00", "\ud83d\ude00", "\u2028", "\x7f", "__proto__", "toJSON", '"\\\n', "\0"),
  fc
    .tuple(fc.string({ unit: "binary", minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 9000 }))
    .map(([unit, times]) => unit.repeat(times)),
);
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 0, 2 ** 53, 1e21, 1e-7, 5e-324, NaN, Infinity));
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(text, number, fc.boolean(), fc.constantFrom<unknown>(null, undefined)),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.oneof(text, fc.integer({ min: 0, max: 20 }).map(String)), tie("value"), { maxKeys: 6 }),
  ),
}));

const check = (property: fc.IRawProperty<unknown>): void | Promise<void> =>
  fc.assert(property, { numRuns: Math.ceil(runs / perPackage), endOnFailure: false });

const many = fc.array(value, { minLength: perPackage, maxLength: perPackage });

test(
  "sealed bytes are JSON.stringify's",
  async () => {
    await check(
      fc.property(many, (values) => {
        const got = nodeOpen(
          key.privatePem,
          sealJson(key.publicKey, { values }, { maxPlaintextBytes: 1 << 26, locking: "required" }),
        ).bytes;
        expect(got.equals(Buffer.from(JSON.stringify({ values })))).toBe(true);
      }),
    );
  },
  timeout,
);

// JSON text in forms that JSON.stringify never writes: other spaces, other escapes, other spellings of numbers,
// duplicate keys.
const space = fc.constantFrom("", "", "", " ", "\n", "\t\r ");
const hex4 = (unit: number): string => "\\u" + unit.toString(16).padStart(4, "0");
const stringText = fc.oneof(
  text.map((string) => JSON.stringify(string)),
  text.map(
    (string) =>
      `"${Array.from({ length: Math.min(string.length, 99) }, (_, i) => hex4(string.charCodeAt(i))).join("")}"`,
  ),
  fc
    .array(
      fc.constantFrom(
        "\\/",
        "/",
        "\\b",
        "\\f",
        "\\n",
        "\\\\",
        '\\"',
        "é",
        "漢",
        "😀",
        "\\u00E9",
        "\\uD83D\\uDE00",
        "\\ud83d",
        "a",
      ),
      { maxLength: 30 },
    )
    .map((parts) => `"${parts.join("")}"`),
);
const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 25 }).map((list) => list.join(""));
const numberText = fc
  .tuple(
    fc.constantFrom("", "-"),
    digits,
    fc.option(digits),
    fc.option(fc.tuple(fc.constantFrom("e", "E", "e+", "E-", "e-"), fc.integer({ min: 0, max: 400 }))),
  )
  .map(
    ([sign, whole, fraction, exponent]) =>
      sign + whole.replace(/^0+(?=.)/, "") + (fraction === null ? "" : `.${fraction}`) + (exponent?.join("") ?? ""),
  );
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc
    .tuple(
      space,
      fc.oneof(
        { depthSize: "small" },
        fc.oneof(stringText, numberText, fc.constantFrom("true", "false", "null")),
        fc.array(tie("json"), { maxLength: 5 }).map((items) => `[${items.join(",")}]`),
        fc
          .array(
            fc.tuple(
              space,
              fc.oneof(stringText, fc.constantFrom('"a"', '"__proto__"', '"1"', '"0"')),
              space,
              tie("json"),
            ),
            { maxLength: 6 },
          )
          .map((members) => `{${members.map(([a, name, b, member]) => `${a}${name}${b}:${member}`).join(",")}}`),
      ),
      space,
    )
    .map((parts) => parts.join("")),
}));

test(
  "opened values are JSON.parse's",
  async () => {
    await check(
      fc.asyncProperty(fc.array(json, { minLength: perPackage, maxLength: perPackage }), async (texts) => {
        const plaintext = `{"values":[${texts.join(",")}]}`;
        const opened = await openPackage(key.privateKey, nodeSeal(key.publicPem, plaintext), { locking: "required" });
        expectSameValue(opened.value(), parseJson(plaintext));
        opened.dispose();
      }),
    );
  },
  timeout,
);

test(
  "text that JSON.parse refuses is refused, text that it takes is taken",
  async () => {
    const mutated = fc
      .tuple(
        json,
        fc.nat(),
        fc.constantFrom("", '"', "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "\n", "\x01", "t", "u", " "),
      )
      .map(([whole, at, insert]) => {
        const place = at % (whole.length + 1);
        return whole.slice(0, place) + insert + whole.slice(place + (at % 3));
      });
    await fc.assert(
      fc.asyncProperty(mutated, async (inner) => {
        // What JSON.parse takes of a broken surrogate pair, UTF-8 cannot carry: replaced before both see it.
        const plaintext = Buffer.from(`{"value":${inner}}`);
        let wanted: unknown;
        try {
          wanted = parseJson(plaintext.toString());
        } catch {
          wanted = undefined;
        }
        const outcome: unknown = await openPackage(key.privateKey, nodeSeal(key.publicPem, plaintext), {
          locking: "required",
        }).then(
          (opened) => opened.value(),
          (error: unknown) => (error as { code?: unknown }).code,
        );
        if (wanted === undefined) expect(outcome).toBe("PLAINTEXT");
        else expectSameValue(outcome, wanted);
      }),
      { numRuns: Math.ceil(runs / 5) },
    );
  },
  timeout,
);
