/** The key expansion of AES (FIPS 197, section 5.2), to know what a key schedule in memory looks like. */

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2.1). */
const xtime = (a: number) => ((a << 1) ^ (a & 0x80 ? 0x11b : 0)) & 0xff;

/** The S-box from its definition: the inverse in GF(2^8), then the affine map (FIPS 197, section 5.1.1). */
const sBox = (() => {
  const exponents = new Uint8Array(255);
  const logarithms = new Uint8Array(256);
  for (let i = 0, power = 1; i < 255; i++) {
    exponents[i] = power;
    logarithms[power] = i;
    power ^= xtime(power); // times 3, a generator
  }
  return Uint8Array.from({ length: 256 }, (_, a) => {
    const inverse = a === 0 ? 0 : exponents[(255 - logarithms[a]!) % 255]!;
    const rotated = (by: number) => ((inverse << by) | (inverse >> (8 - by))) & 0xff;
    return inverse ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63;
  });
})();

/** The expanded key as bytes in the standard's order: 240 bytes for a key of 32. The first 32 are the key itself. */
export function aesKeySchedule(key: Uint8Array): Buffer {
  const words = key.length / 4;
  const schedule = Buffer.alloc(16 * (words + 7));
  schedule.set(key);
  let roundConstant = 1;
  for (let at = key.length; at < schedule.length; at += 4) {
    const word = Buffer.from(schedule.subarray(at - 4, at));
    const position = (at / 4) % words;
    if (position === 0) {
      word.set([word[1]!, word[2]!, word[3]!, word[0]!]);
      for (let i = 0; i < 4; i++) word[i] = sBox[word[i]!]!;
      word[0]! ^= roundConstant;
      roundConstant = xtime(roundConstant);
    } else if (words > 6 && position === 4) {
      for (let i = 0; i < 4; i++) word[i] = sBox[word[i]!]!;
    }
    for (let i = 0; i < 4; i++) schedule[at + i] = schedule[at + i - key.length]! ^ word[i]!;
  }
  return schedule;
}
