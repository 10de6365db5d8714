import { setMaxListeners } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { SecurityError } from "../../../lib/errors.js";
import { openPackage } from "../../../lib/envelope/open.js";
import type { OpenedPackage } from "../../../lib/envelope/open.js";
import { sealJson } from "../../../lib/envelope/seal.js";
import { native } from "../../../lib/native.js";
import { clientKey, quickKey, vectors } from "../../support/client-key.js";
import type { TestKey } from "../../support/client-key.js";
import { nodeSeal } from "../../support/node-package.js";
import type { NodePackage } from "../../support/node-package.js";
import { expectSameValue } from "../../support/same-value.js";

let key: TestKey;
beforeAll(async () => {
  key = await quickKey();
});

/** What a test has opened and not disposed of: an account may often lock no more than 8 MiB. */
const left = new Set<OpenedPackage>();
const disposeAll = (): void => {
  for (const opened of left) opened.dispose();
  left.clear();
};
afterEach(disposeAll);

async function open(body: Uint8Array): Promise<OpenedPackage> {
  const opened = await openPackage(key.privateKey, body, { locking: "required" });
  left.add(opened);
  return opened;
}
const openText = (text: string | Buffer): Promise<OpenedPackage> => open(nodeSeal(key.publicPem, text));

async function refusal(body: Uint8Array): Promise<SecurityError> {
  const outcome = await open(body).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(SecurityError);
  return outcome as SecurityError;
}

describe("the value of an opened package is what JSON.parse gives", () => {
  test.each([
    ["nothing", "{}"],
    ["white space", ' \t\r\n{ "a" : [ ] , "b" : { } } \n'],
    [
      "numbers",
      '{"a":[0,-0,-0.0,1,-1,123456789,1234567890,4294967296,0.1,1e5,' +
        "1E+5,1e-7,1e309,-1e309,1e-400,-1e-400,9007199254740993," +
        "5e-324,1.7976931348623157e308,123456789012345678901234567890]}",
    ],
    ["words", '{"a":[true,false,null]}'],
    ["duplicate keys", '{"a":1,"b":2,"a":3,"\\u0061":4}'],
    ["integer-like keys", '{"b":1,"10":2,"9":3,"01":4,"-1":5,"4294967295":6}'],
    ["__proto__ and its like", '{"__proto__":{"x":1},"constructor":2,"toString":3,"hasOwnProperty":4,"__proto__":5}'],
    ["escapes", '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u00e9\\u6f22\\ud83d\\ude00"}'],
    ["lone surrogates", '{"a":"\\ud800","\\udc00":"\\ud83dx\\ude00\\ud800\\ud800\\udc00"}'],
    ["raw UTF-8", '{"é":"漢字😀\u2028\u2029\x7f\ufeff"}'],
    ["an empty key and string", '{"":""}'],
  ])("%s", async (_name, text) => {
    const opened = await openText(text);
    expectSameValue(opened.value(), JSON.parse(text));
    expect(opened.text()).toBe(text);
    expect(opened.byteLength).toBe(Buffer.byteLength(text));
  });

  test("long strings, with and without escapes, whatever the borders cut", async () => {
    for (const unit of ["x", "\n", "é\n", "漢\n", "😀", "😀\n", "x\ud800\n"]) {
      for (const length of [16_383, 16_384, 16_385, 65_535, 65_536, 100_000, 1_100_000]) {
        const text = unit.repeat(length / unit.length);
        const key = `${unit}key`.repeat(9);
        // The longest alone, so that it fits into 8 MiB, escaped and with its package.
        const value = length > 1_000_000 ? { a: text } : { a: text, [key]: "end", [text]: [text] };
        const opened = await openText(JSON.stringify(value));
        expectSameValue(opened.value(), value);
        disposeAll();
      }
    }
  });

  test("a switch from Latin-1 to wide characters in the middle of a long string", async () => {
    const value = { a: "\n" + "é".repeat(40_000) + "漢" + "\n".repeat(40_000) + "é" };
    expectSameValue((await openText(JSON.stringify(value))).value(), value);
  });

  test("many values: more than handles are kept for", async () => {
    const value = {
      numbers: [...Array(20_000).keys()],
      objects: [...Array(5000).keys()].map((n) => ({
        id: n,
        ["key" + String(n % 700)]: [n, String(n), null],
        toString: n,
      })),
    };
    expectSameValue((await openText(JSON.stringify(value))).value(), value);
  });

  test("elements are own ones, too, where Array.prototype has a setter", async () => {
    let ran = false;
    const opened = await openText('{"a":[1,2,3]}');
    // Node's own Array.prototype: nothing of Node's may run while it has the setter.
    const prototype = Object.getPrototypeOf(opened.get("/a")) as object;
    Object.defineProperty(prototype, "1", {
      configurable: true,
      set: () => {
        ran = true;
      },
    });
    try {
      const value = opened.value() as { a: number[] };
      expect(ran).toBe(false);
      expect(value.a.length).toBe(3);
      expect(Object.getOwnPropertyDescriptor(value.a, "1")).toEqual({
        value: 2,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    } finally {
      delete (prototype as Record<string, unknown>)["1"];
    }
  });

  test("objects and arrays longer than what is added at a time, nested at every border", async () => {
    for (const length of [31, 32, 33, 63, 64, 65, 128, 1000, 5000]) {
      const value = {
        list: Array.from({ length }, (_, index) => (index % 31 === 0 ? [index, { index }] : index)),
        map: Object.fromEntries(
          Array.from({ length }, (_, index) => [`k${index}`, index % 31 === 0 ? { a: [index] } : index]),
        ),
      };
      expectSameValue((await openText(JSON.stringify(value))).value(), value);
    }
  });

  test("a program's proxy that disposes of the package meanwhile gets it wiped, after the value is made", async () => {
    const opened = await openText(JSON.stringify({ a: Array.from({ length: 1000 }, (_, index) => `text ${index}`) }));
    const prototype = Object.getPrototypeOf((await openText('{"a":[]}')).get("/a")) as object;
    const parent = Object.getPrototypeOf(prototype) as object;
    const inUse = native.memoryInfo().stats.bytesInUse;
    let calls = 0;
    const dispose = (): boolean => {
      calls++;
      opened.dispose();
      return false;
    };
    let value: unknown;
    Object.setPrototypeOf(prototype, new Proxy(parent, { has: dispose }));
    try {
      value = opened.value();
    } finally {
      Object.setPrototypeOf(prototype, parent);
    }
    expect(calls).toBeGreaterThan(1);
    expect((value as { a: string[] }).a[999]).toBe("text 999");
    expect(native.memoryInfo().stats.bytesInUse).toBeLessThan(inUse);
    expect(() => opened.value()).toThrow(expect.objectContaining({ code: "DISPOSED" }) as Error);
  });

  test("keys that Object.prototype has a setter for are own properties all the same", async () => {
    let ran = false;
    // The addon's values are of the main realm, jest's own are not.
    const prototype = Object.getPrototypeOf(native.memoryInfo()) as object;
    Object.defineProperty(prototype, "polluted", {
      configurable: true,
      set: () => {
        ran = true;
      },
    });
    try {
      const value = (await openText('{"polluted":1,"a":{"polluted":2}}')).value() as Record<string, unknown>;
      expect(ran).toBe(false);
      expect(Object.getOwnPropertyDescriptor(value, "polluted")?.value).toBe(1);
    } finally {
      delete (prototype as Record<string, unknown>)["polluted"];
    }
  });

  test("the deepest nesting that is allowed, and not one more", async () => {
    const nested = (depth: number): string => '{"a":' + "[".repeat(depth - 1) + "]".repeat(depth - 1) + "}";
    expectSameValue((await openText(nested(1024))).value(), JSON.parse(nested(1024)));
    expect((await refusal(nodeSeal(key.publicPem, nested(1025)))).code).toBe("PLAINTEXT");
    expect((await refusal(nodeSeal(key.publicPem, "[".repeat(1_000_000)))).code).toBe("PLAINTEXT");
  });
});

describe("JSON pointers", () => {
  const text =
    '{"choices":[{"message":{"content":"say \\"h\\u00e9llo\\" ' +
    '\\ud83d\\ude00"}}],"a/b":{"m~n":[1,{"x":null}]},"d":1,"d":2,"\\ud800":"\\udc00"}';

  test("name values", async () => {
    const opened = await openText(text);
    expect(opened.get("/choices/0/message/content")).toBe('say "héllo" 😀');
    expectSameValue(opened.get("/a~1b/m~0n"), [1, { x: null }]);
    expect(opened.get("/d")).toBe(2);
    expect(opened.get("/\ud800")).toBe("\udc00");
    expectSameValue(opened.get(""), JSON.parse(text));
    expect(opened.find("/nothing", 100)).toBeUndefined();
    expect(opened.find("/a~1b/m~0n/1/x", 100)).toBeNull();
    expect(() => opened.get("/nothing")).toThrow(expect.objectContaining({ name: "NomyoError", code: "NOT_FOUND" }));
    expect(() => opened.get("choices")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("give strings as UTF-8 in locked memory", async () => {
    const opened = await openText(text);
    const buffer = opened.buffer("/choices/0/message/content", "required");
    expect(native.bufferToString(buffer)).toBe('say "héllo" 😀');
    expect(native.bufferLocked(buffer)).toBe(true);
    expect(() => opened.buffer("/d", "required")).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
    expect(() => opened.buffer("/\ud800", "required")).toThrow(expect.objectContaining({ code: "INVALID_UTF8" }));
  });
});

describe("bad input", () => {
  interface Vector {
    readonly name: string;
    readonly expected: string;
    readonly body_b64: string;
    readonly plaintext_b64: string | null;
  }
  const files = readdirSync(join(vectors, "packages"));
  const codes: Readonly<Record<string, string>> = {
    format: "PACKAGE_FORMAT",
    algorithm: "PACKAGE_ALGORITHM",
    decrypt: "DECRYPT",
    plaintext: "PLAINTEXT",
  };

  test.each(files)("vector %s", async (file) => {
    const vector = JSON.parse(readFileSync(join(vectors, "packages", file), "utf8")) as Vector;
    const { privateKey } = await clientKey();
    const outcome: unknown = await openPackage(privateKey, Buffer.from(vector.body_b64, "base64"), {
      locking: "required",
    }).catch((error: unknown) => error);
    if (vector.expected === "ok") {
      const plaintext = Buffer.from(vector.plaintext_b64 ?? "", "base64").toString();
      expectSameValue((outcome as OpenedPackage).value(), JSON.parse(plaintext));
    } else {
      expect(outcome).toBeInstanceOf(SecurityError);
      expect((outcome as SecurityError).code).toBe(codes[vector.expected]);
    }
  });

  test("every byte of a package flipped, dropped or doubled: never opened, one message, no answer", async () => {
    const secret = "the answer that must not show";
    const body = nodeSeal(key.publicPem, JSON.stringify({ a: secret }));
    const labels = body.indexOf('"key_algorithm"');
    const messages = new Set<string>();
    for (let at = 0; at < body.byteLength; ++at) {
      const flipped = Buffer.from(body);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      const dropped = Buffer.concat([body.subarray(0, at), body.subarray(at + 1)]);
      const doubled = Buffer.concat([body.subarray(0, at + 1), body.subarray(at)]);
      for (const broken of [flipped, dropped, doubled]) {
        const outcome: unknown = await open(broken).catch((error: unknown) => error);
        if (outcome instanceof SecurityError) {
          expect(["PACKAGE_FORMAT", "PACKAGE_ALGORITHM", "DECRYPT"]).toContain(outcome.code);
          expect(outcome.message + String(outcome.stack)).not.toContain(secret);
          messages.add(outcome.message);
        } else {
          // The names of the two labels at the end are outside what is authenticated, and optional.
          expect(at).toBeGreaterThanOrEqual(labels);
          expect((outcome as OpenedPackage).get("/a")).toBe(secret);
        }
      }
    }
    expect(messages.size).toBe(1);
  });

  test("plaintext that is not the JSON of an object", async () => {
    for (const text of ["", "null", "[]", "1", '"a"', "{", "{}x", "\ufeff{}", "{'a':1}", '{"a":01}', "{\"a\":'\n'}"]) {
      expect((await refusal(nodeSeal(key.publicPem, text))).code).toBe("PLAINTEXT");
    }
    for (const bytes of [
      [0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d],
      [0x7b, 0x7d, 0x80],
      [0x7b, 0x7d, 0x00],
    ]) {
      expect((await refusal(nodeSeal(key.publicPem, Buffer.from(bytes)))).code).toBe("PLAINTEXT");
    }
  });

  test("bodies that are no package", async () => {
    for (const body of ["", " ", "null", "[]", "{}", "<html>", '{"detail":"x"}', "\ufeff{}", "\0"]) {
      expect((await refusal(Buffer.from(body))).code).toBe("PACKAGE_FORMAT");
    }
    expect((await refusal(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).code).toBe("PACKAGE_FORMAT");
  });

  test("a plaintext over the limit", async () => {
    const body = nodeSeal(key.publicPem, JSON.stringify({ a: "x".repeat(1000) }));
    const outcome: unknown = await openPackage(key.privateKey, body, {
      locking: "required",
      maxPlaintextBytes: 1007,
    }).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(SecurityError);
    expect((outcome as SecurityError).code).toBe("TOO_LARGE");
  });

  test("a GCM tag cut to the lengths that Node's own decipher would take", async () => {
    for (const length of [4, 8, 12, 13, 14, 15]) {
      const sealed = JSON.parse(nodeSeal(key.publicPem, "{}").toString()) as NodePackage;
      const tag = Buffer.from(sealed.encrypted_payload.tag, "base64").subarray(0, length).toString("base64");
      const body = Buffer.from(JSON.stringify({ ...sealed, encrypted_payload: { ...sealed.encrypted_payload, tag } }));
      expect((await refusal(body)).code).toBe("PACKAGE_FORMAT");
    }
  });
});

describe("the life of an opened package", () => {
  test("processed_at is handed on", async () => {
    const body = sealJson(
      key.publicKey,
      {},
      { maxPlaintextBytes: 100, locking: "required", processedAt: 1_765_250_382 },
    );
    expect((await open(body)).processedAt).toBe(1_765_250_382);
    expect((await openText("{}")).processedAt).toBeUndefined();
  });

  test("after disposal everything throws DISPOSED, and disposal is harmless twice", async () => {
    const opened = await openText('{"a":"b"}');
    opened.dispose();
    opened.dispose();
    for (const use of [
      () => opened.value(),
      () => opened.text(),
      () => opened.get(""),
      () => opened.find("/a", 100),
      () => opened.buffer("/a", "required"),
      () => opened.byteLength,
    ]) {
      expect(use).toThrow(expect.objectContaining({ name: "NomyoError", code: "DISPOSED" }));
    }
  });

  test("disposal gives the pool its bytes back", async () => {
    const opened = await openText(JSON.stringify({ a: "x".repeat(500_000) }));
    const held = native.memoryInfo().stats.bytesInUse;
    opened.dispose();
    expect(native.memoryInfo().stats.bytesInUse).toBeLessThanOrEqual(held - 500_000);
  });

  test("a disposed private key opens nothing more", async () => {
    const { privateKey, publicPem } = await quickKey();
    native.privateKeyDispose(privateKey);
    await expect(openPackage(privateKey, nodeSeal(publicPem, "{}"), { locking: "required" })).rejects.toMatchObject({
      code: "DISPOSED",
    });
  });

  test("a signal rejects with its reason, before and while it is queued", async () => {
    const body = nodeSeal(key.publicPem, "{}");
    const early = AbortSignal.abort(new Error("early"));
    await expect(openPackage(key.privateKey, body, { locking: "required", signal: early })).rejects.toThrow("early");
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const work = Array.from({ length: 50 }, () =>
      openPackage(key.privateKey, body, { locking: "required", signal: controller.signal }).catch(
        (error: unknown) => error,
      ),
    );
    controller.abort(new Error("late"));
    for (const outcome of await Promise.all(work)) expect(outcome).toMatchObject({ message: "late" });
  });

  test("an answer that was forgotten is told to the logger", async () => {
    const messages: string[] = [];
    const forget = async (): Promise<void> => {
      const body = nodeSeal(key.publicPem, "{}");
      await openPackage(key.privateKey, body, {
        locking: "required",
        logger: { debug: (text) => messages.push(text) },
      });
    };
    await forget();
    const { setFlagsFromString } = await import("node:v8");
    const { runInNewContext } = await import("node:vm");
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    while (messages.length === 0) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(messages).toEqual([expect.stringContaining("not disposed of")]);
  });
});
