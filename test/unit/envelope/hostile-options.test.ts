/**
 * The raw addon under options whose getters run code in the middle of a call: they throw, or dispose of what is used.
 */
import { native } from "../../../lib/native.js";
import type { PublicKeyHandle, SealText } from "../../../lib/native.js";
import { quickKey } from "../../support/client-key.js";
import type { TestKey } from "../../support/client-key.js";

type SealOptions = Parameters<typeof native.seal>[4];

let key: TestKey;
beforeAll(async () => {
  key = await quickKey();
});

const marker = "\x7fmarker";
const mine = new Error("a getter's own");
const throwing = (): never => {
  throw mine;
};
const publicKey = (): PublicKeyHandle => native.importPublicKey(key.publicPem, 2048);
const good = { maxPlaintextBytes: 1e6, expectedBytes: 100, padding: "none", locking: "required" } as const;
/** `of` with a getter in the place of the member `name`. */
const withGetter = <T extends object>(of: T, name: string, get: () => unknown): T =>
  Object.defineProperty({ ...of }, name, { get, enumerable: true });
const sealWith = (options: SealOptions, text: SealText = "{}", to = publicKey()): Uint8Array =>
  native.seal(to, text, marker, [], options);

describe("an option that throws ends the call with its own error", () => {
  test.each(["maxPlaintextBytes", "expectedBytes", "padding", "locking", "processedAt"])("seal, %s", (name) => {
    expect(() => sealWith(withGetter(good, name, throwing))).toThrow(mine);
    expect(() => native.sealBytes(publicKey(), Buffer.from("{}"), withGetter(good, name, throwing))).toThrow(mine);
  });

  test.each(["pieces", "wide"])("seal, %s of a text", (name) => {
    const text = { wide: false, pieces: ["{}"] };
    expect(() => sealWith(good, withGetter(text, name, throwing))).toThrow(mine);
  });

  test("seal, a slot", () => {
    const slots = Object.defineProperty([""], 0, { get: throwing });
    expect(() => native.seal(publicKey(), `{"a":"${marker}"}`, marker, slots, good)).toThrow(mine);
  });

  test.each(["maxPlaintextBytes", "maxDepth"])("open, %s", (name) => {
    const limits = withGetter({ maxPlaintextBytes: 10, maxDepth: 10 }, name, throwing);
    expect(() => native.open(key.privateKey, Buffer.from("{}"), limits, "required")).toThrow(mine);
  });

  test.each(["find", "blank", "refuseFolded", "maxDepth"])("scanObject, %s", (name) => {
    const options = withGetter({ find: [], blank: [], refuseFolded: true, maxDepth: 3 }, name, throwing);
    expect(() => native.scanObject(native.bufferFrom("{}", "required"), 2, options, "required")).toThrow(mine);
  });
});

describe("an option that is no such thing is refused", () => {
  test.each([
    ["padding", Symbol("none")],
    ["padding", { toString: throwing }],
    ["padding", "buckets"],
    ["maxPlaintextBytes", "1000"],
    ["locking", null],
  ])("seal, %s", (name, value) => {
    expect(() => sealWith({ ...good, [name]: value })).toThrow(expect.objectContaining({ name: "TypeError" }));
  });

  test("whether a text is wide", () => {
    expect(() => sealWith(good, { wide: 0, pieces: ["{}"] } as never)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });

  test("whether a key is made in the background", () => {
    expect(() => native.generatePrivateKey(2048, "required", undefined, 1 as never)).toThrow(
      expect.objectContaining({ name: "TypeError" }),
    );
  });
});

test.each(["locking", "maxPlaintextBytes", "expectedBytes", "padding", "processedAt"] as const)(
  "a key that the option %s disposes of is seen to be disposed of",
  (name) => {
    for (const seal of [
      (to: PublicKeyHandle, options: SealOptions) => sealWith(options, "{}", to),
      (to: PublicKeyHandle, options: SealOptions) => native.sealBytes(to, Buffer.from("{}"), options),
    ]) {
      const to = publicKey();
      const disposing = withGetter(good, name, () => {
        native.publicKeyDispose(to);
        return good[name as keyof typeof good];
      });
      expect(() => seal(to, disposing)).toThrow(expect.objectContaining({ code: "DISPOSED" }));
    }
  },
);

test("a slot may dispose of the key: it was taken before", () => {
  const to = publicKey();
  const slots = Object.defineProperty([""], 0, { get: () => (native.publicKeyDispose(to), "x") });
  expect(native.seal(to, `{"a":"${marker}"}`, marker, slots, good).length).toBeGreaterThan(100);
});

test.each([["text"], [null], [undefined], [7]])(
  "what `use` throws comes out, also %p, and the buffer stays",
  (thrown) => {
    const buffer = native.bufferFrom("secret", "required");
    let caught: unknown = "nothing";
    try {
      native.bufferUse(buffer, () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- just that
        throw thrown;
      });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBe(thrown);
    expect(native.bufferToString(buffer)).toBe("secret");
  },
);
