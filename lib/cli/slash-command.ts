/** What a line of a conversation asks of the program instead of the model. Looked at where it lies, in the pool. */
import type { SecureBuffer } from "../memory/secure-buffer.js";

/** The commands of a conversation, and what each does, for `/help`. */
export const slashCommands = {
  help: ["", "this list"],
  new: ["", "start over; what was said is wiped"],
  model: ["[NAME]", "ask another model from now on; without NAME: which one it is"],
  attest: ["", "ask the server for its TPM's quote and say what it is worth; costs a request of one token"],
  save: ["FILE", "write the conversation to a new file, as plaintext, mode 0600"],
  exit: ["", "end; so do an empty line, Ctrl-D, and Ctrl-C twice"],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type SlashCommandName = keyof typeof slashCommands;

/** `text`: for the model. `blank`: nothing. `unknown`: begins with a slash, and is no command: not for the model. */
export type Line =
  | { readonly kind: "text" | "blank" | "unknown" }
  | { readonly kind: "command"; readonly name: SlashCommandName; readonly argument: string };

export const SLASH = 0x2f;
const names = (Object.keys(slashCommands) as SlashCommandName[]).map((name) => ({ name, bytes: Buffer.from(name) }));

/**
 * Reads a line. Only what follows a known command becomes a string: a model's name, a file's. What merely begins with a
 * slash may be a prompt that was typed by mistake, and stays where it is.
 */
export function readLine(line: SecureBuffer): Line {
  return line.use((bytes) => {
    // In place: `filter` or `slice` would leave a copy of the line in ordinary memory.
    let start = 0;
    let end = bytes.length;
    while (end > 0 && isBlank(bytes[end - 1])) end--;
    while (start < end && isBlank(bytes[start])) start++;
    if (start === end) return { kind: "blank" };
    if (bytes[0] !== SLASH) return { kind: "text" };
    let word = 1;
    while (word < end && !isBlank(bytes[word])) word++;
    const found = names.find(({ bytes: name }) => isAt(bytes, 1, word, name));
    if (found === undefined) return { kind: "unknown" };
    while (word < end && isBlank(bytes[word])) word++;
    const argument = Buffer.from(bytes.buffer, bytes.byteOffset + word, end - word).toString("utf8");
    return { kind: "command", name: found.name, argument };
  });
}

/** Whether the bytes from `start` to `end` are these. */
export function isAt(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  return end - start === expected.length && expected.every((byte, at) => bytes[start + at] === byte);
}

function isBlank(byte: number | undefined): boolean {
  return byte === undefined || byte <= 0x20;
}

/** The list for `/help`. */
export function slashHelp(): string {
  const rows = Object.entries(slashCommands).map(([name, [argument, what]]) => [`/${name} ${argument}`.trim(), what]);
  const width = Math.max(...rows.map(([name]) => name?.length ?? 0));
  return (
    rows.map(([name = "", what = ""]) => `  ${name.padEnd(width)}  ${what}\n`).join("") +
    `  ${"\\".padEnd(width)}  at the end of a line: the text goes on in the next one\n` +
    `  ${'"""'.padEnd(width)}  alone on a line: a text of many lines begins, and ends at the next one\n` +
    "A blank before a slash sends the line to the model.\n"
  );
}
