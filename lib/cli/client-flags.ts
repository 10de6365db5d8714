/** The flags that say how a client is to be: `chat` and `proxy` have them in common. */
import { attestationModes, parsePolicy } from "../attestation/policy.js";
import type { ClientOptions } from "../client/options.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { defined, oneWord, seconds, wholeNumber } from "./arguments.js";
import { UsageError } from "./exit-code.js";
import { readNamed } from "./named-file.js";
import { readSecret } from "./secret.js";
import type { Streams } from "./streams.js";

export interface ClientFlags {
  readonly "base-url"?: string;
  readonly "allow-http"?: boolean;
  readonly pin?: readonly string[];
  readonly attestation?: string;
  readonly policy?: string;
  readonly "key-dir"?: string;
  readonly "key-password-file"?: string;
  readonly timeout?: string;
  readonly retries?: string;
  readonly "secure-memory"?: string;
}

/** What these flags say. What the client checks itself is handed on as it is: it says what is allowed. */
export async function clientOptions(
  values: ClientFlags,
  apiKey: string | undefined,
  keyPassword: SecureBuffer | undefined,
): Promise<ClientOptions> {
  const { pin, "key-dir": keyDir } = values;
  return defined<ClientOptions>({
    apiKey,
    baseUrl: values["base-url"],
    allowHttp: values["allow-http"],
    serverKey: pin === undefined ? undefined : { fingerprints: pin },
    attestation: await attestationOption(values),
    keyDir,
    keyPassword,
    // Keys of a folder are there to stay.
    keyRotationInterval: keyDir === undefined ? undefined : 0,
    timeout: seconds("timeout", values.timeout),
    maxRetries: wholeNumber("retries", values.retries),
    secureMemory: values["secure-memory"] as "required" | undefined,
  });
}

/** The password of the keys in `--key-dir`. The caller disposes of it. */
export function readKeyPassword(values: ClientFlags, streams: Streams): SecureBuffer | undefined {
  if (values["key-dir"] === undefined) {
    if (values["key-password-file"] === undefined) return undefined;
    throw new UsageError("--key-password-file needs --key-dir, the folder of the keys that are under the password.");
  }
  return readSecret(
    { option: "--key-password-file", file: values["key-password-file"], variable: "NOMYO_KEY_PASSWORD" },
    streams.env,
    "required",
  );
}

async function attestationOption({ attestation, policy }: ClientFlags): Promise<ClientOptions["attestation"]> {
  if (policy === undefined) return oneWord("attestation", attestation, attestationModes);
  if (attestation !== undefined) throw new UsageError("--policy says the mode itself: leave --attestation out.");
  return parsePolicy(await readNamed("--policy", policy), "--policy");
}
