/** Checks that the options of clients and of the router share. Each throws a `ConfigurationError` that names the option, never its value. */
import { ConfigurationError } from "./errors.js";
import { ownMembers } from "./own-members.js";

/** Options whose `null` means something: send no API key, no signal. */
const nullable: ReadonlySet<string> = new Set(["apiKey", "signal"]);

/**
 * Refuses unknown names, since an option that is misspelt would silently not protect, and `null`, which could mean "none" or "the
 * default". Returns the object's own members.
 */
export function checkNames<T extends object>(given: T, known: ReadonlySet<string>, prefix: string): T {
  if (typeof given !== "object" || (given as unknown) === null)
    throw new ConfigurationError("options", "The options must be an object.");
  const options = ownMembers(given);
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (!known.has(name)) {
      throw new ConfigurationError(
        prefix + name,
        `There is no option \`${prefix}${name}\`. Known: ${[...known].join(", ")}.`,
      );
    }
    if (value === null && !nullable.has(prefix + name)) {
      throw new ConfigurationError(
        prefix + name,
        `\`${prefix}${name}\` must not be null: leave it out for the default.`,
      );
    }
  }
  return options;
}

export function integer(option: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new ConfigurationError(option, `\`${option}\` must be a whole number from ${min} to ${max}.`);
}

export function boolean(option: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value === "boolean") return value;
  throw new ConfigurationError(option, `\`${option}\` must be true or false.`);
}

export function text(option: string, value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new ConfigurationError(option, `\`${option}\` must be a string that is not empty.`);
}

export function callable<T>(option: string, value: T): T {
  if (typeof value === "function") return value;
  throw new ConfigurationError(option, `\`${option}\` must be a function.`);
}

export function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw new ConfigurationError(option, `\`${option}\` must be one of: ${allowed.join(", ")}.`);
}
