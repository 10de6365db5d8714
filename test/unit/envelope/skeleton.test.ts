/**
 * The JSON with its long strings taken out: put back, it is what JSON.stringify writes, whatever it is asked to write.
 */
import { runInNewContext } from "node:vm";
import { ConfigurationError } from "../../../lib/errors.js";
import { skeletonOf } from "../../../lib/envelope/skeleton.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { native } from "../../../lib/native.js";

const marker = "\x7fmarker";

/** What the addon makes of a skeleton. */
function filled(value: unknown): string | undefined {
  const { json, taken } = skeletonOf(value, marker);
  const parts = json?.split(JSON.stringify(marker));
  expect((parts?.length ?? 1) - 1).toBe(taken.length);
  return parts?.reduce((text, part, i) => text + JSON.stringify(taken[i - 1]) + part);
}

const long = (text: string): string => `${text} `.repeat(40);

/** Runs `work` with a property of a prototype set, and puts back what was there. */
function withProperty(target: object, key: string, property: PropertyDescriptor, work: () => void): void {
  const former = Object.getOwnPropertyDescriptor(target, key);
  Object.defineProperty(target, key, { configurable: true, ...property });
  try {
    work();
  } finally {
    if (former === undefined) Reflect.deleteProperty(target, key);
    else Object.defineProperty(target, key, former);
  }
}

const nested = (depth: number, leaf: unknown): unknown =>
  depth === 0 ? leaf : { a: long("x"), b: nested(depth - 1, leaf), c: long("y") };

class Shown {
  constructor(readonly what: unknown) {}
  toJSON(key: string): unknown {
    return [key, this.what];
  }
}

const withToJson = Object.assign(() => 1, { toJSON: () => long("function") });

const values: [string, () => unknown][] = [
  [
    "boxed values, as elements and members",
    () => [new String("s"), new String(long("s")), new Number(1.5), new Boolean(false), { a: new String(long("t")) }],
  ],
  ["a boxed symbol", () => ({ a: Object(Symbol("s")) as object })],
  ["a boxed string that says something else", () => [Object.assign(new String("a"), { toString: () => long("said") })]],
  ["functions with a toJSON, and without", () => [withToJson, { a: withToJson, b: () => 1 }]],
  [
    "a toJSON that gives itself",
    () => ({
      a: {
        toJSON(): unknown {
          return this;
        },
        b: long("itself"),
      },
    }),
  ],
  [
    "a toJSON that gives a list with a toJSON",
    () => ({ a: { toJSON: () => Object.assign(Array(40).fill(1), { toJSON: () => 2 }) } }),
  ],
  [
    "a toJSON that is no function",
    () => [{ toJSON: 3, a: long("a") }, Object.assign(Array(40).fill(1), { toJSON: 4 })],
  ],
  ["keys of elements and members for toJSON", () => [new Shown(1), { k: new Shown(long("k")), 7: [new Shown(2)] }]],
  [
    "objects of no prototype, of a class, of another realm",
    () => [
      Object.assign(Object.create(null) as object, { a: long("n") }),
      new (class {
        a = long("c");
      })(),
      runInNewContext('({ a: [1, "x".repeat(99)], b: new String("y".repeat(99)) })'),
    ],
  ],
  [
    "names that the prototype has",
    () => ({ constructor: long("c"), toString: 1, ["__proto__"]: { a: long("p") }, hasOwnProperty: [] }),
  ],
  [
    "lists long enough to be left as they are",
    () => [
      Array.from({ length: 50 }, (_, i) => i / 7),
      Array(50).fill("short"),
      Array(50).fill(null),
      Array(50).fill(true),
      [...Array<number>(50).fill(NaN), Infinity],
    ],
  ],
  [
    "long lists with something in them",
    () => [
      [...Array<number>(50).fill(1), long("z")],
      [...Array<number>(50).fill(1), undefined],
      [...Array<number>(50).fill(1), [long("q")]],
      Array(50),
      [...Array<number>(50).fill(1), () => 1],
    ],
  ],
  [
    "a proxy of an object and of lists",
    () => [new Proxy({ a: long("a"), b: 1 }, {}), new Proxy([1, long("b")], {}), new Proxy(Array(40).fill(1), {})],
  ],
  [
    "a list whose proxy lies about its length",
    () => [
      new Proxy([1, 2, 3], { get: (target, key) => (key === "length" ? 2.5 : (Reflect.get(target, key) as unknown)) }),
    ],
  ],
  [
    "more levels than an outline has, with strings before and after",
    () => [long("before"), nested(250, long("leaf")), long("after")],
  ],
  [
    "a list too large for an outline, with strings before and after",
    () => [long("before"), [...Array<number>(1_000_001).fill(1), long("in")], long("after")],
  ],
  [
    "the same object twice",
    () => {
      const twice = { a: long("twice") };
      return [twice, twice];
    },
  ],
  ["nothing", () => undefined],
  ["a function, a symbol", () => Symbol("s")],
  ["a long string alone", () => long("alone")],
];

test.each(values)("%s", (_name, make) => {
  expect(filled(make())).toBe(JSON.stringify(make()));
});

test("strings that stay, and strings that are taken", () => {
  const value = { a: "x".repeat(64), b: "y".repeat(65) };
  expect(skeletonOf(value, "M")).toEqual({ json: `{"a":"${value.a}","b":"M"}`, taken: [value.b] });
});

test("a SecureBuffer is taken wherever it stands", () => {
  const secret = SecureBuffer.from(Buffer.from("secret"));
  const shown = { toJSON: () => secret };
  class Member {
    readonly secret = secret;
  }
  for (const value of [
    { a: secret, b: [secret], c: shown, d: new Member() },
    nested(250, [secret, shown, { deep: secret }, new Member()]),
    nested(250, { a: secret, b: shown, c: [secret], d: new Member() }),
  ]) {
    const { json, taken } = skeletonOf(value, marker);
    const buffers = taken.filter((item) => typeof item !== "string");
    expect(buffers.map(({ buffer }) => buffer === secret.handle)).toEqual([true, true, true, true]);
    expect(json?.split(JSON.stringify(marker))).toHaveLength(taken.length + 1);
  }
  secret.dispose();
});

describe("a SecureBuffer of another copy of the package", () => {
  const symbol = Symbol.for("nomyo-native.SecureBuffer");
  const toJSON = (): never => {
    throw new Error("asked for JSON");
  };

  test.each([0, 250])("is taken when it is of the same addon, %i levels deep", (depth) => {
    const copy: { exports?: typeof import("../../../lib/memory/secure-buffer.js") } = {};
    jest.isolateModules(() => {
      copy.exports = jest.requireActual<typeof import("../../../lib/memory/secure-buffer.js")>(
        "../../../lib/memory/secure-buffer.js",
      );
    });
    const foreign = copy.exports!.SecureBuffer.from("foreign");
    expect(foreign).not.toBeInstanceOf(SecureBuffer);
    const buffers = skeletonOf(nested(depth, [foreign]), marker).taken.filter((item) => typeof item !== "string");
    expect(buffers).toEqual([{ buffer: foreign.handle }]);
    expect(native.bufferToString(buffers[0]!.buffer)).toBe("foreign");
  });

  test.each([0, 250])("is refused when its handle is not of this addon, %i levels deep", (depth) => {
    for (const handle of [{}, "text", native.createCancelToken()]) {
      expect(() => skeletonOf(nested(depth, [{ [symbol]: handle, toJSON }]), marker)).toThrow(ConfigurationError);
    }
  });
});

const onRawJson = "rawJSON" in JSON ? test : test.skip;
onRawJson("JSON.rawJSON is written as it stands", () => {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => object };
  for (const text of ["12345678901234567890", "1e400", "-0", "1.0", '"\\u00e9"', JSON.stringify(long("raw")), "null"]) {
    for (const value of [rawJSON(text), { a: rawJSON(text) }, [rawJSON(text)], { toJSON: () => rawJSON(text) }]) {
      for (const depth of [0, 250]) expect(filled(nested(depth, value))).toBe(JSON.stringify(nested(depth, value)));
    }
  }
});

describe("in a world that somebody has changed", () => {
  const value = (): unknown => ({ a: [1, long("a"), { b: "c" }], ["__proto__"]: { d: long("d") }, set: 5 });

  test.each([
    ["Object.prototype", Object.prototype],
    ["Array.prototype", Array.prototype],
  ])("%s has a toJSON", (_name, prototype) => {
    const toJSON = function (this: unknown): unknown {
      return Array.isArray(this) ? { list: this.length, text: long("list") } : Object.keys(this as object);
    };
    withProperty(prototype, "toJSON", { value: toJSON }, () => expect(filled(value())).toBe(JSON.stringify(value())));
  });

  test("BigInt has a toJSON", () => {
    const toJSON = function (this: bigint): string {
      return long(this.toString());
    };
    withProperty(BigInt.prototype, "toJSON", { value: toJSON }, () => {
      expect(filled([1n, { a: 2n }])).toBe(JSON.stringify([1n, { a: 2n }]));
    });
  });

  test("Object.prototype has a setter of a request's name, or a member that cannot be assigned", () => {
    const called = jest.fn();
    withProperty(Object.prototype, "set", { set: called }, () => expect(filled(value())).toBe(JSON.stringify(value())));
    expect(called).not.toHaveBeenCalled();
    withProperty(Object.prototype, "set", { value: 1, writable: false }, () => {
      expect(filled(value())).toBe(JSON.stringify(value()));
    });
  });
});

test("everything is asked for once, in JSON.stringify's order", () => {
  const trace = (write: (value: unknown) => unknown): string[] => {
    const calls: string[] = [];
    const seen = (name: string, value: unknown): object => ({
      get [name]() {
        calls.push(`get ${name}`);
        return value;
      },
    });
    const shown = (name: string, value: unknown): object => ({
      get toJSON() {
        calls.push(`toJSON of ${name}`);
        return (key: string) => {
          calls.push(`${name} for ${key}`);
          return value;
        };
      },
    });
    const later: unknown[] = [1, long("later")];
    const changes = {
      toJSON() {
        later[0] = long("changed");
        return 1;
      },
    };
    write({
      a: seen("b", [shown("c", seen("d", long("d"))), seen("e", shown("f", [1]))]),
      changes,
      later,
      g: seen("h", 1),
    });
    return calls;
  };
  const calls = trace(JSON.stringify);
  expect(calls).toHaveLength(8);
  expect(trace((value) => expect(filled(value)).toContain("changed"))).toEqual(calls);
});

describe("errors are JSON.stringify's", () => {
  const messageOf = (work: () => unknown): unknown => {
    try {
      work();
    } catch (error) {
      return [(error as Error).constructor.name, (error as Error).message];
    }
    return undefined;
  };
  class Node_ {
    next?: unknown;
  }
  const circle = (): unknown => {
    const [first, second] = [new Node_(), new Node_()];
    first.next = { list: [second] };
    second.next = first;
    return { a: long("a"), first };
  };
  const endless = (): unknown => ({ toJSON: () => ({ a: endless() }) });
  const revoked = (): unknown => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return [proxy];
  };
  const throwing = {
    get a() {
      throw new RangeError("from a getter");
    },
  };
  const errors: [string, unknown][] = [
    ["a circle", circle()],
    ["a BigInt", { a: [1n] }],
    ["a boxed BigInt", { a: [Object(1n)] }],
    ["no end", endless()],
    ["a revoked proxy", revoked()],
    ["a getter that throws", throwing],
  ];
  test.each(errors)("%s", (_name, value) => {
    const wanted = messageOf(() => JSON.stringify(value));
    expect(wanted).toBeDefined();
    expect(messageOf(() => skeletonOf(value, marker))).toEqual(wanted);
  });
});
