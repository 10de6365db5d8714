/**
 * Jest runs tests in a realm of its own, while the addon makes values of the main one: two Object.prototypes that are
 * alike.
 */
function samePrototype(got: object | null, wanted: object | null): boolean {
  if (got === wanted || got === null || wanted === null) return got === wanted;
  return Object.hasOwn(got, "constructor") && got.constructor.name === wanted.constructor.name;
}

/**
 * What `JSON.parse` gives, also in Node 24, whose V8 (13.6) can give a backslash for a name that is one escape, once it
 * has seen the name "\\" at the same place of an object of the same shape (json-property.test.ts with the seeds
 * 202440161 and -442206676: "\ud800"). There every name is read with a letter behind it, so that none ends where V8's
 * comparison does.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!process.versions.node.startsWith("24.")) return value;
  const lettered = text.replace(/"((?:[^"\\]|\\.)*)"(\s*:)?/g, (string, inside: string, colon?: string) =>
    colon === undefined ? string : `"${inside}k"${colon}`,
  );
  return withoutLetters(JSON.parse(lettered));
}

function withoutLetters(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutLetters);
  const object = {};
  for (const [name, member] of Object.entries(value)) {
    const plain = { value: withoutLetters(member), enumerable: true, writable: true, configurable: true };
    Object.defineProperty(object, name.slice(0, -1), plain);
  }
  return object;
}

/**
 * Fails unless two values are what one JSON text gives: the same kinds, numbers to the bit (`-0`), strings to the code
 * unit, keys in the same order, plain prototypes, and nothing but own enumerable data properties. `toEqual` lets some
 * of these pass.
 */
export function expectSameValue(got: unknown, wanted: unknown, path = "$"): void {
  if (typeof wanted !== "object" || wanted === null) {
    if (!Object.is(got, wanted)) throw new Error(`${path}: got ${String(got)}, wanted ${String(wanted)}`);
    return;
  }
  if (typeof got !== "object" || got === null || Array.isArray(got) !== Array.isArray(wanted)) {
    throw new Error(`${path}: of another kind`);
  }
  if (!samePrototype(Object.getPrototypeOf(got), Object.getPrototypeOf(wanted))) {
    throw new Error(`${path}: another prototype`);
  }
  const keys = Reflect.ownKeys(got);
  const wantedKeys = Reflect.ownKeys(wanted);
  if (keys.length !== wantedKeys.length || keys.some((key, i) => key !== wantedKeys[i])) {
    throw new Error(`${path}: keys ${JSON.stringify(keys)}, wanted ${JSON.stringify(wantedKeys)}`);
  }
  for (const [i, key] of keys.entries()) {
    const one = Object.getOwnPropertyDescriptor(got, key);
    const other = Object.getOwnPropertyDescriptor(wanted, wantedKeys[i]!);
    if (
      one?.enumerable !== other?.enumerable ||
      one?.writable !== other?.writable ||
      one?.configurable !== other?.configurable
    ) {
      throw new Error(`${path}.${String(key)}: another kind of property`);
    }
    expectSameValue(one?.value, other?.value, `${path}.${String(key)}`);
  }
}
