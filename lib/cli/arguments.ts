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
    throw misread(error, Object.keys(config.options ?? {}));
  }
}

/** Node's errors, in sentences that say what to type. Of what was typed they have an option's name, and no value. */
function misread(error: unknown, names: readonly string[]): UsageError {
  const message = error instanceof Error ? error.message : String(error);
  const option = message.split("'")[1]?.split(" ")[0] ?? "An option";
  switch ((error as { code?: unknown }).code) {
    case "ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL":
      return new UsageError("There is an argument too many: here all but the options' values begin with --.");
    case "ERR_PARSE_ARGS_UNKNOWN_OPTION":
      return new UsageError(`Unknown option '${option}'.${meantOption(option, names)}`);
    case "ERR_PARSE_ARGS_INVALID_OPTION_VALUE":
      if (message.includes("does not take an argument")) return new UsageError(`${option} takes no value.`);
      return new UsageError(
        message.includes("ambiguous")
          ? `${option} wants a value, and what follows begins with a dash. A value that does: ${option}=VALUE`
          : `${option} wants a value: ${option} VALUE`,
      );
    default:
      return new UsageError(message);
  }
}

/** The option that was probably meant; of one letter, those that begin with it. */
export function meantOption(given: string, names: readonly string[]): string {
  const flags = names.map((name) => `--${name}`);
  if (!/^-[a-z]$/i.test(given)) return didYouMean(given, flags, "");
  const begun = flags.filter((flag) => flag.startsWith(`-${given.toLowerCase()}`));
  return begun.length === 0 ? "" : ` Did you mean ${inWords(begun, "or")}?`;
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

/** The same of an option. */
export function shownOption(given: string): string {
  return /^-{1,2}[a-z][a-z-]{0,19}$/i.test(given) ? ` '${given}'` : "";
}

function inWords(words: readonly string[], last: string): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
}

/** The whole number in an option's text. */
export function wholeNumber(option: string, text: string | undefined, of = ""): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${option} takes a whole number${of}${insteadOf(text)}.`);
  return Number(text);
}

/** The most that a timer of Node's takes, in whole seconds. */
const MOST_SECONDS = 2_147_483;

/** Seconds in an option's text, as milliseconds. */
export function seconds(option: string, text: string | undefined, least: 0 | 1 = 1): number | undefined {
  const given = wholeNumber(option, text, " of seconds");
  if (given === undefined) return undefined;
  if (given >= least && given <= MOST_SECONDS) return given * 1000;
  throw new UsageError(`--${option} takes ${least} to ${MOST_SECONDS} seconds, and not ${given}.`);
}

/** What was typed, where it is a number of another kind; anything else may be a secret. */
function insteadOf(text: string): string {
  return /^[-+]?[\d.,_]{1,20}(?:e\d{1,3}|[a-z]{1,2})?$/i.test(text) ? `, and not ${text}` : "";
}

/** Leaves out what is undefined: options that are absent have defaults. */
export function defined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}
