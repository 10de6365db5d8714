/** The JSON of a value with its long strings and secrets taken out, so that they never pass through V8's JSON. */
import { types } from "node:util";
import { handleOf } from "../memory/secure-buffer.js";
import type { BufferHandle } from "../native.js";

/** A long string, or a `SecureBuffer`'s handle. */
export type Taken = string | { readonly buffer: BufferHandle };

export interface Skeleton {
  /** What `JSON.stringify` gives, with the marker as a string in the place of each that was taken out. */
  readonly json: string | undefined;
  /** What was taken out, in the order of the markers. */
  readonly taken: readonly Taken[];
}

/**
 * The longest string that stays in the skeleton. Taking a string out costs about as much as V8 copying so many
 * characters.
 */
const LONGEST_INLINE = 64;
/** The most elements, and the deepest nesting, of which an outline is made. */
const MOST_ELEMENTS = 1_000_000;
const DEEPEST = 200;
/** From this many elements on, an array that has nothing to take out is not copied. */
const LONG_LIST = 32;

/** Node 20 has no such thing. */
const isRawJSON = (JSON as { isRawJSON?: (item: object) => boolean }).isRawJSON ?? (() => false);

/**
 * `JSON.stringify(value)`, but with every string over 64 characters and every `SecureBuffer` taken out and `marker`
 * left in its place. Throws what `JSON.stringify` throws, and a `ConfigurationError` for a `SecureBuffer` that cannot
 * be read ({@link handleOf}).
 *
 * V8 writes the JSON of an outline: a plain copy of what it would see of the value. A replacer would do without one,
 * but V8 calls it for every number, and a list of tokens takes four to six times as long with it. It is used where an
 * outline would have no end, or would be very deep or large; getters and `toJSON` methods are then called a second
 * time.
 */
export function skeletonOf(value: unknown, marker: string): Skeleton {
  // V8 would ask the lists of an outline for such a `toJSON` once more.
  if (!("toJSON" in Array.prototype)) {
    try {
      const outline = new Outline(marker);
      return { json: JSON.stringify(outline.of(value, "")), taken: outline.taken };
    } catch (error) {
      if (!(error instanceof NoOutline)) throw error;
    }
  }
  return withReplacer(value, marker);
}

class NoOutline extends Error {}

/**
 * Objects that inherit nothing: no `toJSON`, no setters, and `__proto__` is a key like another. Unlike
 * `Object.create(null)`, fast ones.
 */
const Members = function (): void {
  // Nothing to set.
} as unknown as new () => Record<string, unknown>;
Members.prototype = Object.create(null) as object;

/**
 * Goes through a value as ECMA-262 25.5.2.2 (SerializeJSONProperty) does, and reads each property once, in that order.
 */
class Outline {
  readonly taken: Taken[] = [];
  readonly #marker: string;
  readonly #path: object[] = [];

  constructor(marker: string) {
    this.#marker = marker;
  }

  of(item: unknown, key: string | number): unknown {
    switch (typeof item) {
      case "string":
        return this.#ofString(item);
      case "bigint":
      case "function":
        break;
      case "object":
        if (item !== null) break;
        return item;
      default:
        return item;
    }
    const toJSON = (item as { toJSON?: unknown }).toJSON;
    if (typeof toJSON !== "function") return this.#ofShown(item, false);
    const buffer = typeof item === "object" ? handleOf(item) : undefined;
    if (buffer !== undefined) return this.#take({ buffer });
    return this.#ofShown(Reflect.apply(toJSON, item, [String(key)]), true);
  }

  /** Of what an item shows of itself: the item, or what its `toJSON` returned, which is not asked for another. */
  #ofShown(item: unknown, byToJson: boolean): unknown {
    if (typeof item === "string") return this.#ofString(item);
    if (typeof item === "function") return undefined;
    if (typeof item !== "object" || item === null) return item; // V8 refuses a BigInt, in its own words
    const prototype: unknown = Object.getPrototypeOf(item);
    if (prototype === null) {
      if (isRawJSON(item)) return item; // V8 writes its text as it stands
    } else if (prototype !== Object.prototype && prototype !== Array.prototype) {
      const buffer = handleOf(item);
      if (buffer !== undefined) return this.#take({ buffer });
      if (types.isStringObject(item)) return this.#ofString(String(item));
      if (types.isNumberObject(item)) return +item;
      if (types.isBooleanObject(item)) return Boolean.prototype.valueOf.call(item);
      if (types.isBigIntObject(item)) return BigInt.prototype.valueOf.call(item);
    }
    const path = this.#path;
    if (path.length === DEEPEST || path.includes(item)) throw new NoOutline();
    path.push(item);
    const outline = Array.isArray(item)
      ? this.#ofList(item, byToJson)
      : this.#ofMembers(item, prototype === Object.prototype && inheritsNothing());
    path.pop();
    return outline;
  }

  #ofString(item: string): string {
    return item.length > LONGEST_INLINE ? this.#take(item) : item;
  }

  #ofList(list: readonly unknown[], byToJson: boolean): readonly unknown[] {
    const { length } = list;
    if (!Number.isInteger(length) || length > MOST_ELEMENTS) throw new NoOutline();
    // V8 reads such a list for itself. Only getters in the place of elements could tell.
    if (length >= LONG_LIST && !byToJson && !types.isProxy(list) && staysWhole(list, length)) return list;
    const outline: unknown[] = [];
    for (let i = 0; i < length; i++) {
      const item = list[i];
      outline.push(stays(item) ? item : this.of(item, i));
    }
    return outline;
  }

  #ofMembers(members: object, inheritsNothing: boolean): Record<string, unknown> {
    const outline = new Members();
    // Without a list of the keys, and with a short way to the values. But it would see what is inherited.
    if (inheritsNothing) {
      for (const key in members) {
        const item = (members as Readonly<Record<string, unknown>>)[key];
        outline[key] = stays(item) ? item : this.of(item, key);
      }
      return outline;
    }
    for (const key of Object.keys(members)) {
      const item = (members as Readonly<Record<string, unknown>>)[key];
      outline[key] = stays(item) ? item : this.of(item, key);
    }
    return outline;
  }

  #take(item: Taken): string {
    this.taken.push(item);
    return this.#marker;
  }
}

/** Whether plain objects have nothing from Object.prototype that `for … in` would see. */
function inheritsNothing(): boolean {
  for (const _key in Object.prototype) return false;
  return true;
}

/** Whether an item stays in the JSON as it is. */
function stays(item: unknown): boolean {
  if (typeof item === "string") return item.length <= LONGEST_INLINE;
  return typeof item === "number" || typeof item === "boolean" || item === null;
}

function staysWhole(list: readonly unknown[], length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (!stays(list[i])) return false;
  }
  return true;
}

function withReplacer(value: unknown, marker: string): Skeleton {
  const taken: Taken[] = [];
  const take = (item: Taken): string => {
    taken.push(item);
    return marker;
  };
  // V8 asks a value for its `toJSON` before the replacer sees it, and a buffer has none to show. So the buffers in an
  // object are put into boxes when the object itself comes by.
  const json = JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === "string") return item.length > LONGEST_INLINE ? take(item) : item;
    if (typeof item !== "object" || item === null) return item;
    if (item instanceof Boxed) return take({ buffer: item.buffer });
    const buffer = handleOf(item);
    return buffer === undefined ? withBoxes(item) : take({ buffer });
  }) as string | undefined;
  return { json, taken };
}

/** In the place of a buffer, while V8 passes. */
class Boxed {
  constructor(readonly buffer: BufferHandle) {}
}

/** The object itself, or a copy if there are buffers among its members. */
function withBoxes(item: object): unknown {
  const boxed = (member: unknown): Boxed | undefined => {
    const buffer = typeof member === "object" && member !== null ? handleOf(member) : undefined;
    return buffer && new Boxed(buffer);
  };
  if (Array.isArray(item)) {
    return item.some((member) => boxed(member) !== undefined)
      ? Array.from(item as unknown[], (member) => boxed(member) ?? member)
      : item;
  }
  const keys = Object.keys(item);
  const members = item as Readonly<Record<string, unknown>>;
  if (!keys.some((key) => boxed(members[key]) !== undefined)) return item;
  const copy = new Members();
  for (const key of keys) copy[key] = boxed(members[key]) ?? members[key];
  return copy;
}
