// Sealing without `JSON.stringify` for long ASCII strings: V8 makes the JSON around them; they are escaped in JavaScript, four bytes at a
// step. Not what a program would do, but faster, and so a harder yardstick.
import { sealBytesInPieces, sealPieces, scratch } from "../../dist/bench/node-envelope.js";

const pieceBytes = 32 * 1024;
const words = new Int32Array(pieceBytes / 4);
const bytes = Buffer.from(words.buffer);
/** What follows the backslash for each byte; 0: the byte is not escaped, 117: \u00XX. */
const escapes = new Uint8Array(256).fill(117, 0, 32);
for (const [character, escape] of Object.entries({
  "\b": "b",
  "\t": "t",
  "\n": "n",
  "\f": "f",
  "\r": "r",
  '"': '"',
  "\\": "\\",
})) {
  escapes[character.charCodeAt(0)] = escape.charCodeAt(0);
}
const hex = "0123456789abcdef";

/** Writes the first `length` bytes of `bytes`, escaped, to `view` at `at`; gives the end. */
function escapePiece(length, view, at) {
  const one = (byte) => {
    const escape = escapes[byte];
    if (escape === 0) {
      view.setUint8(at++, byte);
      return;
    }
    view.setUint16(at, 0x5c00 | escape);
    at += 2;
    if (escape !== 117) return;
    view.setUint16(at, 0x3030);
    view.setUint16(at + 2, (hex.charCodeAt(byte >> 4) << 8) | hex.charCodeAt(byte & 15));
    at += 4;
  };
  const whole = length >> 2;
  for (let index = 0; index < whole; index++) {
    const word = words[index];
    // The high bit of each byte tells, in the three terms: below 0x20; a quotation mark; a backslash. Carries only ever report too much.
    const control = (word - 0x20202020) & ~word;
    const quote = word ^ 0x22222222;
    const backslash = word ^ 0x5c5c5c5c;
    const found = control | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash);
    if ((found & 0x80808080) === 0) {
      view.setInt32(at, word, true);
      at += 4;
    } else {
      for (let byte = index * 4; byte < index * 4 + 4; byte++) one(bytes[byte]);
    }
  }
  for (let byte = whole * 4; byte < length; byte++) one(bytes[byte]);
  return at;
}

/** @type {import("../../dist/bench/node-envelope.js").NodeSealer} */
export function sealEscaped(recipient, value) {
  const marker = `\u0001${Math.random()}`;
  const taken = [];
  const skeleton = JSON.stringify(value, (_key, member) => {
    if (typeof member !== "string" || member.length < 256 || Buffer.byteLength(member) !== member.length) return member;
    taken.push(member);
    return marker;
  });
  const parts = skeleton.split(JSON.stringify(marker));
  // A string of the request that looks like the marker: the ordinary way.
  if (parts.length !== taken.length + 1) return sealPieces(recipient, value);
  const plain = scratch(skeleton.length * 3 + taken.reduce((sum, string) => sum + string.length * 6 + 2, 0));
  const view = new DataView(plain.buffer, plain.byteOffset, plain.length);
  let at = 0;
  parts.forEach((part, index) => {
    at += plain.write(part, at, "utf8");
    if (index === taken.length) return;
    view.setUint8(at++, 34);
    for (let from = 0; from < taken[index].length; from += pieceBytes) {
      at = escapePiece(bytes.write(taken[index].slice(from, from + pieceBytes), 0, "latin1"), view, at);
    }
    view.setUint8(at++, 34);
  });
  return sealBytesInPieces(recipient, plain.subarray(0, at));
}
