/** Exit codes of all commands, and which error gives which. `attest` has some of its own (10, 20, 30). */
import { APIConnectionError, APIError, ConfigurationError, SecurityError } from "../errors.js";

export const exitCode = {
  ok: 0,
  failed: 1,
  /** Wrong arguments or settings: nothing was done. */
  usage: 2,
  /** Something that security rests on did not hold. */
  security: 3,
  /** The server answered, and refused or failed. */
  server: 4,
  /** There was no connection, or it broke, or time ran out. */
  connection: 5,
  /** Ended by Ctrl-C. */
  interrupted: 130,
} as const;

/** A mistake in the command line itself. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof ConfigurationError) return exitCode.usage;
  if (error instanceof SecurityError) return exitCode.security;
  if (error instanceof APIConnectionError) return exitCode.connection;
  if (error instanceof APIError) return exitCode.server;
  return exitCode.failed;
}
