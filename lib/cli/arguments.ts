/** Parsing of a command's arguments with Node's own parser, which is strict: what it does not know is an error. */
import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { UsageError } from "./exit-code.js";

/**
 * `parseArgs` whose mistakes are {@link UsageError}s. Values never repeat in the message: someone may have put a secret
 * there.
 */
export function parse<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = (error as { code?: unknown }).code;
    if (code === "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL") throw new UsageError("There is an argument too many.");
    throw new UsageError(message.split(". ", 1)[0] ?? message);
  }
}

/** The whole number in an option's text. */
export function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${option} takes a whole number.`);
  return Number(text);
}

/** Leaves out what is undefined: options that are absent have defaults. */
export function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
