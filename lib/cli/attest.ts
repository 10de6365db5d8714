/** `nomyo-native attest`: look at a TPM quote, verify it, make a baseline of it, see what changed. */
import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { baselineFrom, baselineOfValues, mergeProfile } from "../attestation/baseline.js";
import type { Baseline } from "../attestation/baseline.js";
import { compare, parsePcrread } from "../attestation/pcr-values.js";
import type { PcrValues } from "../attestation/pcr-values.js";
import { bankBytes, parsePolicy } from "../attestation/policy.js";
import type { AttestationProfile, CheckedPolicy, PcrBank } from "../attestation/policy.js";
import type { AttestationReport } from "../attestation/report.js";
import { parseTpmAttestation, verifyTpmAttestation } from "../attestation/verify.js";
import type { QuoteNonce } from "../attestation/verify.js";
import { writeFileAtomically } from "../keys/atomic-file.js";
import { AttestationError } from "../attestation/attestation-error.js";
import { ConfigurationError, NomyoError } from "../errors.js";
import { withFileLock } from "../keys/file-lock.js";
import { systemReason } from "../system-reason.js";
import { noAction, parse } from "./arguments.js";
import { pcrTable, parsedText, profileTables, reportText } from "./attest-text.js";
import { exitCode, UsageError } from "./exit-code.js";
import { MAX_MESSAGE_BYTES, readNamed } from "./named-file.js";
import { painterFor } from "./painter.js";
import type { Painter } from "./painter.js";
import type { Streams } from "./streams.js";

/** Exit codes of `attest`, beside those that all commands share. */
export const attestExitCode = { verified: 0, refused: 10, unsupported: 20, malformed: 30 } as const;

export const ATTEST_HELP = `Usage: nomyo-native attest show     FILE [--json]
       nomyo-native attest verify   FILE [--payload-id ID | --qualifying-data HEX] [--policy FILE] [--tcti TCTI]
                                    [--json]
       nomyo-native attest baseline FILE [--payload-id ID] [--name NAME] [--note TEXT] [--merge FILE] [--out FILE]
                                    [--json]
       nomyo-native attest baseline --pcrread FILE [the same]
       nomyo-native attest diff     FILE (OTHER | --policy FILE) [--json]

A server's TPM signs ("quotes") hashes of what the machine booted, its PCRs, for one request: PCR 0 is the firmware,
PCR 7 the Secure Boot state, PCR 10 what Linux' IMA saw running. FILE is a saved answer, its _metadata, or its
tpm_attestation, as JSON; "-" is standard input.

show       takes the quote apart and prints it. It verifies nothing.
verify     makes every check and prints each. Give the payload id that your client drew for the request; without one,
           that of the saved answer is used, which shows that the two belong together and not that the quote is new.
           --tcti has a TPM check the signature too, e.g. --tcti device:/dev/tpmrm0.
baseline   makes a policy that accepts the PCRs of a quote which verifies, for you to look at. --merge adds them to a
           policy that you have, as another profile, which is how a fleet goes through a firmware update. --pcrread
           takes the output of tpm2_pcrread, run on the machine itself. --out writes the policy to a file, and replaces
           one only if it is the one that was merged.
diff       shows which PCRs changed, against another quote or against each profile of a policy. Verify first: it
           compares what is claimed. FILE may be a report too (AttestationError.report, verify --json), whose PCRs were
           verified.

A first baseline, and its use:
  nomyo-native attest baseline answer.json --name "fw 1.41" --out policy.json
  nomyo-native attest verify next-answer.json --policy policy.json
In code: new SecureChatCompletion({ attestation: parsePolicy(readFileSync("policy.json")) })

  --json       for programs; verify prints the report that the library gives
  -h, --help

Exit codes: 0 verified (diff: fits), 10 refused (diff: differs), 20 not supported: tpm2-tss or the TPM is missing, or
            cannot check this kind of signature, 30 the input is malformed, 2 wrong arguments or a policy that cannot be
            used.
`;

const options = {
  "payload-id": { type: "string" },
  "qualifying-data": { type: "string" },
  policy: { type: "string" },
  tcti: { type: "string" },
  name: { type: "string" },
  note: { type: "string" },
  merge: { type: "string" },
  out: { type: "string" },
  pcrread: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Values = {
  readonly [K in keyof typeof options]?: (typeof options)[K]["type"] extends "string" ? string : boolean;
};

interface Call {
  readonly files: readonly string[];
  readonly values: Values;
  readonly streams: Streams;
  readonly paint: Painter;
}

interface Outcome {
  readonly code: number;
  readonly json: unknown;
  readonly text: string;
}

/** What a file could not be; exit code 30. */
class MalformedInput extends Error {}

interface Action {
  readonly options: readonly (keyof Values)[];
  readonly run: (call: Call) => Promise<Outcome>;
}

const actions: Readonly<Record<string, Action>> = {
  show: { options: [], run: show },
  verify: { options: ["payload-id", "qualifying-data", "policy", "tcti"], run: verify },
  baseline: { options: ["payload-id", "qualifying-data", "name", "note", "merge", "out", "pcrread"], run: baseline },
  diff: { options: ["policy"], run: diff },
};

/** An answer with its attestation is smaller; it is read as text. */
const MAX_INPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs `attest` with the arguments after it; resolves to the exit code. Rejects with a UsageError or
 * ConfigurationError.
 */
export async function runAttest(args: readonly string[], streams: Streams): Promise<number> {
  const { values, positionals } = parse({ args: [...args], options, allowPositionals: true });
  if (values.help === true) {
    streams.stdout.write(ATTEST_HELP);
    return exitCode.ok;
  }
  const [name, ...files] = positionals;
  const action = name !== undefined && Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (action === undefined) throw noAction("attest", name, Object.keys(actions));
  for (const key of Object.keys(values) as (keyof Values)[]) {
    if (key !== "json" && !action.options.includes(key))
      throw new UsageError(`attest ${String(name)} has no --${key}.`);
  }
  try {
    const outcome = await action.run({ files, values, streams, paint: painterFor(streams) });
    if (values.json === true) streams.stdout.writeJson(outcome.json, 2);
    else streams.stdout.writeStyled(outcome.text);
    return outcome.code;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    streams.stderr.write(`${(error as Error).message}\n`);
    return code;
  }
}

function codeOf(error: unknown): number | undefined {
  if (error instanceof MalformedInput) return attestExitCode.malformed;
  if (error instanceof AttestationError) return reportCode(error.report);
  if (error instanceof ConfigurationError || !(error instanceof NomyoError)) return undefined;
  if (error.code === "ATTESTATION_MALFORMED") return attestExitCode.malformed;
  return error.code === "TSS_MISSING" || error.code === "TPM_ERROR" ? attestExitCode.unsupported : undefined;
}

function reportCode(report: AttestationReport): number {
  if (report.verified) return attestExitCode.verified;
  if (report.code === "ATTESTATION_MALFORMED") return attestExitCode.malformed;
  // Only the engine's lack stands in the way: the policy wants a TPM's verdict, and this one knows no such signature.
  const unsupported = report.code === "SIGNATURE_INVALID" && report.engine.verdict === "unsupported";
  return report.fault !== undefined || unsupported ? attestExitCode.unsupported : attestExitCode.refused;
}

async function show({ files, streams, paint }: Call): Promise<Outcome> {
  const parsed = parseTpmAttestation((await readInput(only(files), streams)).attestation);
  return { code: 0, json: parsed, text: parsedText(parsed, paint) };
}

async function verify({ files, values, streams, paint }: Call): Promise<Outcome> {
  const input = await readInput(only(files), streams);
  const policy = values.policy === undefined ? undefined : await readPolicy(values.policy);
  const nonce = nonceOf(values) ?? (input.payloadId === undefined ? undefined : { payloadId: input.payloadId });
  if (nonce === undefined)
    throw new UsageError("The file names no payload id: give --payload-id or --qualifying-data.");
  const report = await verifyTpmAttestation(input.attestation, {
    ...nonce,
    ...(policy === undefined ? {} : { policy }),
    ...(values.tcti === undefined ? {} : { engine: { tcti: values.tcti } }),
  });
  const note =
    nonceOf(values) === undefined
      ? "The payload id is the saved answer's own: this shows that the two belong together, not that the quote is " +
        "new.\n"
      : "";
  const changed = report.code === "PCR_BASELINE" && report.pcrs !== undefined ? report.pcrs : undefined;
  const tables = changed === undefined ? "" : `\n${profileTables(changed, policy?.profiles ?? [], paint)}`;
  return { code: reportCode(report), json: report, text: reportText(report, paint) + tables + note };
}

async function baseline({ files, values, streams }: Call): Promise<Outcome> {
  const naming = {
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(values.note === undefined ? {} : { note: values.note }),
  };
  let made: Baseline;
  if (values.pcrread !== undefined) {
    if (files.length > 0 || nonceOf(values) !== undefined)
      throw new UsageError("--pcrread takes the place of a quote.");
    made = baselineOfValues(parsePcrread(await readText(values.pcrread, streams), values.pcrread), naming);
  } else {
    const input = await readInput(only(files), streams);
    made = await baselineFrom(input.attestation, { ...naming, ...nonceOf(values) });
  }
  for (const warning of made.warnings) streams.stderr.write(`Look at this: ${warning}\n`);
  const { merge, out } = values;
  const merged = async () => (merge === undefined ? made.policy : mergeProfile(await readPolicy(merge), made.profile));
  if (out === undefined) {
    const policy = await merged();
    return { code: 0, json: policy, text: asFile(policy) };
  }
  if (out === merge) {
    // From the reading to the writing, so that no other process's profile is lost.
    await whileLocked(out, async () => {
      writePolicy(out, asFile(await merged()), true);
    });
  } else {
    writePolicy(out, asFile(await merged()), false);
  }
  const result = { file: out, profile: made.profile, warnings: made.warnings };
  return {
    code: 0,
    json: result,
    text: `Wrote ${out} with the profile "${made.profile.name}". Look at it before you trust it.\n`,
  };
}

async function diff({ files, values, streams, paint }: Call): Promise<Outcome> {
  const [first, second, ...more] = files;
  if (first === undefined || more.length > 0 || (second === undefined) === (values.policy === undefined)) {
    throw new UsageError("attest diff compares FILE with one other quote, or with the profiles of --policy.");
  }
  const values1 = valuesOf(await readInput(first, streams));
  const profiles =
    second === undefined
      ? await profilesOf(values.policy ?? "")
      : [asProfile(second, await readInput(second, streams))];
  const rows = profiles.map((profile) => ({ profile: profile.name, pcrs: compare(values1, profile) }));
  const fits = rows.some(({ pcrs }) => pcrs.every((row) => row.fits));
  return {
    code: fits ? attestExitCode.verified : attestExitCode.refused,
    json: { fits, profiles: rows.map((row) => ({ ...row, fits: row.pcrs.every((pcr) => pcr.fits) })) },
    text: rows.map(({ profile, pcrs }) => pcrTable(profile, pcrs, paint)).join("\n"),
  };
}

async function profilesOf(file: string): Promise<readonly AttestationProfile[]> {
  const { profiles } = await readPolicy(file);
  if (profiles === undefined)
    throw new ConfigurationError("--policy", `The policy ${file} has no profiles to compare with.`);
  return profiles;
}

/** Another quote, as what is expected: PCRs of one that the other lacks differ too. */
function asProfile(file: string, input: Input): AttestationProfile {
  return { name: file, pcrs: valuesOf(input) };
}

function valuesOf(input: Input): PcrValues {
  return pcrsOfReport(input.attestation) ?? parseTpmAttestation(input.attestation).pcrs;
}

/**
 * The values in a saved report; undefined for anything else. Checked, since a file is anyone's: what is compared is
 * printed.
 */
function pcrsOfReport(value: unknown): PcrValues | undefined {
  const pcrs = member(value, "pcrs");
  if (!Array.isArray(member(value, "checks")) || typeof member(value, "verified") !== "boolean") return undefined;
  if (pcrs === undefined) {
    throw new MalformedInput(
      "The report has no PCRs: its quote failed before they were verified. Compare the answer itself.",
    );
  }
  const banks = isRecord(pcrs) ? Object.entries(pcrs) : [];
  const wellFormed = banks.every(
    ([bank, values]) =>
      Object.hasOwn(bankBytes, bank) &&
      isRecord(values) &&
      Object.entries(values).every(
        ([index, hex]) =>
          /^(?:[0-9]|1[0-9]|2[0-3])$/.test(index) &&
          typeof hex === "string" &&
          hex.length === 2 * bankBytes[bank as PcrBank] &&
          /^[0-9a-f]*$/.test(hex),
      ),
  );
  if (banks.length === 0 || !wellFormed) throw new MalformedInput("The PCRs of the report are not well formed.");
  return pcrs as PcrValues;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function only(files: readonly string[]): string {
  const [file, ...more] = files;
  if (file === undefined || more.length > 0) throw new UsageError("Name one file with an answer or its attestation.");
  return file;
}

function nonceOf(values: Values): QuoteNonce | undefined {
  const payloadId = values["payload-id"];
  const hex = values["qualifying-data"];
  if (payloadId !== undefined && hex !== undefined)
    throw new UsageError("Give --payload-id or --qualifying-data, not both.");
  if (payloadId === "") throw new UsageError("--payload-id wants the id of your request, and got an empty one.");
  if (payloadId !== undefined) return { payloadId };
  if (hex === undefined) return undefined;
  if (!/^(?:[0-9a-f]{2}){1,64}$/i.test(hex)) throw new UsageError("--qualifying-data takes 1 to 64 bytes in hex.");
  return { qualifyingData: Buffer.from(hex, "hex") };
}

interface Input {
  readonly attestation: unknown;
  readonly payloadId: string | undefined;
}

/** A saved answer, its `_metadata`, `{ tpm_attestation }`, or the block itself. */
async function readInput(file: string, streams: Streams): Promise<Input> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(file, streams));
  } catch (error) {
    if (error instanceof SyntaxError) throw new MalformedInput(`${file} is not JSON.`);
    throw error;
  }
  const answer = member(value, "_metadata") ?? value;
  const payloadId = member(answer, "payload_id");
  return {
    attestation: member(answer, "tpm_attestation") ?? (isAnswer(value, answer) ? undefined : value),
    payloadId: typeof payloadId === "string" && payloadId !== "" ? payloadId : undefined,
  };
}

/** An answer without a block is one whose attestation is missing, not a block. */
function isAnswer(value: unknown, answer: unknown): boolean {
  return answer !== value || member(value, "payload_id") !== undefined || member(value, "choices") !== undefined;
}

function member(value: unknown, key: string): unknown {
  const found = typeof value === "object" && value !== null && Object.hasOwn(value, key);
  return found ? (value as Record<string, unknown>)[key] : undefined;
}

async function readText(file: string, streams: Streams): Promise<string> {
  if (file === "-") {
    using read = await streams.input.all(MAX_INPUT_BYTES, "preferred");
    return read.toString();
  }
  return (await readNamed("FILE", file, MAX_MESSAGE_BYTES)).toString("utf8");
}

async function readPolicy(file: string): Promise<CheckedPolicy> {
  return parsePolicy(await readNamed("FILE", file), file);
}

function asFile(policy: Baseline["policy"]): string {
  return `${JSON.stringify(policy, null, 2)}\n`;
}

/** Runs `work` while no other process changes the policy `file`. */
async function whileLocked(file: string, work: () => Promise<void>): Promise<void> {
  // A link's target: that is what is replaced. A file that is not there is for `work` to tell of.
  if (!existsSync(file)) {
    await work();
    return;
  }
  const target = realpathSync(file);
  await withFileLock(join(dirname(target), `.${basename(target)}.lock`), "--out", work);
}

/** Whole or not at all: a policy that was cut off would be refused by every client that reads it. */
function writePolicy(file: string, content: string, replace: boolean): void {
  try {
    writeFileAtomically(file, Buffer.from(content), 0o644, replace);
  } catch (error) {
    throw new ConfigurationError(
      "--out",
      (error as NodeJS.ErrnoException).code === "EEXIST"
        ? `There is a file ${file} already. Add to it with --merge ${file}, or name another.`
        : `The policy cannot be written to ${file} (${systemReason(error)}).`,
    );
  }
}
