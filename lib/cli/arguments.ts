/** Parsing of a command's arguments with Node's own parser, which is strict: what it does not know is an error. */
import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { didYouMean, nearest } from "../nearest.js";
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
    const said = message.split(". ", 1)[0] ?? message;
    if (code !== "ERR_PARSE_ARGS_UNKNOWN_OPTION") throw new UsageError(said);
    const flags = Object.keys(config.options ?? {}).map((name) => `--${name}`);
    throw new UsageError(`${said}.${didYouMean(said.split("'")[1], flags, "")}`);
  }
}

/** One of a few words, checked; `undefined` stays. */
export function oneWord<Word extends string>(
  option: string,
  given: string | undefined,
  allowed: readonly Word[],
): Word | undefined {
  const found = allowed.find((word) => word === given);
  if (given === undefined || found !== undefined) return found;
  throw new UsageError(`--${option} is ${inWords(allowed, "or")}.${didYouMean(given, allowed)}`);
}

/** What a command with actions says when the one that was given is none; `given` may be anything. */
export function noAction(command: string, given: string | undefined, actions: readonly string[]): UsageError {
  const named = actions.map((action) => `${command} ${action}`);
  const meant = nearest(given, actions);
  const choice = `Say which: ${inWords(named, "or")}`;
  if (given === undefined) return new UsageError(`${choice}.`);
  const near = meant === undefined ? "" : ` Did you mean ${command} ${meant}?`;
  return new UsageError(`There is no ${command} ${shown(given)}.${near} ${choice}.`);
}

/** A word as it was typed, where it is one: what is long or has other characters may be a secret. */
function shown(given: string): string {
  return /^[a-z][a-z-]{0,19}$/i.test(given) ? `"${given}"` : "of this name";
}

function inWords(words: readonly string[], last: string): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
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
