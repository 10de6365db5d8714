/**
 * The members of a JSON object, as places in its bytes (RFC 8259). The router looks at and edits requests and answers in the pool through
 * this, so that they never become JavaScript values. The scan validates the whole text: what it accepts, every JSON parser accepts.
 */

export interface Member {
  /** The name, unescaped. */
  readonly name: string;
  /** Where the name's opening quote is. */
  readonly start: number;
  /** Where the value's first byte is. */
  readonly valueStart: number;
  /** One past the value's last byte. */
  readonly end: number;
}

export interface JsonObject {
  readonly members: readonly Member[];
  /** Where the closing brace is. */
  readonly close: number;
}

/** The bytes are not the JSON text of one object, or it has a name twice. The message never quotes them. */
export class JsonObjectError extends Error {}

/** Two parsers may take different ones of two equal names, and so one request for two: no such text passes. */
export function scanObject(bytes: Uint8Array, maxDepth: number): JsonObject {
  const scanner = new Scanner(bytes, maxDepth);
  return scanner.object();
}

/** Overwrites a member of the object in `bytes`, if it is there, and one comma beside it with spaces. */
export function blankMember(bytes: Uint8Array, name: string, maxDepth: number): void {
  const { members } = scanObject(bytes, maxDepth);
  const index = members.findIndex((member) => member.name === name);
  const member = members[index];
  if (member === undefined) return;
  const next = members[index + 1];
  const previous = members[index - 1];
  if (next !== undefined) bytes.fill(space, member.start, next.start);
  else bytes.fill(space, previous?.end ?? member.start, member.end);
}

const space = 0x20;
const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #maxDepth: number;
  #at = 0;

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
  }

  object(): JsonObject {
    const members: Member[] = [];
    const names = new Set<string>();
    this.#space();
    this.#expect(openBrace);
    this.#space();
    if (this.#peek() !== closeBrace) {
      for (;;) {
        this.#space();
        const start = this.#at;
        this.#string();
        const name = this.#name(start);
        if (names.has(name)) throw new JsonObjectError("a name occurs twice");
        names.add(name);
        this.#space();
        this.#expect(colon);
        this.#space();
        const valueStart = this.#at;
        this.#value();
        members.push({ name, start, valueStart, end: this.#at });
        this.#space();
        if (this.#peek() !== comma) break;
        this.#at += 1;
      }
    }
    const close = this.#at;
    this.#expect(closeBrace);
    this.#space();
    if (this.#at !== this.#bytes.length) throw new JsonObjectError("there is something after the object");
    return { members, close };
  }

  /** The next value, nested ones without recursion. */
  #value(): void {
    const open: number[] = [];
    for (;;) {
      const byte = this.#peek();
      if (byte === openBrace || byte === openBracket) {
        if (open.length + 1 >= this.#maxDepth) throw new JsonObjectError("it is nested too deeply");
        open.push(byte);
        this.#at += 1;
        this.#space();
        if (this.#peek() === byte + 2) {
          // An empty one: closed below, where every value ends.
        } else {
          if (byte === openBrace) this.#nameAndColon();
          continue;
        }
      } else {
        this.#scalar(byte);
      }
      // A value has ended here, or an empty container is about to.
      for (;;) {
        const container = open.at(-1);
        if (container === undefined) return;
        this.#space();
        const next = this.#peek();
        if (next === (container === openBrace ? closeBrace : closeBracket)) {
          open.pop();
          this.#at += 1;
          continue;
        }
        this.#expect(comma);
        this.#space();
        if (container === openBrace) this.#nameAndColon();
        break;
      }
    }
  }

  #nameAndColon(): void {
    this.#string();
    this.#space();
    this.#expect(colon);
    this.#space();
  }

  #scalar(first: number | undefined): void {
    if (first === quote) this.#string();
    else if (first === 0x74) this.#literal("true");
    else if (first === 0x66) this.#literal("false");
    else if (first === 0x6e) this.#literal("null");
    else this.#number();
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i += 1) this.#expect(word.charCodeAt(i));
  }

  #number(): void {
    if (this.#peek() === 0x2d) this.#at += 1;
    if (this.#peek() === 0x30) this.#at += 1;
    else this.#digits();
    if (this.#peek() === 0x2e) {
      this.#at += 1;
      this.#digits();
    }
    if (this.#peek() === 0x65 || this.#peek() === 0x45) {
      this.#at += 1;
      if (this.#peek() === 0x2b || this.#peek() === 0x2d) this.#at += 1;
      this.#digits();
    }
  }

  #digits(): void {
    const start = this.#at;
    while (isDigit(this.#peek())) this.#at += 1;
    if (this.#at === start) throw new JsonObjectError("there is something that is not a value");
  }

  #string(): void {
    this.#expect(quote);
    for (;;) {
      const byte = this.#peek();
      if (byte === undefined || byte < 0x20) throw new JsonObjectError("a string is broken");
      this.#at += 1;
      if (byte === quote) return;
      if (byte === backslash) this.#escape();
    }
  }

  #escape(): void {
    const byte = this.#peek();
    this.#at += 1;
    if (byte === 0x75) {
      for (let i = 0; i < 4; i += 1, this.#at += 1) {
        if (!isHexDigit(this.#peek())) throw new JsonObjectError("an escape is broken");
      }
    } else if (byte === undefined || !'"\\/bfnrt'.includes(String.fromCharCode(byte))) {
      throw new JsonObjectError("an escape is broken");
    }
  }

  /** The name that lies from `start` to here, unescaped. Names of members are the protocol's words, not secrets. */
  #name(start: number): string {
    try {
      return JSON.parse(utf8.decode(this.#bytes.subarray(start, this.#at))) as string;
    } catch {
      throw new JsonObjectError("a name is broken");
    }
  }

  #space(): void {
    for (;;) {
      const byte = this.#peek();
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at += 1;
    }
  }

  #expect(byte: number): void {
    if (this.#peek() !== byte) throw new JsonObjectError("it is not JSON");
    this.#at += 1;
  }

  #peek(): number | undefined {
    return this.#bytes[this.#at];
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}
