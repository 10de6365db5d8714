/** What the proxy knows of the server's attestation, for programs and for people. */
import { attestationState } from "../attestation/attestation-state.js";
import type { AttestationState } from "../attestation/attestation-state.js";
import type { AttestationReport } from "../attestation/report.js";
import type { AnswerMetadata } from "../chat/chat-types.js";
import { AttestationError } from "../attestation/attestation-error.js";
import { json } from "./answer.js";
import type { Answer } from "./answer.js";

export class AttestationView {
  readonly #server: string;
  readonly #mode: string;
  #report: AttestationReport | undefined;
  #at: string | undefined;
  #refusedFor: string | undefined;

  /** `server`: its base URL. `mode`: what the proxy does with attestation. */
  constructor(server: string, mode: string) {
    this.#server = server;
    this.#mode = mode;
  }

  /** An answer was opened and believed. */
  answered({ attestation_report: report }: AnswerMetadata): void {
    this.#note(report);
  }

  /** A request failed; only an attestation that was refused is of interest. */
  failed(error: unknown): void {
    if (error instanceof AttestationError) this.#note(error.report, error.code);
  }

  get report(): AttestationReport | undefined {
    return this.#report;
  }

  #state(): AttestationState {
    const state = attestationState(this.#report);
    if (this.#refusedFor === undefined) return state;
    const sentence = `The server's quote verified, and its answer was refused all the same (${this.#refusedFor}).`;
    return { state: "refused", sentence, advice: "See what the policy asks for beside a quote." };
  }

  /** The latest report, as JSON or as a page. */
  answer(asPage: boolean): Answer {
    const state = this.#state();
    const value = {
      ...state,
      server: this.#server,
      mode: this.#mode,
      checked_at: this.#at ?? null,
      report: this.#report ?? null,
    };
    if (!asPage) return json(200, value);
    const rows: [string, string][] = [
      ["Server", this.#server],
      ["Attestation is", modes[this.#mode] ?? this.#mode],
      ["Last checked", this.#at ?? "not yet"],
      ...(this.#report?.aik === undefined
        ? []
        : ([["Key of the TPM", this.#report.aik.nameHex]] as [string, string][])),
      ...(this.#report?.profile === undefined ? [] : ([["Profile", this.#report.profile]] as [string, string][])),
    ];
    const table = rows.map(([name, text]) => `<tr><th>${escaped(name)}</th><td>${escaped(text)}</td></tr>`).join("\n");
    const advice = state.advice === null ? "" : `<p>${escaped(state.advice)}</p>\n`;
    const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Attestation: ${escaped(state.state)}</title>
<style>
body{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}
th{text-align:left;padding-right:1em;vertical-align:top}td{overflow-wrap:anywhere}
</style>
</head><body>
<h1>${escaped(headings[state.state])}</h1>
<p>${escaped(state.sentence)}</p>
${advice}<table>
${table}
</table>
<p>The whole report is at this address too, as JSON: <code>curl http://…/attestation</code></p>
</body></html>
`;
    return {
      status: 200,
      headers: {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
      },
      body: Buffer.from(page),
    };
  }

  /** `code`: why it was refused, which need not be the quote's fault (a binding that is missing, a preflight's age). */
  #note(report: AttestationReport | undefined, code?: string): void {
    if (report === undefined) return;
    this.#report = report;
    this.#refusedFor = report.verified ? code : undefined;
    this.#at = new Date().toISOString();
  }
}

/** Words, and no sign that could be taken for more than they say. */
const headings = {
  verified: "The server attested, with a certified key",
  "self-asserted": "The server attested, with a key that nobody vouches for",
  refused: "The server's attestation was refused",
  missing: "The server did not attest",
  "not-checked": "Nothing was checked yet",
} as const;

const modes: Readonly<Record<string, string>> = {
  off: "off: nothing is checked",
  report: "checked and reported; answers without it pass",
  require: "required: no answer passes without it",
};

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
