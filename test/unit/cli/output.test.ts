/**
 * Output: what would steer a terminal is replaced, in text, in JSON and in bytes of the pool; what is lost is an error.
 */
import { Writable } from "node:stream";
import { harmless, harmlessParts, Output } from "../../../lib/cli/output.js";
import { writeSecret } from "../../../lib/cli/secret-output.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { testStreams } from "../../support/command-line.js";

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const steering = [
  ...range(0, 0x1f).filter((code) => code !== 9 && code !== 10),
  ...range(0x7f, 0x9f),
  ...[0x61c, 0x200e, 0x200f],
  ...range(0x2028, 0x202e),
  ...range(0x2066, 0x2069),
];

function bytesOf(text: string): string {
  return Buffer.concat(harmlessParts(Buffer.from(text))).toString();
}

test("every character that steers is replaced, and no other of the basic plane", () => {
  for (const code of range(0, 0xffff)) {
    const text = `a${String.fromCharCode(code)}b`;
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    const expected = steering.includes(code) || surrogate ? "a\ufffdb" : text;
    if (harmless(text, "\ufffd") !== expected) throw new Error(`text, U+${code.toString(16)}`);
    if (!surrogate && bytesOf(text) !== expected) throw new Error(`bytes, U+${code.toString(16)}`);
    const json = harmless(JSON.stringify(text), undefined);
    if (JSON.parse(json) !== text) throw new Error(`JSON, U+${code.toString(16)}`);
    if (harmless(json, "\ufffd") !== json) throw new Error(`JSON steers, U+${code.toString(16)}`);
  }
});

test("pairs of surrogates stay", () => {
  expect(harmless("😀\u009b😀", "\ufffd")).toBe("😀\ufffd😀");
  expect(bytesOf("😀\u009b\u202e😀é")).toBe("😀\ufffd\ufffd😀é");
});

test("of escape sequences only this package's own colours stay, and only where they are wanted", async () => {
  const { stdout, text } = testStreams({ terminal: true });
  stdout.writeStyled("\u001b[31mx\u001b[0m\u001b[2J\u001b[123m\u001b]0;title");
  stdout.write("\u001b[31m");
  await stdout.flush();
  expect(text.stdout).toBe("\u001b[31mx\u001b[0m\ufffd[2J\ufffd[123m\ufffd]0;title\ufffd[31m");
});

test("an answer goes to a pipe as it is, and to a terminal without what steers it", async () => {
  for (const [terminal, expected] of [
    [false, "a\u001b[2J\u202eb\n"],
    [true, "a\ufffd[2J\ufffdb\n"],
  ] as const) {
    const { stdout, text } = testStreams({ terminal });
    using answer = SecureBuffer.from("a\u001b[2J\u202eb");
    await writeSecret(stdout, answer);
    expect(text.stdout).toBe(expected);
  }
});

test("a write that fails is told by flush, and nothing is written after it", async () => {
  const written: string[] = [];
  const output = new Output(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (chunk.toString() === "lost") done(Object.assign(new Error("full"), { code: "ENOSPC" }));
        else done(void written.push(chunk.toString()));
      },
    }),
  );
  for (const text of ["one", "lost", "two"]) output.write(text);
  await expect(output.flush()).rejects.toMatchObject({
    code: "ENOSPC",
    message: "The output could not be written (ENOSPC).",
  });
  await expect(output.flush()).rejects.toThrow("ENOSPC");
  expect(written).toEqual(["one"]);
});
