/** `nomyo-native keys`: make, look at and check RSA keys on disk. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  checkNewPassword,
  hasKey,
  keyFiles,
  loadPrivateKey,
  prepareFolder,
  savePrivateKey,
} from "../keys/key-store.js";
import { PrivateKey } from "../keys/private-key.js";
import { PublicKey } from "../keys/public-key.js";
import { NotAFile, readSecretFile } from "../keys/secret-file.js";
import { ConfigurationError } from "../errors.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { PublicKeyInfo } from "../native.js";
import { systemReason } from "../system-reason.js";
import { noAction, parse } from "./arguments.js";
import { exitCode, UsageError } from "./exit-code.js";
import { promptSecret, readSecret } from "./secret.js";
import type { Streams } from "./streams.js";

export const KEYS_HELP = `Usage: nomyo-native keys generate [--dir FOLDER] [password options] [--json]
       nomyo-native keys show     [--dir FOLDER | FILE] [password options] [--json]
       nomyo-native keys check    [--dir FOLDER] [password options] [--json]

generate   makes an RSA-4096 pair: private_key.pem (PKCS#8, mode 0600) and public_key.pem (mode 0644). Keys that are
           there are never replaced. A client uses the folder as keyDir, the router FOLDER/private_key.pem as
           --key-file.
show       prints a key's size and fingerprint (SHA-256 of the SubjectPublicKeyInfo: what clients pin), and the public
           half as PEM. FILE may be a public or a private key.
check      loads the private key as strictly as the client does: form, size, mode, password, and whether the public
           key beside it belongs to it.

  --dir FOLDER               client_keys
  --password-file FILE       the private key's password (mode 0600); or NOMYO_KEY_PASSWORD; or
  --ask-password             at the terminal
  --json
  -h, --help

Exit codes: 0 good, 2 wrong arguments or a file that cannot be read, 3 the key was refused.
`;

/** A PEM file of a key is a few KiB. */
const MAX_PEM_BYTES = 65_536;

const options = {
  dir: { type: "string" },
  "password-file": { type: "string" },
  "ask-password": { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

interface Request {
  readonly folder: string;
  readonly file: string | undefined;
  readonly password: SecureBuffer | undefined;
}

export async function runKeys(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parse({ args: [...args], options, allowPositionals: true });
  if (values.help === true) {
    streams.stdout.write(KEYS_HELP);
    return exitCode.ok;
  }
  const [action, file, ...more] = positionals;
  const run = action !== undefined && Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (run === undefined) throw noAction("keys", action, Object.keys(actions));
  if (more.length > 0 || (file !== undefined && (action !== "show" || values.dir !== undefined))) {
    throw new UsageError("There is an argument too many: a folder is named with --dir, and show takes one FILE.");
  }
  const folder = values.dir ?? "client_keys";
  if (folder === "") throw new UsageError("--dir wants the folder of the keys, and got an empty name.");
  // Told before a password is typed twice.
  if (action === "generate" && hasKey(folder)) throw notWritten(folder, { code: "EEXIST" });
  const password = await readPassword(values, action === "generate", streams);
  try {
    const result = await run({ folder, file, password });
    if (values.json === true) streams.stdout.writeJson(result.json);
    else streams.stdout.write(result.text);
    return exitCode.ok;
  } finally {
    password?.dispose();
  }
}

interface Result {
  readonly json: Record<string, unknown>;
  readonly text: string;
}

const actions: Readonly<Record<string, (request: Request) => Promise<Result>>> = { generate, show, check };

async function generate({ folder, password }: Request): Promise<Result> {
  if (password !== undefined) checkNewPassword(password);
  // Told before a key is made.
  await writing(folder, () => prepareFolder(folder));
  const key = await PrivateKey.generate("required");
  try {
    const info = key.publicInfo();
    await writing(folder, () => savePrivateKey(folder, key, password, "required"));
    const files = keyFiles(folder);
    const text =
      `made ${files.privateKey} ` +
      `(${password === undefined ? "without a password" : "under the password"})\nmade ${files.publicKey}\n`;
    return {
      json: { ...facts(info), private_key: files.privateKey, public_key: files.publicKey },
      text: text + table(info),
    };
  } finally {
    key.dispose();
  }
}

async function writing(folder: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : notWritten(folder, error);
  }
}

function notWritten(folder: string, error: unknown): ConfigurationError {
  return new ConfigurationError(
    "--dir",
    (error as NodeJS.ErrnoException).code === "EEXIST"
      ? `There is a private key in ${folder} already, and keys are never replaced. Choose another folder.`
      : `The keys cannot be written to ${folder} (${systemReason(error)}). Name a folder that this account ` +
          "may write to.",
  );
}

async function show({ folder, file, password }: Request): Promise<Result> {
  const path =
    file ?? ((await isFile(keyFiles(folder).publicKey)) ? keyFiles(folder).publicKey : join(folder, "private_key.pem"));
  if (file === undefined && !existsSync(path)) throw noKey(folder);
  const pem = readPublicPem(path);
  const info = pem === undefined ? await privateInfo(path, undefined, password) : publicInfo(path, pem);
  return { json: { ...facts(info), public_key_pem: info.pem }, text: `${table(info)}${info.pem}` };
}

async function check({ folder, password }: Request): Promise<Result> {
  const { privateKey, publicKey } = keyFiles(folder);
  if (!existsSync(privateKey)) throw noKey(folder);
  const beside = (await isFile(publicKey)) ? publicKey : undefined;
  const info = await privateInfo(privateKey, beside, password);
  const text =
    `${privateKey}: a good key, readable by its owner only\n` +
    (beside === undefined ? `${publicKey}: not there; the client makes it anew\n` : `${publicKey}: belongs to it\n`);
  return { json: { ...facts(info), private_key: privateKey, public_key: beside ?? null }, text: text + table(info) };
}

function noKey(folder: string): ConfigurationError {
  return new ConfigurationError(
    "--dir",
    `There is no private_key.pem in the folder ${folder}. Name another with --dir, or make a pair: ` +
      `nomyo-native keys generate${folder === "client_keys" ? "" : " --dir FOLDER"}`,
  );
}

async function privateInfo(
  path: string,
  publicPath: string | undefined,
  password: SecureBuffer | undefined,
): Promise<PublicKeyInfo> {
  const { key } = await loadPrivateKey(path, publicPath, password, "required");
  try {
    return key.publicInfo();
  } finally {
    key.dispose();
  }
}

function publicInfo(path: string, pem: string): PublicKeyInfo {
  try {
    return PublicKey.fromPem(pem, 2048).info();
  } catch {
    throw notPublic(path);
  }
}

/** The text of a public key's file; `undefined` when there is a private key in it, which stays in locked memory. */
function readPublicPem(path: string): string | undefined {
  let secret: SecureBuffer;
  try {
    const { bytes } = readSecretFile(path, "required", ({ size }) => {
      if (size > BigInt(MAX_PEM_BYTES)) throw new ConfigurationError("FILE", `${path} is larger than a key can be.`);
    });
    secret = bytes;
  } catch (error) {
    if (error instanceof NotAFile) throw new ConfigurationError("FILE", error.message);
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new ConfigurationError("FILE", `${path} cannot be read (${systemReason(error)}).`);
  }
  using pem = secret;
  // Wherever it stands: other text may come before a key, and a file may hold both. What has neither may still be a
  // secret.
  const kind = pem.use((view) => {
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.length);
    if (bytes.includes("PRIVATE KEY")) return "private";
    return bytes.includes("PUBLIC KEY-----") ? "public" : "none";
  });
  if (kind === "none") throw notPublic(path);
  return kind === "public" ? pem.toString() : undefined;
}

function notPublic(path: string): ConfigurationError {
  return new ConfigurationError("FILE", `${path} is not the PEM of an RSA public key of 2048 bits or more.`);
}

async function readPassword(
  values: { readonly "password-file"?: string; readonly "ask-password"?: boolean },
  isNew: boolean,
  streams: Streams,
): Promise<SecureBuffer | undefined> {
  if (values["ask-password"] === true) {
    const password = await promptSecret("Password: ", streams, "required");
    if (!isNew) return password;
    try {
      using again = await promptSecret("Again: ", streams, "required");
      if (!password.equals(again)) throw new UsageError("The two passwords differ.");
      return password;
    } catch (error) {
      password.dispose();
      throw error;
    }
  }
  return readSecret(
    { option: "--password-file", file: values["password-file"], variable: "NOMYO_KEY_PASSWORD" },
    streams.env,
    "required",
  );
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function facts({ bits, spkiSha256 }: PublicKeyInfo): Record<string, unknown> {
  return { type: "rsa", bits, spki_sha256: spkiSha256 };
}

function table({ bits, spkiSha256 }: PublicKeyInfo): string {
  return `RSA-${bits}, fingerprint sha256:${spkiSha256}\n`;
}
