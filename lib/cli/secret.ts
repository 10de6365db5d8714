/**
 * Secrets of the command line: from files, the environment, or a prompt; never from arguments, which every account of
 * the machine can read in the list of processes.
 */
import { isUtf8 } from "node:buffer";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { isPrintableWord } from "../printable.js";
import { UsageError } from "./exit-code.js";
import { readPrivateFile } from "./private-file.js";
import { withoutLineEnd } from "./secret-input.js";
import type { Streams } from "./streams.js";

export interface SecretSource {
  /** For messages: `--key-password-file`. */
  readonly option: string;
  readonly file: string | undefined;
  /**
   * The environment variable to look at when there is no file. It stays where others see it: in /proc/PID/environ, and
   * in diagnostic reports.
   */
  readonly variable: string;
}

/** The secret in the pool, without the line's end; `undefined` when there is none. The caller disposes of it. */
export function readSecret(source: SecretSource, env: Streams["env"], locking: Locking): SecureBuffer | undefined {
  const { option, file, variable } = source;
  if (file !== undefined) return withoutLineEnd(readPrivateFile(option, file, locking));
  const value = env[variable];
  return value === undefined || value === "" ? undefined : SecureBuffer.from(value, locking);
}

/** The same as a string, for secrets that have to be one (an HTTP header). */
export function readSecretText(source: SecretSource, env: Streams["env"]): string | undefined {
  using secret = readSecret(source, env, "preferred");
  if (secret === undefined) return undefined;
  const isText = secret.use((bytes) => isUtf8(bytes));
  if (!isText) throw new UsageError(`${source.option}: the file is no text (UTF-8).`);
  return secret.toString();
}

/** An API key that goes out as a header: one word. What is wrong is told by its place, never by what it says. */
export function readApiKey(source: SecretSource, env: Streams["env"]): string | undefined {
  const key = readSecretText(source, env);
  if (key === undefined || isPrintableWord(key)) return key;
  const { option, file, variable } = source;
  const where = file === undefined ? `The variable ${variable}` : `${option}: the file ${file}`;
  const text = key.endsWith("\n") ? key.slice(0, -1) : key;
  const lines = text.split("\n").length;
  const at = Array.from(key).findIndex((character) => !isPrintableWord(character)) + 1;
  const found =
    text === ""
      ? "holds an empty line"
      : lines > 1
        ? `has ${lines} lines`
        : `has a blank, or another character that no API key has, as its character ${at}`;
  throw new UsageError(
    `${where} ${found}; expected is one API key, of visible ASCII characters, and nothing else. ` +
      (file === undefined
        ? `Set it anew: export ${variable}=KEY`
        : "Leave only the key in it; the end of its line does not matter."),
  );
}

/** Asks at the terminal without showing what is typed. */
export async function promptSecret(question: string, streams: Streams, locking: Locking): Promise<SecureBuffer> {
  const { input, stderr } = streams;
  if (!input.isTTY) throw new UsageError("There is no terminal to ask for the password: give a file or a variable.");
  const ask = async (): Promise<void> => {
    stderr.write(question);
    await stderr.flush();
  };
  const secret = await input.line(locking, { echo: false, ask });
  if (secret === undefined) throw new UsageError("No password was typed.");
  return secret;
}
