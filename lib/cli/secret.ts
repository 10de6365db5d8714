/**
 * Secrets of the command line: from files, the environment, or a prompt; never from arguments, which every account of the machine can read
 * in the list of processes.
 */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { LockPolicy } from "../native.js";
import { UsageError } from "./exit-code.js";
import { readPrivateFile } from "./private-file.js";
import type { Streams } from "./streams.js";

export interface SecretSource {
  /** For messages: `--key-password-file`. */
  readonly option: string;
  readonly file: string | undefined;
  /** The environment variable to look at when there is no file. */
  readonly variable: string;
}

/** The secret in the pool, without the line's end; `undefined` when there is none. The caller disposes of it. */
export async function readSecret(
  source: SecretSource,
  env: Streams["env"],
  policy: LockPolicy,
): Promise<SecureBuffer | undefined> {
  const { option, file, variable } = source;
  if (file !== undefined) return withoutLineEnd(await readPrivateFile(option, file, policy), policy);
  const value = env[variable];
  return value === undefined || value === "" ? undefined : SecureBuffer.from(value, policy);
}

/** The same as a string, for secrets that have to be one (an HTTP header). */
export async function readSecretText(source: SecretSource, env: Streams["env"]): Promise<string | undefined> {
  using secret = await readSecret(source, env, "preferred");
  return secret?.toString();
}

/** Asks at the terminal without showing what is typed. */
export async function promptSecret(question: string, streams: Streams, policy: LockPolicy): Promise<SecureBuffer> {
  if (streams.stdin.isTTY !== true)
    throw new UsageError("There is no terminal to ask for the password: give a file or a variable.");
  streams.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: streams.stdin, output: silent, terminal: true });
  try {
    return SecureBuffer.from(await lines.question(""), policy);
  } finally {
    lines.close();
    streams.stderr.write("\n");
  }
}

function withoutLineEnd(secret: SecureBuffer, policy: LockPolicy): SecureBuffer {
  try {
    return secret.use((view) => {
      let end = view.length;
      if (view[end - 1] === 0x0a) end -= 1;
      if (view[end - 1] === 0x0d) end -= 1;
      return SecureBuffer.from(view.subarray(0, end), policy);
    });
  } finally {
    secret.dispose();
  }
}
