import { types } from "node:util";
import { SecureBuffer } from "../memory/secure-buffer.js";

export interface Skeleton {
  /** What `JSON.stringify` gives, with the marker as a string in the place of each that was taken out. */
  readonly json: string | undefined;
  /** What was taken out, in the order of the markers. */
  readonly taken: readonly (string | SecureBuffer)[];
}

/** The longest string that stays in the skeleton. Taking a string out costs about as much as V8 copying so many characters. */
const LONGEST_INLINE = 64;
/** The most elements, and the deepest nesting, of which an outline is made. */
const MOST_ELEMENTS = 1_000_000;
const DEEPEST = 200;
/** From this many elements on, an array that has nothing to take out is not copied. */
const LONG_LIST = 32;

/** What a `SecureBuffer` shows of itself. JSON.stringify asks it for that before a replacer sees anything. */
const REDACTED = SecureBuffer.prototype.toJSON();

/**
 * `JSON.stringify(value)`, but with every string over 64 characters and every `SecureBuffer` taken out and `marker` left in its place.
 * Throws what `JSON.stringify` throws.
 *
 * V8 writes the JSON of an outline: a plain copy of what it would see of the value. A replacer would do without one, but V8 calls it for
 * every number, and a list of tokens takes four to six times as long with it. It is used where an outline would have no end, or would be
 * very deep or large; getters and `toJSON` methods are then called a second time.
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

/** Objects that inherit nothing: no `toJSON`, no setters, and `__proto__` is a key like another. Unlike `Object.create(null)`, fast ones. */
const Members = function (): void {
  // Nothing to set.
} as unknown as new () => Record<string, unknown>;
Members.prototype = Object.create(null) as object;

/** Goes through a value as ECMA-262 25.5.2.2 (SerializeJSONProperty) does, and reads each property once, in that order. */
class Outline {
  readonly taken: (string | SecureBuffer)[] = [];
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
    if (item instanceof SecureBuffer) return this.#take(item);
    return this.#ofShown(Reflect.apply(toJSON, item, [String(key)]), true);
  }

  /** Of what an item shows of itself: the item, or what its `toJSON` returned, which is not asked for another. */
  #ofShown(item: unknown, byToJson: boolean): unknown {
    if (typeof item === "string") return this.#ofString(item);
    if (typeof item === "function") return undefined;
    if (typeof item !== "object" || item === null) return item; // V8 refuses a BigInt, in its own words
    const prototype: unknown = Object.getPrototypeOf(item);
    if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) {
      if (item instanceof SecureBuffer) return this.#take(item);
      if (types.isStringObject(item)) return this.#ofString(String(item));
      if (types.isNumberObject(item)) return +item;
      if (types.isBooleanObject(item)) return Boolean.prototype.valueOf.call(item);
      if (types.isBigIntObject(item)) return BigInt.prototype.valueOf.call(item);
    }
    const path = this.#path;
    if (path.length === DEEPEST || path.includes(item)) throw new NoOutline();
    path.push(item);
    const outline = Array.isArray(item) ? this.#ofList(item, byToJson) : this.#ofMembers(item);
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

  #ofMembers(members: object): Record<string, unknown> {
    const outline = new Members();
    for (const key of Object.keys(members)) {
      const item = (members as Readonly<Record<string, unknown>>)[key];
      outline[key] = stays(item) ? item : this.of(item, key);
    }
    return outline;
  }

  #take(item: string | SecureBuffer): string {
    this.taken.push(item);
    return this.#marker;
  }
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
  const taken: (string | SecureBuffer)[] = [];
  const take = (item: string | SecureBuffer): string => {
    taken.push(item);
    return marker;
  };
  const json = JSON.stringify(value, function (this: Readonly<Record<string, unknown>>, key, item: unknown) {
    let secret: unknown;
    if (typeof item === "string") {
      if (item.length > LONGEST_INLINE) return take(item);
      if (item !== REDACTED) return item;
      secret = this[key];
    } else {
      secret = item;
    }
    return secret instanceof SecureBuffer ? take(secret) : item;
  }) as string | undefined;
  return { json, taken };
}
