/** What is typed for the model: one line, or several that belong together. All of it goes straight into the pool. */
import { PoolBytes } from "../memory/pool-bytes.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { UsageError } from "./exit-code.js";
import { isAt, SLASH } from "./slash-command.js";

const FENCE = Buffer.from('"""');
const BACKSLASH = 0x5c;
const NEWLINE = new Uint8Array([0x0a]);

/** Gives the next line, asked for with this prompt; `undefined` at the end. */
export type NextLine = (prompt: string) => Promise<SecureBuffer | undefined>;

/**
 * The next text. A line that is `"""` alone begins one that goes on until the next such line; a backslash at a line's
 * end is a line feed. `undefined` at the end of the input, also in the middle: half a text is not meant to be sent.
 */
export async function typedText(
  next: NextLine,
  locking: Locking,
  maxBytes: number,
): Promise<{ readonly text: SecureBuffer; readonly isSeveral: boolean } | undefined> {
  const first = await next("> ");
  if (first === undefined) return undefined;
  const isFenced = isFence(first);
  if (!isFenced && (isCommand(first) || !goesOn(first))) return { text: first, isSeveral: false };
  const text = new PoolBytes(locking);
  try {
    let line: SecureBuffer | undefined = first;
    let isOpen = true;
    if (isFenced) {
      first.dispose();
      line = await next(". ");
    }
    for (let count = 0; ; count++) {
      if (line === undefined) {
        text.dispose();
        return undefined;
      }
      const isEnd: boolean = isFenced && isFence(line);
      isOpen = isFenced ? !isEnd : goesOn(line);
      if (!isEnd) {
        if (count > 0) text.append(NEWLINE);
        appendLine(text, line, !isFenced && isOpen);
      }
      line.dispose();
      if (text.length > maxBytes) throw new UsageError(`A text may have ${maxBytes} bytes at most.`);
      if (!isOpen) return { text: text.release(), isSeveral: true };
      line = await next(". ");
    }
  } catch (error) {
    text.dispose();
    throw error;
  }
}

function isFence(line: SecureBuffer): boolean {
  return line.use((bytes) => isAt(bytes, 0, bytes.length, FENCE));
}

function goesOn(line: SecureBuffer): boolean {
  return line.use((bytes) => bytes.at(-1) === BACKSLASH);
}

/** A command is one line, whatever its end. */
function isCommand(line: SecureBuffer): boolean {
  return line.use((bytes) => bytes[0] === SLASH);
}

/** Copies a line, without the backslash at its end where that is a mark. */
function appendLine(text: PoolBytes, line: SecureBuffer, isMarked: boolean): void {
  // A view of a view: the same memory.
  line.use((bytes) => text.append(isMarked ? bytes.subarray(0, bytes.length - 1) : bytes));
}
