/** Exit codes of all commands, and which error gives which. `attest` has some of its own (10, 20, 30). */
import { APIConnectionError, APIError, APIUserAbortError, ConfigurationError, SecurityError } from "../errors.js";
import { OutputError } from "./output.js";

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
  /** Whoever read the output went away (`| head`): what a shell says of SIGPIPE. */
  unread: 141,
} as const;

/** A mistake in the command line itself. */
export class UsageError extends Error {}

export function exitCodeOf(error: unknown): number {
  if (error instanceof OutputError) return error.code === "EPIPE" ? exitCode.unread : exitCode.failed;
  if (error instanceof UsageError || error instanceof ConfigurationError) return exitCode.usage;
  if (error instanceof SecurityError) return exitCode.security;
  if (error instanceof APIUserAbortError) return exitCode.interrupted;
  if (error instanceof APIConnectionError) return exitCode.connection;
  if (error instanceof APIError) return exitCode.server;
  return exitCode.failed;
}
