/** How `receipt` prints what it found, for people. */
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationStateName } from "../attestation/attestation-state.js";
import type { Audit, AuditMatch, AuditPolicy } from "../receipts/audit.js";
import type { Receipt } from "../receipts/receipt.js";
import type { Painter } from "./painter.js";
import { harmless } from "./output.js";

/** What was looked for beside the chain. */
export interface Looked {
  /** There are receipts, nothing is wrong with them, and every quote could be verified by its policy. */
  readonly holds: boolean;
  /** Something is wrong. */
  readonly fails: boolean;
  readonly looked: readonly { readonly file: string; readonly found: readonly AuditMatch[] }[];
  /** Files beside the receipts that are not the policy of their name. */
  readonly unusablePolicies: readonly string[];
  /** The hash of a line was given, noted elsewhere. */
  readonly anchored: boolean;
}

/** So many of a kind are printed. */
const MOST = 50;

const inWords: Readonly<Record<AttestationStateName, string>> = {
  verified: "with a quote of a TPM whose key is certified",
  "self-asserted": "with a quote that is right in itself, whose key nobody vouches for",
  refused: "with a quote that did not verify, handed on all the same since the policy did not require it",
  missing: "without a quote",
  "not-checked": "whose quote was not checked",
};

export function auditText(found: Audit, beside: Looked, paint: Painter): string {
  const { holds, fails, looked } = beside;
  const lines: string[] = [];
  const { receipts, first, last, faults } = found;
  const range = first === null || last === null ? "" : `, numbers ${first} to ${last}`;
  lines.push(
    receipts === 0
      ? paint.bad("There are no receipts here.")
      : paint.strong(
          holds
            ? paint.good(`The receipts hold: ${receipts}${range}.`)
            : fails
              ? paint.bad(`Something does not hold (${receipts} receipts${range}).`)
              : paint.bad(`Nothing is wrong, but not all could be verified (${receipts} receipts${range}).`),
        ),
  );
  for (const { file, line, what } of faults.slice(0, MOST)) {
    lines.push(`  ${paint.bad("FAIL")} ${plain(file)} line ${line} ${plain(what)}.`);
  }
  if (faults.length > MOST) lines.push(`  and ${faults.length - MOST} more`);
  for (const { file, found: matches } of looked) lines.push(`  ${matchText(file, matches, paint)}`);
  if (receipts === 0) return `${lines.join("\n")}\n`;
  lines.push(`  answered: ${found.answered}, refused for security: ${found.refused}`);
  for (const [state, count] of Object.entries(found.states) as [AttestationStateName, number][]) {
    if (count > 0) lines.push(`  ${count} answered ${inWords[state]}`);
  }
  lines.push(
    ...notes(found, beside.unusablePolicies),
    `  hash of the last line: ${found.head ?? "none: this one is in no chain"}`,
    "",
  );
  lines.push(
    ...(fails
      ? ["What a line says that fails, and what follows it, proves nothing."]
      : meaning(found, beside.anchored)),
  );
  return `${lines.join("\n")}\n`;
}

function matchText(file: string, matches: readonly AuditMatch[], paint: Painter): string {
  if (matches.length === 0) return `${paint.bad("FAIL")} ${plain(file)} is in none of the receipts.`;
  const more = matches.length > MOST ? [`and ${matches.length - MOST} more`] : [];
  const where = matches.slice(0, MOST).map(({ sequence, side, payload_id: id }) => {
    const number = sequence === null ? "this receipt" : `number ${sequence}`;
    return `the ${side} of ${number} (${plain(id ?? "no payload id")})`;
  });
  return `${paint.good("ok  ")} ${plain(file)} is ${[...where, ...more].join(", ")}.`;
}

const fromInWords: Readonly<Record<AuditPolicy["from"], string>> = {
  mode: "of a mode alone",
  given: "given with --policy",
  beside: "found beside the receipts",
};

function notes(
  { first, torn, unsupported, quotes, policies, missingPolicies, since }: Audit,
  unusable: readonly string[],
): string[] {
  return [
    ...(first !== null && first > 1
      ? [`  Numbers 1 to ${first - 1} are not here; the line before the first has the hash ${String(since)} (--since).`]
      : []),
    ...(torn
      ? [
          "  The last line is cut off. A process that is killed while it writes leaves such a line, and has not " +
            "handed its",
          "  answer on; a whole line that somebody cut looks the same (--head).",
        ]
      : []),
    ...(unsupported ? ["  No quote could be verified: tpm2-tss is not installed (nomyo-native doctor)."] : []),
    `  quotes looked at again: ${quotes.looked}; verified: ${quotes.byPolicy} by their policy, ${quotes.byStructure} ` +
      "by the structural checks alone",
    ...upToMost(policies.map(({ id, from }) => `  policy used: ${id}, ${fromInWords[from]}`)),
    ...upToMost(unusable.map((file) => `  ${plain(file)} is not the policy that its name says, and was not used.`)),
    ...upToMost(
      missingPolicies.map(
        (id) => `  The policy ${id} is not at hand: answers could not be checked by it. Give it (--policy).`,
      ),
    ),
  ];
}

function upToMost(lines: readonly string[]): string[] {
  return lines.length > MOST ? [...lines.slice(0, MOST), `  and ${lines.length - MOST} more`] : [...lines];
}

/** No more than is so. */
function meaning({ states, policies, first }: Audit, anchored: boolean): string[] {
  const which = first !== null && first > 1 ? `no line from number ${first} up to it` : "no line up to it";
  const proven = anchored
    ? [`What this proves: since the hash that you gave was noted, ${which} was changed, removed, added or moved.`]
    : [
        "What this proves: the lines belong together, and nobody changed, removed or moved one of them without " +
          "writing all",
        "that follow anew.",
      ];
  const quoted =
    states.verified + states["self-asserted"] > 0
      ? ["Each quote that is right was made over its receipt's payload id, and over the PCRs that its report shows."]
      : [];
  const beside = policies.some(({ from }) => from === "beside");
  const certified =
    states.verified > 0
      ? [
          "A key is certified by the roots of the policy that was used, and those are right as far as you know the " +
            "policy.",
          ...(beside
            ? [
                "What was found beside the receipts was put there by whoever wrote the folder: give your own with " +
                  "--policy, and",
                "see that it is the one that was used.",
              ]
            : []),
        ]
      : [];
  return [
    ...proven,
    ...quoted,
    ...certified,
    "What it does not prove: that the machine that wrote the receipts was honest. Whoever owns it can write them all",
    ...(anchored
      ? ["before their hash is noted, and leave some out."]
      : ["anew, or cut off the last ones: note the last line's hash elsewhere, and give it with --head."]),
    "Times are those of its clock. A quote by a key without a certificate does not show that a TPM made it, nor that " +
      "the",
    "machine that was quoted is the one that answered (docs/attestation.md).",
  ];
}

export function receiptText(receipt: Receipt, paint: Painter): string {
  const { attestation, keys, tier, chain, software } = receipt;
  const state = attestationState(attestation.report ?? undefined);
  const title =
    receipt.outcome === "answered" ? paint.strong("Answered") : paint.bad(`Refused (${plain(receipt.code ?? "")})`);
  const rows: [string, string | null | undefined][] = [
    ["number", chain === null ? "in no chain" : String(chain.sequence)],
    ["payload id", receipt.payload_id],
    ["from, to", `${receipt.started_at}, ${receipt.ended_at}`],
    ["server", `${receipt.server}, after ${receipt.attempts} attempt${receipt.attempts === 1 ? "" : "s"}`],
    ["tier", `asked ${tier.asked ?? "for none"}, given ${tier.given ?? "not told"}`],
    ["request", packageText(receipt.request)],
    ["response", packageText(receipt.response)],
    ["server's key", keys.server],
    ["client's key", keys.client],
    ["attestation", attestation.mode],
    [
      "its report",
      attestation.report === null
        ? null
        : `${state.state}. ${state.sentence} As written; \`receipt verify\` checks it.`,
    ],
    ["policy", attestation.policy],
    ["written by", `nomyo-native ${software.package}, ${software.openssl}`],
  ];
  const text = rows.map(([name, value]) => `  ${name.padEnd(12)}  ${plain(value ?? "none")}\n`).join("");
  return `${title}\n${text}`;
}

function packageText(made: Receipt["request"]): string | null {
  return made === null ? null : `${made.bytes} bytes, SHA-256 ${made.sha256}`;
}

/** Files' names, and what stands in receipts, are someone's text. */
function plain(text: string): string {
  return harmless(text.replaceAll("\n", "\ufffd").replaceAll("\t", "\ufffd"), "\ufffd");
}
