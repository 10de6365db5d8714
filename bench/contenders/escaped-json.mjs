// Sealing without `JSON.stringify` for long ASCII strings: V8 makes the JSON around them; they are escaped in
// JavaScript, four bytes at a step. Not what a program would do, but faster, and so a harder yardstick.
import { scratch, sealBytes, sealPieces } from "../../dist/bench/node-envelope.js";

const pieceBytes = 32 * 1024;
const words = new Int32Array(pieceBytes / 4);
const bytes = Buffer.from(words.buffer);
/** What stands for each byte that is escaped. */
const escapes = new Array(256).fill(undefined);
for (const byte of [...Array(32).keys(), 0x22, 0x5c]) {
  escapes[byte] = Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1));
}

/**
 * Writes the first `length` bytes of `bytes`, escaped, to `out` at `at`, of which `view` shows the memory; gives the
 * end.
 */
function escapePiece(length, out, view, at) {
  const one = (byte) => {
    const escape = escapes[byte];
    if (escape === undefined) out[at++] = byte;
    else for (let index = 0; index < escape.length; index++) out[at++] = escape[index];
  };
  const whole = length >> 2;
  for (let index = 0; index < whole; index++) {
    const word = words[index];
    // The high bit of each byte tells, in the three terms: below 0x20; a quotation mark; a backslash. Carries only ever
    // report too much.
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
    plain[at++] = 0x22;
    for (let from = 0; from < taken[index].length; from += pieceBytes) {
      at = escapePiece(bytes.write(taken[index].slice(from, from + pieceBytes), 0, "latin1"), plain, view, at);
    }
    plain[at++] = 0x22;
  });
  return sealBytes(recipient, plain.subarray(0, at));
}
