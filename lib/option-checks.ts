/**
 * Options as one table: a parser for each name that an options' type has. The table gives the check of the names, the
 * defaults and the type of what comes out; a name that is missing in it does not compile. Every check throws a
 * `ConfigurationError` that names the option, and never shows its value.
 */
import { ConfigurationError } from "./errors.js";
import { didYouMean } from "./nearest.js";
import { ownMembers } from "./own-members.js";

/** What is known of one option. `All`: the options that it is one of. */
export interface OptionParser<Given, All, Parsed = unknown> {
  /** When it is left out, it is as if this had been given; without it, `undefined` comes out. */
  readonly otherwise?: Given | undefined;
  /** It cannot be left out: `parse` refuses `undefined`. */
  readonly required?: true;
  /**
   * `null` means something here, and is given to `parse`; elsewhere it is refused, since it could mean "none" or "the
   * default".
   */
  readonly nullable?: true;
  /**
   * Checks what was given. `all` has been checked for names, and up to this option (in the table's order) for values.
   */
  parse(given: Given, name: string, all: All): Parsed;
}

/** A parser for every option of `All`. */
export type OptionTable<All extends object> = {
  readonly [Name in keyof Required<All>]: OptionParser<Exclude<All[Name], undefined>, All>;
};

type Parsed<Parser> = Parser extends { parse(...args: never[]): infer Result }
  ? Parser extends { readonly otherwise: boolean | number | string | object } | { readonly required: true }
    ? Result
    : Result | undefined
  : never;

/** What {@link resolveByTable} makes with a table. */
export type ResolvedBy<Table> = { readonly [Name in keyof Table]: Parsed<Table[Name]> };

/**
 * Checks the options and fills in what was left out. Only the object's own members count, and each is read once.
 *
 * @param option - what the error is called by when this is no object: `options`, or the option that these are the
 *   options of.
 * @param prefix - before each name: `serverKey.`.
 */
export function resolveByTable<All extends object, Table extends OptionTable<All>>(
  given: All,
  table: Table & OptionTable<All>,
  option = "options",
  prefix = option === "options" ? "" : `${option}.`,
): ResolvedBy<Table> {
  if (typeof given !== "object" || (given as unknown) === null || Array.isArray(given)) {
    const what = option === "options" ? "The options" : `\`${option}\``;
    throw new ConfigurationError(option, `${what} must be an object.`);
  }
  const own = ownMembers(given);
  checkNames(own, table, prefix);
  const resolved: Record<string, unknown> = {};
  for (const [name, parser] of Object.entries<OptionParser<unknown, All>>(table)) {
    const { otherwise, required } = ownMembers(parser);
    const value = (own as Readonly<Record<string, unknown>>)[name];
    const meant = value === undefined ? otherwise : value;
    if (meant === undefined && required !== true) resolved[name] = undefined;
    else resolved[name] = parser.parse(meant, prefix + name, own);
  }
  return resolved as ResolvedBy<Table>;
}

/**
 * Refuses unknown names, since an option that is misspelt would silently not protect, and `null` where it means
 * nothing.
 */
function checkNames(own: object, table: object, prefix: string): void {
  const known = table as Readonly<Record<string, OptionParser<unknown, never>>>;
  for (const [name, value] of Object.entries(own) as [string, unknown][]) {
    if (!Object.hasOwn(known, name)) {
      throw new ConfigurationError(
        prefix + name,
        `There is no option \`${prefix}${name}\`.${didYouMean(name, Object.keys(known), "`")} Known: ` +
          `${Object.keys(known).join(", ")}.`,
      );
    }
    if (value === null && !Object.hasOwn(known[name] ?? {}, "nullable")) {
      throw new ConfigurationError(
        prefix + name,
        `\`${prefix}${name}\` must not be null: leave it out for the default.`,
      );
    }
  }
}

/** A whole number within limits, both included. */
export const integer =
  (least: number, most: number) =>
  (value: unknown, option: string): number => {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new ConfigurationError(option, `\`${option}\` must be a whole number from ${least} to ${most}.`);
  };

/** A finite number of at least `least`, or above it. */
export const number =
  (least: number, exclusive = false) =>
  (value: unknown, option: string): number => {
    const enough = (given: number) => (exclusive ? given > least : given >= least);
    if (typeof value === "number" && Number.isFinite(value) && enough(value)) return value;
    const limit = exclusive ? `above ${least}` : `of at least ${least}`;
    throw new ConfigurationError(option, `\`${option}\` must be a number ${limit}.`);
  };

export function boolean(value: unknown, option: string): boolean {
  if (typeof value === "boolean") return value;
  throw new ConfigurationError(option, `\`${option}\` must be true or false.`);
}

export function text(value: unknown, option: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new ConfigurationError(option, `\`${option}\` must be a string that is not empty.`);
}

export function callable<Callable>(value: Callable, option: string): Callable {
  if (typeof value === "function") return value;
  throw new ConfigurationError(option, `\`${option}\` must be a function.`);
}

export const oneOf =
  <Word extends string>(allowed: readonly Word[]) =>
  (value: unknown, option: string): Word => {
    const found = allowed.find((one) => one === value);
    if (found !== undefined) return found;
    throw new ConfigurationError(
      option,
      `\`${option}\` must be one of: ${allowed.join(", ")}.${didYouMean(value, allowed)}`,
    );
  };
