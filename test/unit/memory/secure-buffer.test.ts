import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";
import { createContext, runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { join } from "node:path";
import { ConfigurationError, MemoryProtectionError, NomyoError, SecureBuffer } from "../../../lib/index.js";
import { native } from "../../../lib/native.js";
import settledPool from "../../support/settled-pool.cjs";

const REDACTED = "[SecureBuffer: redacted]";
const stats = () => native.memoryInfo().stats;

/** By name: the addon's TypeErrors are those of the realm that loaded it, and jest runs tests in one of its own. */
const aTypeError = expect.objectContaining({ name: "TypeError" }) as Error;

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(NomyoError);
    return (error as NomyoError).code;
  }
  throw new Error("did not throw");
}

describe("SecureBuffer", () => {
  it("takes no bytes that change while they are read: shared and resizable memory is refused by name", () => {
    using buffer = SecureBuffer.from("1234");
    const resizable = new Uint8Array(
      new (ArrayBuffer as new (bytes: number, options: object) => ArrayBuffer)(4, { maxByteLength: 8 }),
    );
    for (const [bytes, name] of [
      [new Uint8Array(new SharedArrayBuffer(4)), "SharedArrayBuffer"],
      [resizable, "resizable ArrayBuffer"],
    ] as const) {
      for (const read of [() => SecureBuffer.from(bytes), () => buffer.equals(bytes)]) {
        expect(codeOf(read)).toBe("INVALID_ARGUMENT");
        expect(read).toThrow(name);
      }
    }
  });

  it("reads where bytes are after all JavaScript has run: a getter cannot move them meanwhile", () => {
    using buffer = SecureBuffer.from("1234");
    const moving = () => {
      const bytes = Uint8Array.from(Buffer.from("1234"));
      Object.defineProperty(bytes.buffer, "resizable", {
        get: () => {
          structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
          return false;
        },
      });
      return bytes;
    };
    using empty = SecureBuffer.from(moving());
    expect(empty.length).toBe(0);
    expect(buffer.equals(moving())).toBe(false);
    const disposing = Uint8Array.from(Buffer.from("1234"));
    const other = SecureBuffer.from("1234");
    Object.defineProperty(disposing.buffer, "resizable", { get: () => (other.dispose(), false) });
    expect(codeOf(() => other.equals(disposing))).toBe("DISPOSED");
  });

  it("is made of zeros, of bytes, or of text as UTF-8", () => {
    using zeros = SecureBuffer.alloc(5);
    expect(zeros.use((bytes) => [...bytes])).toEqual([0, 0, 0, 0, 0]);
    const source = randomBytes(1000);
    using bytes = SecureBuffer.from(source);
    expect(bytes.length).toBe(1000);
    expect(bytes.use((view) => Buffer.compare(view, source))).toBe(0);
    const text = "Grüße, \u0000, 世界, 😀";
    using string = SecureBuffer.from(text);
    expect(string.use((view) => Buffer.from(view))).toEqual(Buffer.from(text, "utf8"));
    expect(string.toString()).toBe(text);
  });

  it("takes a part of an array, and leaves the source as it was", () => {
    const whole = Uint8Array.from([1, 2, 3, 4, 5]);
    using part = SecureBuffer.from(whole.subarray(1, 3));
    expect(part.use((view) => [...view])).toEqual([2, 3]);
    expect([...whole]).toEqual([1, 2, 3, 4, 5]);
  });

  it("may be empty", () => {
    for (const empty of [SecureBuffer.alloc(0), SecureBuffer.from(""), SecureBuffer.from(new Uint8Array())]) {
      expect(empty.length).toBe(0);
      expect(empty.use((view) => view.length)).toBe(0);
      expect(empty.toString()).toBe("");
      expect(empty.locked).toBe(true);
      empty.dispose();
      expect(empty.disposed).toBe(true);
    }
  });

  it("is locked, unless that is off", () => {
    using required = SecureBuffer.from("secret");
    using off = SecureBuffer.from("secret", "off");
    expect(required.locked).toBe(true);
    expect(off.locked).toBe(false);
  });

  it("refuses half a surrogate pair instead of changing it", () => {
    for (const text of ["\ud800", "a\udc00b", "\udc00\ud800", "x\udbff"]) {
      expect(codeOf(() => SecureBuffer.from(text))).toBe("INVALID_UTF8");
    }
  });

  it.each([
    ["a negative size", () => SecureBuffer.alloc(-1)],
    ["half a byte", () => SecureBuffer.alloc(1.5)],
    ["NaN", () => SecureBuffer.alloc(NaN)],
    ["a string as size", () => SecureBuffer.alloc("5" as unknown as number)],
    ["a number as source", () => SecureBuffer.from(5 as unknown as string)],
    ["an array of another kind", () => SecureBuffer.from(new Uint16Array(2) as unknown as Uint8Array)],
    ["an unknown locking", () => SecureBuffer.alloc(5, "always" as "off")],
  ])("throws a TypeError for %s", (_name, work) => {
    expect(work).toThrow(aTypeError);
  });

  it("says so when the system has not so much memory", () => {
    expect(() => SecureBuffer.alloc(Number.MAX_SAFE_INTEGER)).toThrow(MemoryProtectionError);
    expect(codeOf(() => SecureBuffer.alloc(2 ** 45))).toBe("OUT_OF_MEMORY");
  });

  describe("use", () => {
    it("shows the bytes themselves: what is written stays", () => {
      using buffer = SecureBuffer.alloc(3);
      buffer.use((view) => {
        view.set([7, 8, 9]);
      });
      expect(buffer.use((view) => [...view])).toEqual([7, 8, 9]);
    });

    it("detaches the view when the function returns, and when it throws", () => {
      using buffer = SecureBuffer.from("secret");
      const views: Uint8Array[] = [];
      buffer.use((view) => views.push(view));
      expect(() =>
        buffer.use((view) => {
          views.push(view, view.subarray(2));
          throw new RangeError("mine");
        }),
      ).toThrow(RangeError);
      for (const view of views) {
        expect(view.length).toBe(0);
        expect(view[0]).toBeUndefined();
        expect(view.buffer.byteLength).toBe(0);
      }
      expect(buffer.toString()).toBe("secret");
    });

    it("can be called inside itself", () => {
      using buffer = SecureBuffer.from("ab");
      const inner = buffer.use((outer) => {
        buffer.use((view) => {
          view[0] = 0x78;
        });
        return outer[0];
      });
      expect(inner).toBe(0x78);
    });

    it("refuses an async function before it runs", () => {
      using buffer = SecureBuffer.from("secret");
      let ran = false;
      expect(() =>
        buffer.use(async () => {
          ran = true;
        }),
      ).toThrow(aTypeError);
      expect(ran).toBe(false);
    });

    it("refuses a promise that an ordinary function gives, with the view detached", async () => {
      using buffer = SecureBuffer.from("secret");
      let seen: Uint8Array | undefined;
      expect(() =>
        buffer.use((view) => {
          seen = view;
          return Promise.reject(new Error("too late"));
        }),
      ).toThrow(aTypeError);
      expect(seen?.length).toBe(0);
      await setImmediate(); // an unhandled rejection would end the test run
    });

    it("does not let the buffer be disposed of meanwhile", () => {
      const buffer = SecureBuffer.from("secret");
      buffer.use((view) => {
        expect(codeOf(() => buffer.dispose())).toBe("INVALID_ARGUMENT");
        expect(view[0]).toBe(0x73);
      });
      buffer.dispose();
      expect(buffer.disposed).toBe(true);
    });

    it("does not let the view be transferred", () => {
      using buffer = SecureBuffer.from("secret");
      buffer.use((view) => {
        try {
          // Node 20 copies instead, later ones throw a DataCloneError.
          structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
        } catch (error) {
          expect(error).toMatchObject({ name: "DataCloneError" });
        }
        expect(view.length).toBe(6);
        expect(view.buffer.byteLength).toBe(6);
      });
    });

    const move = (ArrayBuffer.prototype as unknown as { transfer?: (this: ArrayBuffer) => ArrayBuffer }).transfer;
    const whereMoved = move === undefined ? it.skip : it; // Node 20 has no such call

    whereMoved("wipes a buffer whose view was moved away, and never uses its memory again", async () => {
      const size = 50_000;
      const before = await settled();
      const buffer = SecureBuffer.from("s".repeat(size));
      const kept: Uint8Array[] = [];
      const error = (() => {
        try {
          return buffer.use((view) => {
            kept.push(new Uint8Array(move!.call(view.buffer as ArrayBuffer)));
            throw new RangeError("mine");
          });
        } catch (thrown) {
          return thrown as NomyoError;
        }
      })();
      expect(error).toBeInstanceOf(NomyoError);
      expect(error).toMatchObject({ code: "VIEW_TAKEN", cause: expect.objectContaining({ message: "mine" }) as Error });
      expect(buffer.disposed).toBe(true);
      expect(kept[0]!.every((byte) => byte === 0)).toBe(true);
      buffer.dispose();
      const others = Array.from({ length: 20 }, () => SecureBuffer.from("o".repeat(size)));
      expect(kept[0]!.every((byte) => byte === 0)).toBe(true);
      kept[0]!.fill(0x78);
      for (const other of others) {
        expect(other.equals(Buffer.alloc(size, "o"))).toBe(true);
        other.dispose();
      }
      kept.length = 0;
      const after = await settled();
      // Not even when the array buffer has been collected: the finalizer runs at the end of a thread, too, when it may
      // live on. (Small things of tests before this one may go meanwhile.)
      expect(after.bytesInUse - before.bytesInUse).toBeGreaterThan(size / 2);
    });

    whereMoved("notices the move in a use within a use, and after the buffer was shared", () => {
      const buffer = SecureBuffer.from("secret");
      const shared = SecureBuffer.fromHandle(native.bufferShare(buffer.handle));
      buffer.use((outer) => {
        expect(codeOf(() => buffer.use((inner) => move!.call(inner.buffer as ArrayBuffer)))).toBe("VIEW_TAKEN");
        expect([...outer]).toEqual([0, 0, 0, 0, 0, 0]);
      });
      expect(codeOf(() => buffer.length)).toBe("DISPOSED");
      expect(codeOf(() => shared.toString())).toBe("DISPOSED");
    });

    whereMoved("survives the end of the thread whose view went to another one", async () => {
      const addon = join(__dirname, "..", "..", "..", "build", "Release", "nomyo_native.node");
      const worker = new Worker(
        `const { parentPort } = require("node:worker_threads");
         const native = require(${JSON.stringify(addon)});
         const buffer = native.bufferFrom("s".repeat(50000), "required");
         let moved;
         try { native.bufferUse(buffer, (view) => { moved = view.buffer.transfer(); }); } catch (error) {
           if (error.code !== "VIEW_TAKEN") throw error;
         }
         parentPort.postMessage(moved, [moved]);`,
        { eval: true },
      );
      const exited = new Promise((resolve) => worker.once("exit", resolve));
      const moved = new Uint8Array((await once(worker, "message"))[0] as ArrayBuffer);
      expect(await exited).toBe(0);
      const others = Array.from({ length: 20 }, () => SecureBuffer.from("o".repeat(50_000)));
      expect(moved.every((byte) => byte === 0)).toBe(true);
      moved.fill(0x78);
      for (const other of others) {
        expect(other.equals(Buffer.alloc(50_000, "o"))).toBe(true);
        other.dispose();
      }
    });

    it("ends the view of a script that is terminated: the memory is out of its reach, or wiped", () => {
      const buffer = SecureBuffer.from("secret");
      const world: { buffer: SecureBuffer; kept?: Uint8Array } = { buffer };
      expect(() =>
        runInNewContext("buffer.use((view) => { kept = view; for (;;); })", createContext(world), { timeout: 100 }),
      ).toThrow(expect.objectContaining({ code: "ERR_SCRIPT_EXECUTION_TIMEOUT" }) as Error);
      // One that was detached has no bytes, and no iterator either.
      const { kept } = world;
      expect(kept!.length === 0 || kept!.every((byte) => byte === 0)).toBe(true);
    });

    it("lets its thread be terminated meanwhile", async () => {
      const addon = join(__dirname, "..", "..", "..", "build", "Release", "nomyo_native.node");
      const worker = new Worker(
        `const native = require(${JSON.stringify(addon)});
         const buffer = native.bufferFrom("secret", "required");
         native.bufferUse(buffer, (view) => { require("node:worker_threads").parentPort.postMessage(0); for (;;); });`,
        { eval: true },
      );
      await once(worker, "message");
      expect(await worker.terminate()).toBe(1);
    });

    it("hands on the caller's own errors, whatever they look like", () => {
      using buffer = SecureBuffer.from("secret");
      for (const thrown of [Object.assign(new Error("mine"), { code: "DISPOSED" }), undefined, null, "text"]) {
        const caught: unknown[] = [];
        try {
          buffer.use(() => {
            throw thrown; // eslint-disable-line @typescript-eslint/only-throw-error -- whatever it is
          });
        } catch (error) {
          caught.push(error);
        }
        expect(caught).toEqual([thrown]);
        expect(caught[0]).toBe(thrown);
      }
      expect(buffer.toString()).toBe("secret");
    });
  });

  it("compares bytes", () => {
    using left = SecureBuffer.from("secret");
    using same = SecureBuffer.from("secret");
    using other = SecureBuffer.from("secreT");
    using longer = SecureBuffer.from("secrets");
    expect(left.equals(same)).toBe(true);
    expect(left.equals(left)).toBe(true);
    expect(left.equals(Buffer.from("secret"))).toBe(true);
    expect(left.equals(other)).toBe(false);
    expect(left.equals(longer)).toBe(false);
    expect(() => left.equals("secret" as unknown as Uint8Array)).toThrow(aTypeError);
  });

  it("is text only when it holds UTF-8", () => {
    using buffer = SecureBuffer.from(Uint8Array.from([0x61, 0xff]));
    expect(codeOf(() => buffer.toString())).toBe("INVALID_UTF8");
  });

  it("shows nothing by accident", () => {
    using buffer = SecureBuffer.from("secret");
    expect(inspect(buffer)).toBe(REDACTED);
    expect(inspect({ deep: [buffer] }, { showHidden: true, depth: 9 })).not.toContain("secret");
    expect(() => JSON.stringify({ buffer })).toThrow(ConfigurationError);
    // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- that it throws is the point
    expect(() => `${buffer}`).toThrow(aTypeError);
    expect(() => (buffer as unknown as string) + "!").toThrow(aTypeError);
    expect(Object.values(buffer)).toEqual([]);
    expect(() => structuredClone(buffer.handle)).not.toThrow();
    expect(() => native.bufferLength(structuredClone(buffer.handle))).toThrow(aTypeError);
  });

  it("throws DISPOSED for every use after disposal, and never crashes", () => {
    const buffer = SecureBuffer.from("secret");
    const other = SecureBuffer.from("secret");
    buffer.dispose();
    buffer.dispose();
    expect(buffer.disposed).toBe(true);
    for (const work of [
      () => buffer.length,
      () => buffer.locked,
      () => buffer.toString(),
      () => buffer.use(() => 0),
      () => buffer.equals(other),
      () => other.equals(buffer),
    ]) {
      expect(codeOf(work)).toBe("DISPOSED");
    }
    other.dispose();
  });

  it("returns its memory on disposal, to the byte", async () => {
    const before = await settled();
    const during = stats();
    const buffers = [1, 100, 70_000, 1_000_000].map((size) => SecureBuffer.alloc(size));
    expect(stats().bytesInUse - during.bytesInUse).toBe(1_070_101);
    expect(stats().allocations - during.allocations).toBe(4);
    for (const buffer of buffers) {
      buffer.use((view) => view.fill(1));
      buffer.dispose();
    }
    expectNoMore(await settled(), before);
  });

  it("is wiped and freed by the collector when it is forgotten", async () => {
    const before = await settled();
    (() => {
      for (let i = 0; i < 100; i++) SecureBuffer.alloc(1000);
    })();
    expectNoMore(await settled(), before);
  });

  it("refuses objects that only look like a handle", () => {
    for (const forged of [
      {},
      null,
      5,
      Object.create(null),
      new Proxy(native.bufferAlloc(1, "off"), {}),
      native.createCancelToken(),
    ]) {
      expect(() => native.bufferLength(forged as never)).toThrow(aTypeError);
      expect(() => native.bufferDispose(forged as never)).toThrow(aTypeError);
      expect(() => native.bufferView(forged as never)).toThrow(aTypeError);
    }
    using buffer = SecureBuffer.from("secret");
    const foreign = new Uint8Array(6);
    buffer.use(() => {
      expect(() => native.bufferReleaseView(buffer.handle, foreign)).toThrow(aTypeError);
    });
    expect(() => native.bufferReleaseView(buffer.handle, foreign)).toThrow(aTypeError);
  });

  it("serves eight worker threads at once, and all of it comes back when they end", async () => {
    const before = await settled();
    const addon = join(__dirname, "..", "..", "..", "build", "Release", "nomyo_native.node");
    const source = `
      const { parentPort } = require("node:worker_threads");
      const native = require(${JSON.stringify(addon)});
      let kept = [];
      for (let i = 0; i < 2000; i++) {
        const text = "secret " + i;
        const buffer = native.bufferFrom(text, "required");
        const view = native.bufferView(buffer);
        if (view.length !== text.length) throw new Error("length");
        native.bufferReleaseView(buffer, view);
        if (native.bufferToString(buffer) !== text) throw new Error("content");
        if (i % 3 === 0) kept.push(buffer); else native.bufferDispose(buffer);
        try { native.bufferDispose(buffer); native.bufferLength(buffer); throw new Error("used after disposal"); }
        catch (error) { if (error.code !== "DISPOSED") throw error; }
      }
      // Left to the end of the environment.
      kept = Array.from({ length: 50 }, () => native.bufferFrom("left over", "required"));
      parentPort.postMessage(kept.length);`;
    const outcomes = await Promise.all(
      Array.from(
        { length: 8 },
        () =>
          new Promise<number>((resolve, reject) => {
            const worker = new Worker(source, { eval: true });
            worker.once("error", reject);
            worker.once("exit", resolve);
          }),
      ),
    );
    expect(outcomes).toEqual(Array(8).fill(0));
    expectNoMore(await settled(), before);
  });
});

/** The pool once the collector has taken what it takes, and no job of the addon's threads holds anything. */
async function settled() {
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--expose-gc");
  return settledPool(() => native.memoryInfo(), { collect: runInNewContext("gc") as () => void });
}

/** Nothing of this test's stayed. (What tests before it have forgotten the collector may take at any time.) */
function expectNoMore(after: Awaited<ReturnType<typeof settled>>, before: typeof after): void {
  expect(after.bytesInUse).toBeLessThanOrEqual(before.bytesInUse);
  expect(after.allocations).toBeLessThanOrEqual(before.allocations);
}
