/** Bytes of an HTTP message's lines, looked at where they lie: nothing here makes a string. */

export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;
export const SPACE = 0x20;

/** `text` is in lower case. */
export function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false;
  for (let i = 0; i < text.length; i += 1) {
    if (lowerCase(bytes[i] ?? 0) !== text.charCodeAt(i)) return false;
  }
  return true;
}

export function equals(bytes: Uint8Array, text: string): boolean {
  return bytes.length === text.length && startsWith(bytes, text);
}

export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

export function trimmed(value: Uint8Array): Uint8Array {
  let start = 0;
  let end = value.length;
  while (start < end && (value[start] === SPACE || value[start] === TAB)) start += 1;
  while (end > start && (value[end - 1] === SPACE || value[end - 1] === TAB)) end -= 1;
  return value.subarray(start, end);
}

/** Decimal digits and nothing else, `mostDigits` of them at most. */
export function wholeNumber(value: Uint8Array, mostDigits: number): number | undefined {
  if (value.length === 0 || value.length > mostDigits) return undefined;
  let number = 0;
  for (let i = 0; i < value.length; i += 1) {
    const digit = digitAt(value, i);
    if (digit < 0) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

/** -1: no digit. */
export function digitAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] ?? 0;
  return byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : -1;
}

/** -1: no digit. */
export function hexDigit(byte: number | undefined): number {
  const lower = lowerCase(byte ?? 0);
  if (lower >= 0x30 && lower <= 0x39) return lower - 0x30;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** RFC 9110 5.6.2. */
export function isTokenByte(byte: number): boolean {
  const lower = lowerCase(byte);
  if ((lower >= 0x61 && lower <= 0x7a) || (byte >= 0x30 && byte <= 0x39)) return true;
  return "!#$%&'*+-.^_`|~".includes(String.fromCharCode(byte));
}
