/** What a command gets of its surroundings; tests give their own. */
import type { Output } from "./output.js";
import type { SecretInput } from "./secret-input.js";

export interface Streams {
  readonly input: SecretInput;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}
