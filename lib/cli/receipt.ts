/** `nomyo-native receipt`: verifies receipts, and shows them. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { parsePolicy, policyId } from "../attestation/policy.js";
import type { CheckedPolicy } from "../attestation/policy.js";
import { packageDigest } from "../envelope/digest.js";
import { ConfigurationError } from "../errors.js";
import { isHex } from "../printable.js";
import { audit } from "../receipts/audit.js";
import type { Audit } from "../receipts/audit.js";
import { readDigestKey } from "../receipts/digest-key-file.js";
import { linesOf, openRegular, receiptFiles } from "../receipts/receipt-files.js";
import { readLine, ReceiptFormatError } from "../receipts/receipt.js";
import { systemReason } from "../system-reason.js";
import { noAction, parse } from "./arguments.js";
import { painterFor } from "./painter.js";
import { exitCode, UsageError } from "./exit-code.js";
import { MAX_MESSAGE_BYTES, readNamed } from "./named-file.js";
import { readPrivateFile } from "./private-file.js";
import { auditText, receiptText } from "./receipt-text.js";
import type { Streams } from "./streams.js";

/** The codes of `attest`, for the same outcomes. */
export const receiptExitCode = { verified: 0, refused: 10, unsupported: 20, malformed: 30 } as const;

export const RECEIPT_HELP = `Usage: nomyo-native receipt verify FILE|FOLDER [options]
       nomyo-native receipt show FILE|FOLDER [--payload-id ID]

Receipts say which server, in which boot state, under which keys, answered a request: lines of JSON that a client or the
proxy (--receipts FOLDER) writes before it hands an answer on. They hold no prompt and no answer (docs/receipts.md).

verify   checks that no line is missing, changed, cut off or in another place, verifies each quote again, offline, with
         certificates as they were valid at the receipt's time, and says what that proves and what it does not.
show     prints receipts for people; one of them with --payload-id.

  --package FILE       a sealed package that was kept, request or answer: says whose it is; repeat it for several
  --plaintext FILE     a plaintext that was kept, mode 0600, byte for byte: says whose it is; needs the digest key
  --digest-key FILE    the key that the receipts were written with, mode 0600
  --policy FILE        a policy that quotes were verified by; those that lie beside the receipts are found, and are the
                       word of whoever wrote the folder: what was used, and from where, is printed
  --head HASH          the last line's hash (64 hex digits) as it was noted elsewhere: without it, lines that were cut
                       off at the end, or rewritten together, do not show
  --since HASH         the hash of the line before the first, where older files were archived
  --payload-id ID      show only the one with this id
  --json               for programs
  -h, --help

  nomyo-native receipt verify receipts/ --head 5d0c…
  nomyo-native receipt verify receipts/ --package request.bin

Exit codes: 0 all of it holds, 10 something does not, 20 nothing is wrong, but quotes could not be verified by their
            policy: it is not at hand (--policy), or tpm2-tss is missing; 30 there are no receipts in it, 2 wrong
            arguments.
`;

const options = {
  package: { type: "string", multiple: true },
  plaintext: { type: "string" },
  "digest-key": { type: "string" },
  policy: { type: "string", multiple: true },
  head: { type: "string" },
  since: { type: "string" },
  "payload-id": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

interface Values {
  readonly package?: string[];
  readonly plaintext?: string;
  readonly "digest-key"?: string;
  readonly policy?: string[];
  readonly head?: string;
  readonly since?: string;
  readonly "payload-id"?: string;
  readonly json?: boolean;
}

const actionOptions: Readonly<Record<string, readonly (keyof Values)[]>> = {
  verify: ["package", "plaintext", "digest-key", "policy", "head", "since", "json"],
  show: ["payload-id", "json"],
};

/** Runs `receipt` with the arguments after it; resolves to the exit code. */
export async function runReceipt(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parse({ args: [...args], options, allowPositionals: true });
  if (values.help === true) {
    streams.stdout.write(RECEIPT_HELP);
    return exitCode.ok;
  }
  const [name, place, ...more] = positionals;
  const known = name !== undefined && Object.hasOwn(actionOptions, name) ? actionOptions[name] : undefined;
  if (known === undefined) throw noAction("receipt", name, Object.keys(actionOptions));
  const foreign = (Object.keys(values) as (keyof Values)[]).find((key) => !known.includes(key));
  if (foreign !== undefined) throw new UsageError(`receipt ${String(name)} has no --${foreign}.`);
  if (place === undefined || more.length > 0) throw new UsageError("Name one file with receipts, or their folder.");
  const files = filesIn(place);
  return name === "verify" ? await verify(place, files, values, streams) : await show(files, values, streams);
}

/** A file, or the receipts of a folder in their order. */
function filesIn(place: string): readonly string[] {
  try {
    if (!statSync(place).isDirectory()) return [place];
    const files = receiptFiles(place);
    const gap = files.find(({ number }, at) => at > 0 && number !== (files[at - 1]?.number ?? 0) + 1);
    if (gap !== undefined) {
      throw new ConfigurationError(
        "FOLDER",
        `The file before ${gap.path} is missing. Put it back, or give the files one by one.`,
      );
    }
    return files.map(({ path }) => path);
  } catch (error) {
    throw unreadable(place, error);
  }
}

function unreadable(file: string, error: unknown): unknown {
  if ((error as NodeJS.ErrnoException).syscall === undefined) return error;
  return new ConfigurationError("FILE", `${file} cannot be read (${systemReason(error)}).`);
}

interface Kept {
  readonly name: string;
  readonly digest: string;
}

async function verify(place: string, files: readonly string[], values: Values, streams: Streams): Promise<number> {
  const kept = [...(await packagesOf(values)), ...plaintextsOf(values)];
  const beside = new PoliciesBeside(place);
  let found: Audit;
  try {
    found = await audit(files, {
      policies: await policiesOf(values),
      policyBeside: (id) => beside.find(id),
      head: hashOf("--head", values.head),
      since: hashOf("--since", values.since),
      wanted: new Set(kept.map(({ digest }) => digest)),
    });
  } catch (error) {
    throw unreadable(place, error);
  }
  const looked = kept.map(({ name, digest }) => ({ file: name, digest, found: found.matches[digest] ?? [] }));
  const fails = found.faults.length > 0 || looked.some(({ found: matches }) => matches.length === 0);
  const holds = !fails && found.receipts > 0 && !found.unsupported && found.missingPolicies.length === 0;
  if (values.json === true) {
    const { matches: _matches, ...rest } = found;
    streams.stdout.writeJson({ holds, ...rest, unusable_policies: beside.unusable, looked_for: looked }, 2);
  } else {
    streams.stdout.writeStyled(
      auditText(
        found,
        { holds, fails, looked, unusablePolicies: beside.unusable, anchored: values.head !== undefined },
        painterFor(streams),
      ),
    );
  }
  if (found.receipts === 0) return receiptExitCode.malformed;
  if (fails) return receiptExitCode.refused;
  return holds ? receiptExitCode.verified : receiptExitCode.unsupported;
}

async function packagesOf(values: Values): Promise<Kept[]> {
  return await Promise.all(
    (values.package ?? []).map(async (name) => {
      const bytes = await readNamed("--package", name, MAX_MESSAGE_BYTES);
      return { name, digest: await packageDigest(new Uint8Array(bytes)) };
    }),
  );
}

function plaintextsOf(values: Values): Kept[] {
  const { plaintext, "digest-key": keyFile } = values;
  if (plaintext === undefined && keyFile === undefined) return [];
  if (plaintext === undefined || keyFile === undefined)
    throw new UsageError("--plaintext and --digest-key go together.");
  const key = readDigestKey(keyFile, "--digest-key", "preferred");
  try {
    using bytes = readPrivateFile("--plaintext", plaintext, "preferred", 128 * 1024 * 1024);
    return [{ name: plaintext, digest: key.digest(bytes) }];
  } finally {
    key.dispose();
  }
}

async function policiesOf(values: Values): Promise<CheckedPolicy[]> {
  return await Promise.all(
    (values.policy ?? []).map(async (file) => parsePolicy(await readNamed("--policy", file), file)),
  );
}

/** The policies in a folder of receipts, each in a file with its id in the name. Read when a receipt asks for one. */
class PoliciesBeside {
  readonly #folder: string | undefined;
  /** Files that are there and are not the policy of their name. */
  readonly unusable: string[] = [];

  constructor(place: string) {
    this.#folder = statSync(place).isDirectory() ? place : undefined;
  }

  async find(id: string): Promise<CheckedPolicy | undefined> {
    if (this.#folder === undefined) return undefined;
    const path = join(this.#folder, `policy-${id}.json`);
    try {
      const policy = parsePolicy(await firstBytes(path, MOST_POLICY_BYTES), path);
      if (policyId(policy) === id) return policy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      if (!(error instanceof ConfigurationError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    }
    if (this.unusable.length < MOST_UNUSABLE && !this.unusable.includes(path)) this.unusable.push(path);
    return undefined;
  }
}

/** More than a policy may have, so that a longer one is refused as such. */
const MOST_POLICY_BYTES = 128 * 1024 + 1;
const MOST_UNUSABLE = 50;

async function firstBytes(path: string, most: number): Promise<Uint8Array> {
  const file = await openRegular(path);
  try {
    const bytes = new Uint8Array(most);
    let length = 0;
    for (let read = -1; length < most && read !== 0; length += read)
      read = (await file.read(bytes, length, most - length, null)).bytesRead;
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

function hashOf(option: string, value: string | undefined): string | undefined {
  if (value === undefined || isHex(value, 64)) return value?.toLowerCase();
  throw new UsageError(`${option} takes the hash of a line: 64 hex digits.`);
}

async function show(files: readonly string[], values: Values, streams: Streams): Promise<number> {
  const paint = painterFor(streams);
  let shown = 0;
  for (const file of files) {
    for await (const { bytes, ended } of linesOf(file)) {
      if (!ended) continue;
      const receipt = tryRead(bytes);
      if (receipt === undefined) continue;
      if (values["payload-id"] !== undefined && receipt.payload_id !== values["payload-id"]) continue;
      shown += 1;
      if (values.json === true) streams.stdout.writeJson(receipt);
      else streams.stdout.writeStyled(receiptText(receipt, paint));
      await streams.stdout.flush();
    }
  }
  if (shown > 0) return exitCode.ok;
  streams.stderr.write("There is no such receipt. Lines that cannot be read are told of by: receipt verify\n");
  return receiptExitCode.malformed;
}

function tryRead(line: Uint8Array): ReturnType<typeof readLine> | undefined {
  try {
    return readLine(line);
  } catch (error) {
    if (error instanceof ReceiptFormatError) return undefined;
    throw error;
  }
}
