/** A request taken apart into what is sealed and what is for this client. */
import { ConfigurationError } from "../errors.js";
import type { StreamOptions } from "./chat-types.js";
import { ownMembers } from "../own-members.js";

/** A request's body, taken apart into what is sealed and what is for this client. */
export interface RequestBody {
  /** What is sealed. Strings and SecureBuffers in it are the caller's own, not copies. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly tier: unknown;
  readonly stream: boolean;
  readonly streamOptions: StreamOptions | undefined;
}

/**
 * Names under which other clients take the API key: in a body it would be sealed into the payload, which it never may
 * be.
 */
const keyNames = ["api_key", "apiKey"];

/**
 * Takes a request apart. `security_tier` goes into a header; `stream: true` and `stream_options` stay here, since the
 * service never streams and would answer with an error, or not as JSON; everything else is passed on untouched.
 */
export function takeApart(body: object): RequestBody {
  if (typeof body !== "object" || (body as unknown) === null) {
    throw new ConfigurationError("body", "The request must be an object with `model` and `messages`.");
  }
  const value =
    typeof (body as { toJSON?: unknown }).toJSON === "function" ? (body as { toJSON(): object }).toJSON() : body;
  if (typeof value !== "object" || (value as unknown) === null) {
    throw new ConfigurationError("body", "The request's `toJSON` must give an object with `model` and `messages`.");
  }
  const own = ownMembers(value as Record<string, unknown>);
  const { security_tier: tier, stream, stream_options: streamOptions, model, messages } = own;
  for (const name of ["security_tier", "stream", "stream_options"]) Reflect.deleteProperty(own, name);
  if (typeof model !== "string" || model === "") {
    throw new ConfigurationError("model", "The request needs `model`, a string that is not empty.");
  }
  if (!Array.isArray(messages)) throw new ConfigurationError("messages", "The request needs `messages`, an array.");
  for (const name of keyNames) {
    if (Object.hasOwn(own, name)) {
      throw new ConfigurationError(
        name,
        `\`${name}\` does not belong into the request: pass \`apiKey\` to the client, or as a request option.`,
      );
    }
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    throw new ConfigurationError("stream", "`stream` must be true or false.");
  }
  if (streamOptions !== undefined && streamOptions !== null && typeof streamOptions !== "object") {
    throw new ConfigurationError("stream_options", "`stream_options` must be an object.");
  }
  return {
    payload: own,
    model,
    tier,
    stream: stream === true,
    streamOptions: streamOptions === undefined || streamOptions === null ? undefined : ownMembers(streamOptions),
  };
}
