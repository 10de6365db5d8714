/** Facts beside a log message: sizes, ids, names of options. Never a prompt, an answer, a key or an API key. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where a client tells what it does. Any of `console`, pino, winston fits. Without one the client is silent. */
export interface Logger {
  /** What went as it should. */
  debug(message: string, fields?: LogFields): void;
  /** What an operator may want to know of. */
  info(message: string, fields?: LogFields): void;
  /** What is less safe than was asked for, or likely a mistake. */
  warn(message: string, fields?: LogFields): void;
  /** What failed with nobody to throw it at. */
  error(message: string, fields?: LogFields): void;
}

const levels = ["debug", "info", "warn", "error"] as const;

/** Whether `value` has the four methods of a {@link Logger}. */
export function isLogger(value: unknown): value is Logger {
  if (typeof value !== "object" || value === null) return false;
  const methods = value as Record<string, unknown>;
  return levels.every((level) => typeof methods[level] === "function");
}

/**
 * A logger that never throws: a log line must not be able to end a request half way, when the server may already have
 * been asked.
 */
export function guardedLogger(target: Logger | undefined): Logger {
  const at =
    (level: (typeof levels)[number]) =>
    (message: string, fields?: LogFields): void => {
      try {
        target?.[level](message, fields);
      } catch {
        // The logger itself is broken; there is no second place to say so without writing on the console.
      }
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
