import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { ConfigurationError, InvalidRequestError, NomyoError } from "../../../lib/errors.js";
import { sealJson, Snapshot } from "../../../lib/envelope/seal.js";
import type { SealOptions } from "../../../lib/envelope/seal.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { native } from "../../../lib/native.js";
import { buildPackage, root } from "../../support/built-package.js";
import { clientKey } from "../../support/client-key.js";
import type { TestKey } from "../../support/client-key.js";
import { nodeOpen } from "../../support/node-package.js";
import settledPool from "../../support/settled-pool.cjs";

const options: SealOptions = { maxPlaintextBytes: 10 * 1024 * 1024, locking: "required" };

let key: TestKey;
beforeAll(async () => {
  key = await clientKey();
});

/** The plaintext that reaches the other side. */
function sealed(value: unknown, more: Partial<SealOptions> = {}): Buffer {
  return nodeOpen(key.privatePem, sealJson(key.publicKey, value, { ...options, ...more })).bytes;
}

const long = (text: string): string => text.repeat(Math.ceil(100 / text.length));

describe("sealJson writes what JSON.stringify writes", () => {
  const date = new Date(0);
  class WithToJson {
    toJSON(field: string): unknown {
      return { field, text: long("from toJSON ") };
    }
  }
  const values: [string, unknown][] = [
    ["an empty object", {}],
    ["numbers", { a: [0, -0, 1, -1.5, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, NaN, Infinity, 2 ** 53] }],
    ["short strings", { a: "", b: "x", 'key "\\\n': "é", ключ: "😀" }],
    ["long ASCII", { a: long("abc") }],
    ["long text with everything to escape", { a: long('"\\/\b\f\n\r\t\0\x01\x1f\x7f') }],
    ["long Latin-1", { a: long("é\xff\x80ü\n") }],
    ["long CJK and emoji", { a: long("漢字かな交じり文😀👩‍👩‍👧\n") }],
    ["long lone surrogates", { a: long("\ud800x\udc00\udc00\ud800\ud800"), b: long("y") + "\ud83d" }],
    ["strings of every length around the border", { a: [...Array(140).keys()].map((n) => "x".repeat(n)) }],
    ["what has no JSON", { a: undefined, b: () => 1, c: Symbol("s"), d: [undefined, () => 1, Symbol("s")] }],
    ["toJSON", { a: date, b: new WithToJson(), c: [new WithToJson()] }],
    ["boxed values", { a: new String(long("boxed")), b: new Number(3), c: new Boolean(false) }],
    ["arrays with holes", { a: [1, , 3] }], // eslint-disable-line no-sparse-arrays -- the hole is the case
    [
      "inherited and hidden properties",
      Object.create({ inherited: 1 }, { own: { value: long("own"), enumerable: true }, hidden: { value: 2 } }),
    ],
    ["integer-like and unusual keys", { b: 1, 2: 2, 1: 1, "": 3, "-1": 4, ["__proto__"]: 5, [long("key ")]: 6 }],
    ["the redacted text as a plain string", { a: "[SecureBuffer: redacted]" }],
    ["a map, a set, a typed array", { a: new Map([[1, 2]]), b: new Set([1]), c: new Uint8Array([1, 2]) }],
  ];

  test.each(values)("%s", (_name, value) => {
    expect(sealed(value).toString()).toBe(Buffer.from(JSON.stringify(value)).toString());
  });

  test("strings over several pieces and blocks, whatever the borders cut", () => {
    for (const unit of ["x", "\n", "é", "漢", "😀", "\ud800", "x😀", '"é']) {
      for (const length of [16_383, 16_384, 16_385, 49_151, 49_153, 200_000]) {
        const value = { a: unit.repeat(length / unit.length), b: "end" };
        const wanted = Buffer.from(JSON.stringify(value));
        const got = sealed(value);
        expect(got.byteLength).toBe(wanted.byteLength);
        expect(got.equals(wanted)).toBe(true);
      }
    }
  });

  test("a skeleton over several pieces, ASCII, Latin-1 and wide, with long strings at the borders", () => {
    for (const text of ["a", "é", "漢", "😀"]) {
      const value = { list: [...Array(3000).keys()].map((n) => [text, n, n % 7 === 0 ? long(text) : n / 3]) };
      expect(sealed(value).equals(Buffer.from(JSON.stringify(value)))).toBe(true);
    }
  });

  test("nesting as deep as JSON.stringify goes", () => {
    let value: unknown = long("deep");
    for (let i = 0; i < 2000; ++i) value = i % 2 === 0 ? [value] : { a: value };
    expect(sealed({ value }).toString()).toBe(JSON.stringify({ value }));
  });

  test("a cons string, a slice and a number's string", () => {
    const base = randomBytes(60).toString("hex");
    const value = { cons: base + "é" + base, slice: (base + base).slice(7, 190), both: (base + "漢" + base).slice(3) };
    expect(sealed(value).toString()).toBe(JSON.stringify(value));
  });
});

describe("sealJson refuses what JSON.stringify fails for, with its error as the cause", () => {
  test.each([
    ["a BigInt", () => ({ a: 1n })],
    [
      "a cycle",
      () => {
        const a: Record<string, unknown> = {};
        a["a"] = a;
        return a;
      },
    ],
    [
      "a throwing getter",
      () => ({
        get a(): never {
          throw new RangeError("mine");
        },
      }),
    ],
    [
      "a throwing toJSON",
      () => ({
        a: {
          toJSON() {
            throw new RangeError("mine");
          },
        },
      }),
    ],
  ])("%s", (_name, make) => {
    const thrown = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        return error;
      }
    };
    const wanted = thrown(() => JSON.stringify(make())) as Error;
    const got = thrown(() => sealJson(key.publicKey, make(), options)) as ConfigurationError;
    expect(got).toBeInstanceOf(ConfigurationError);
    expect(got.option).toBe("request");
    expect((got.cause as Error).constructor).toBe(wanted.constructor);
    expect((got.cause as Error).message).toBe(wanted.message);
  });

  test.each([
    ["undefined", undefined],
    ["null", null],
    ["a string", long("x")],
    ["an array", [1]],
    ["a function", () => 1],
  ])("what is not an object: %s", (_name, value) => {
    expect(() => sealJson(key.publicKey, value, options)).toThrow(ConfigurationError);
  });
});

describe("a SecureBuffer in a request", () => {
  test("is written as the string of its bytes, wherever it stands", () => {
    const texts = ["", "short", 'quote " backslash \\ line\n\x00', long("é漢😀"), "x".repeat(100_000)];
    const value = { list: texts.map((text) => SecureBuffer.from(text)), one: { deep: [SecureBuffer.from("deep")] } };
    const wanted = { list: texts, one: { deep: ["deep"] } };
    expect(sealed(value).equals(Buffer.from(JSON.stringify(wanted)))).toBe(true);
  });

  test("may come out of a toJSON, and may stand there twice", () => {
    const secret = SecureBuffer.from("secret");
    expect(sealed({ a: { toJSON: () => secret }, b: secret }).toString()).toBe('{"a":"secret","b":"secret"}');
  });

  test("must be UTF-8", () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0xc3]]) {
      const value = { a: SecureBuffer.from(Uint8Array.from(bytes)) };
      expect(() => sealJson(key.publicKey, value, options)).toThrow(InvalidRequestError);
    }
  });

  test("must not be disposed of", () => {
    const secret = SecureBuffer.from("secret");
    secret.dispose();
    expect(() => sealJson(key.publicKey, { a: secret }, options)).toThrow(
      expect.objectContaining({ name: "NomyoError", code: "DISPOSED" }),
    );
  });
});

describe("a snapshot", () => {
  const open = (snapshot: Snapshot): string =>
    nodeOpen(key.privatePem, snapshot.seal(key.publicKey, options)).plaintext;

  test("is the request as it was, however often it is sealed and whatever is done with the request", () => {
    const secret = SecureBuffer.from("secret");
    const value = { list: [long("a"), 1], secret, more: { text: "short" } };
    const wanted = JSON.stringify({ ...value, secret: "secret" });
    const snapshot = new Snapshot(value);
    value.list.push(2);
    value.more.text = "changed";
    secret.dispose();
    expect([open(snapshot), open(snapshot)]).toEqual([wanted, wanted]);
    snapshot.dispose();
    snapshot.dispose();
  });

  const now = () => native.memoryInfo().stats.bytesInUse;
  /**
   * No key is being made ahead. From here to the next `await` nothing else is freed: the collector's work is done
   * between turns.
   */
  const settled = async () => {
    await settledPool(() => native.memoryInfo());
    return now();
  };

  test("holds a buffer's bytes until it is disposed of, and no longer", async () => {
    const secret = SecureBuffer.alloc(10_000);
    const before = await settled();
    const [first, second] = [new Snapshot({ secret }), new Snapshot({ secret, again: secret })];
    secret.dispose();
    first.dispose();
    expect(now()).toBe(before);
    second.dispose();
    expect(now()).toBe(before - 10_000);
    expect(() => open(second)).toThrow(expect.objectContaining({ code: "DISPOSED" }));
  });

  test("is opened when another one of the same buffer is gone", () => {
    const secret = SecureBuffer.alloc(10_000);
    const [first, second] = [new Snapshot({ secret }), new Snapshot({ secret, again: secret })];
    secret.dispose();
    first.dispose();
    expect(open(second)).toContain("\\u0000");
    second.dispose();
  });

  test("that cannot be made holds nothing", async () => {
    const [secret, gone] = [SecureBuffer.alloc(10_000), SecureBuffer.alloc(1)];
    gone.dispose();
    const before = await settled();
    expect(() => new Snapshot({ secret, gone })).toThrow(expect.objectContaining({ code: "DISPOSED" }));
    secret.dispose();
    expect(now()).toBe(before - 10_000);
  });

  const move = (ArrayBuffer.prototype as { transfer?: (this: ArrayBuffer) => ArrayBuffer }).transfer;
  (move === undefined ? test.skip : test)("does not send what is left of a buffer whose view was moved away", () => {
    const secret = SecureBuffer.from("secret");
    const snapshot = new Snapshot({ secret });
    expect(() => secret.use((view) => move!.call(view.buffer as ArrayBuffer))).toThrow(NomyoError);
    expect(() => open(snapshot)).toThrow(expect.objectContaining({ code: "DISPOSED" }));
  });
});

test("no regular expression has run over what was sealed", () => {
  const text = "Zoë Müller " + "€".repeat(9000);
  for (const value of [text, "ascii ".repeat(2000), "ü".repeat(9000), "short ü", "€"]) {
    /x/.exec("x");
    sealed({ value, [value.slice(0, 100)]: 1 });
    expect((RegExp as unknown as { $_: string }).$_).toBe("x");
  }
});

describe("limits and padding", () => {
  const sized = (bytes: number): { a: string } => ({ a: "x".repeat(bytes - 8) });

  test("the limit is on the bytes of UTF-8, exactly", () => {
    expect(sealed(sized(100_000), { maxPlaintextBytes: 100_000 })).toHaveLength(100_000);
    for (const value of [sized(100_001), { a: "é".repeat(49_997) }, { a: "\n".repeat(49_997) }]) {
      expect(() => sealJson(key.publicKey, value, { ...options, maxPlaintextBytes: 100_000 })).toThrow(
        expect.objectContaining({ name: "InvalidRequestError", code: "TOO_LARGE", sent: "no" }),
      );
    }
  });

  test("10 MiB and a byte is refused, 10 MiB is not", () => {
    expect(sealed(sized(10_485_760))).toHaveLength(10_485_760);
    expect(() => sealJson(key.publicKey, sized(10_485_761), options)).toThrow(InvalidRequestError);
  });

  test("buckets are powers of two from 4 KiB, then the limit", () => {
    const length = (bytes: number): number => sealed(sized(bytes), { padding: "bucket" }).byteLength;
    expect([length(10), length(4096), length(4097), length(100_000)]).toEqual([4096, 4096, 8192, 131_072]);
    expect(length(9_000_000)).toBe(10_485_760);
    const plaintext = sealed({ a: 1 }, { padding: "bucket" }).toString();
    expect(plaintext).toBe('{"a":1}'.padEnd(4096));
  });

  test("sealing 9 MB takes less than a megabyte of locked memory", () => {
    buildPackage();
    // In a process of its own, where nothing else has been in the pool.
    const script = `
      const { native } = require("./dist/native.js");
      const { sealJson } = require("./dist/envelope/seal.js");
      const key = native.importPublicKey(${JSON.stringify(key.publicPem)}, 2048);
      const options = { maxPlaintextBytes: 10485760, locking: "required" };
      sealJson(key, { a: 1 }, options);
      const before = native.memoryInfo().stats;
      const sealed = sealJson(key, { a: "x".repeat(9_000_000) }, options);
      const after = native.memoryInfo().stats;
      console.log(sealed.length, after.bytesPeak - before.bytesInUse, after.bytesLocked - before.bytesLocked);`;
    const child = spawnSync(process.execPath, ["-e", script], { cwd: root, encoding: "utf8" });
    expect(child.stderr).toBe("");
    const [sealedBytes, peak, locked] = child.stdout.split(" ").map(Number);
    expect(sealedBytes).toBeGreaterThan(12_000_000);
    expect(peak).toBeLessThan(1024 * 1024);
    expect(locked).toBeLessThan(1024 * 1024);
  });
});

describe("native.seal guards its own convention", () => {
  const raw = { maxPlaintextBytes: 1000, expectedBytes: 10, padding: "none", locking: "required" } as const;
  test.each([
    ["a marker without a slot", '{"a":"\x7fm"}', []],
    ["a slot without a marker", "{}", ["x"]],
    ["a piece that is too long", '{"a":"\x7fm"}', ["x".repeat(16_385)]],
    ["a slot of another type", '{"a":"\x7fm"}', [5 as unknown as string]],
  ])("%s", (_name, skeleton, slots) => {
    expect(() => native.seal(key.publicKey, skeleton, "\x7fm", slots, raw)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });
});
