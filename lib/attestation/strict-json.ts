/**
 * A JSON reader for files that people review: `JSON.parse`, and then a scan that refuses a key which an object has
 * twice. With `JSON.parse` alone the last one wins, so that a reviewer who read the first would have approved something
 * else.
 */

/** Why a text was not taken; one sentence, to follow "…: ". */
export class JsonFault extends Error {}

/** The value of a JSON text (RFC 8259), whose objects have no key twice. Throws a {@link JsonFault}. */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonFault("it is not valid JSON.");
  }
  refuseDuplicateKeys(text);
  return value;
}

/**
 * `text` is valid JSON, so a string in an object is a key exactly when the last token before it was `{` or `,`; and
 * tokens that are neither strings nor punctuation matter to nobody here.
 */
function refuseDuplicateKeys(text: string): void {
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  /** The keys so far of each object around the place; `undefined` for an array. */
  const open: (Set<string> | undefined)[] = [];
  let before = "";
  for (const [token] of text.matchAll(tokens)) {
    const keys = open.at(-1);
    if (token.startsWith('"') && keys !== undefined && (before === "{" || before === ",")) {
      const key = JSON.parse(token) as string;
      if (keys.has(key)) throw new JsonFault(`it has the key ${JSON.stringify(key.slice(0, 80))} twice in one object.`);
      keys.add(key);
    } else if (token === "{") {
      open.push(new Set());
    } else if (token === "[") {
      open.push(undefined);
    } else if (token === "}" || token === "]") {
      open.pop();
    }
    before = token;
  }
}
