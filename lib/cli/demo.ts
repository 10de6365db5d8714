/** `nomyo-native demo`: server, client and what is refused, in one process, to be seen without an account. */
import { attestationState } from "../attestation/attestation-state.js";
import { tssInfo } from "../attestation/tpm.js";
import { verifyTpmAttestation } from "../attestation/verify.js";
import { SecureChatCompletion } from "../client/secure-chat-completion.js";
import { SecureCompletionClient } from "../client/secure-completion-client.js";
import { NomyoError, SecurityError } from "../errors.js";
import { memoryInfo } from "../memory/protection.js";
import { startRouter } from "../router/index.js";
import type { Router } from "../router/index.js";
import { parse } from "./arguments.js";
import { exitCode } from "./exit-code.js";
import { harmless } from "./output.js";
import { painterFor } from "./painter.js";
import type { Painter } from "./painter.js";
import { Progress } from "./progress.js";
import { stateColour } from "./question.js";
import { writeSecret } from "./secret-output.js";
import { startSoftwareTpm } from "./software-tpm.js";
import type { SoftwareTpm } from "./software-tpm.js";
import type { Streams } from "./streams.js";

export const DEMO_HELP = `Usage: nomyo-native demo

Shows what this package does, without an account and without the network: it starts a router with the echo model on
this machine, sends three encrypted requests to it (one answered as a value, one as a stream, one that stays in locked
memory), and tries what must be refused: a server whose key is not the pinned one, and a TPM quote that was changed, or,
where there is no software TPM, an answer without a quote. Everything is in this one process, and gone afterwards.

Where swtpm and tpm2-tss are installed (Debian: apt-get install swtpm tpm2-tools libtss2-dev), the router's answers
carry quotes of a software TPM.

  -h, --help

Exit codes: 0 all went as it must, 1 something did not, 130 interrupted.
`;

const MODEL = "echo";
const BLANK_PIN = "0".repeat(64);

export async function runDemo(args: readonly string[], streams: Streams): Promise<number> {
  const { values } = parse({
    args: [...args],
    options: { help: { type: "boolean", short: "h" } },
    allowPositionals: false,
  });
  if (values.help === true) {
    streams.stdout.write(DEMO_HELP);
    return exitCode.ok;
  }
  const abort = new AbortController();
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(exitCode.interrupted);
    abort.abort();
  };
  process.on("SIGINT", onSignal);
  const demo = new Demo(streams, abort.signal);
  try {
    return (await demo.run()) ? exitCode.ok : exitCode.failed;
  } finally {
    process.off("SIGINT", onSignal);
    await demo.close();
  }
}

class Demo {
  readonly #streams: Streams;
  readonly #signal: AbortSignal;
  readonly #paint: Painter;
  #tpm: SoftwareTpm | undefined;
  #router: Router | undefined;
  #client: SecureChatCompletion | undefined;
  #isAsExpected = true;

  constructor(streams: Streams, signal: AbortSignal) {
    this.#streams = streams;
    this.#signal = signal;
    this.#paint = painterFor(streams);
  }

  /** Whether all went as it must. */
  async run(): Promise<boolean> {
    const { strong } = this.#paint;
    this.#say(`${strong("A server, a client, and what they refuse: all in this process.")}\n\n`);
    const router = await this.#start();
    const client = (this.#client = new SecureChatCompletion({
      baseUrl: router.url,
      // It is this very process.
      allowHttp: true,
      serverKey: { fingerprints: router.publicKey.spkiSha256 },
      attestation: this.#tpm === undefined ? "report" : "require",
    }));
    await this.#waiting("the client makes an RSA-4096 key in locked memory", () => client.ready());
    this.#row("memory", memoryText());
    const block = await this.#plain(client);
    await this.#streamed(client);
    await this.#secure(client);
    await this.#wrongPin(router);
    if (block === undefined) await this.#missingQuote(client);
    else await this.#changedQuote(block);
    this.#say(
      "\nPrompts and answers were sealed between client and server; keys stood in locked memory only.\n" +
        (this.#isAsExpected
          ? `${this.#paint.good("Everything went as it must.")} `
          : `${this.#paint.bad("Something did not go as it must: see above.")} `) +
        "Next: nomyo-native chat --help, and docs/quick-start.md.\n",
    );
    await this.#streams.stdout.flush();
    return this.#isAsExpected;
  }

  async close(): Promise<void> {
    await this.#client?.close({ abort: true });
    await this.#router?.close();
    await this.#tpm?.close();
  }

  async #start(): Promise<Router> {
    const hasTss = tssInfo().available;
    this.#tpm = hasTss ? await startSoftwareTpm(this.#streams.env) : undefined;
    let router: Router;
    try {
      router = await this.#listen();
    } catch (error) {
      // A tpm2-tss that cannot speak to it is no reason to show nothing.
      if (this.#tpm === undefined || !(error instanceof NomyoError || hasTpmCode(error))) throw error;
      await this.#tpm.close();
      this.#tpm = undefined;
      router = await this.#listen();
    }
    this.#router = router;
    this.#row("server", `${router.url}, with the echo model, which is no language model`);
    this.#row("its key", router.publicKey.spkiSha256);
    this.#row(
      "its TPM",
      this.#tpm === undefined
        ? `none: ${hasTss ? "swtpm" : "tpm2-tss"} is not there, so its answers carry no quote`
        : "a software TPM; in earnest it is a chip",
    );
    return router;
  }

  async #listen(): Promise<Router> {
    const tpm = this.#tpm === undefined ? {} : { tpm: { tcti: this.#tpm.tcti } };
    return await this.#waiting("the server makes an RSA-4096 key", () => startRouter(tpm));
  }

  /** @returns the quote of the answer, and the id that it was made for; undefined where there is none. */
  async #plain(client: SecureChatCompletion): Promise<Quoted | undefined> {
    this.#heading("1", "A request, and its answer as a value");
    const answer = await client.create(question("Is anybody there?"), { signal: this.#signal });
    const { payload_id: payloadId, attestation_report: report } = answer._metadata;
    this.#row("answer", answer.choices[0]?.message.content ?? "");
    const { state, sentence } = attestationState(report);
    this.#row("attestation", sentence, stateColour(state, this.#paint));
    // A router without a TPM says so, in a block without a quote.
    const hasTpm = this.#tpm !== undefined;
    this.#expect((report?.verified === true) === hasTpm, "the answer is for this request");
    const block = answer._metadata.tpm_attestation;
    return hasTpm && block !== undefined ? { block, payloadId } : undefined;
  }

  async #streamed(client: SecureChatCompletion): Promise<void> {
    this.#heading("2", "The same as a stream, as the OpenAI SDK reads one");
    const stream = await client.create({ ...question("Count to three."), stream: true }, { signal: this.#signal });
    let count = 0;
    let text = "";
    for await (const chunk of stream) {
      count++;
      text += chunk.choices[0]?.delta.content ?? "";
    }
    this.#row("answer", text);
    this.#expect(count > 1 && text !== "", `${count} chunks came`);
  }

  async #secure(client: SecureChatCompletion): Promise<void> {
    this.#heading("3", "An answer that stays in locked memory until it is printed");
    using answer = await client.createSecure(question("Keep this to yourself."), { signal: this.#signal });
    using content = answer.content();
    this.#say("  answer       ");
    await this.#streams.stdout.flush();
    await writeSecret(this.#streams.stdout, content);
    this.#expect(content.locked, "no JavaScript string was made of it");
  }

  async #wrongPin(router: Router): Promise<void> {
    this.#heading("4", "A server whose key is not the pinned one");
    const client = new SecureCompletionClient({
      baseUrl: router.url,
      allowHttp: true,
      serverKey: { fingerprints: BLANK_PIN },
    });
    try {
      await this.#refused(() => client.fetchServerPublicKey(), "SERVER_KEY_PIN");
    } finally {
      await client.close();
    }
  }

  async #missingQuote(client: SecureChatCompletion): Promise<void> {
    this.#heading("5", 'An answer without a quote, where `attestation: "require"` wants one');
    const options = { signal: this.#signal, attestation: "require" } as const;
    await this.#refused(() => client.create(question("Who are you?"), options), "ATTESTATION_MISSING");
  }

  async #changedQuote({ block, payloadId }: Quoted): Promise<void> {
    this.#heading("5", "The quote of the first answer, with one digit of it changed");
    const report = await verifyTpmAttestation(withOneDigitChanged(block), { payloadId });
    const { state, sentence } = attestationState(report);
    this.#row("attestation", sentence, stateColour(state, this.#paint));
    this.#expect(!report.verified, "refused");
  }

  async #refused(attempt: () => Promise<unknown>, code: string): Promise<void> {
    try {
      await attempt();
      this.#expect(false, "nothing was refused");
    } catch (error) {
      if (!(error instanceof SecurityError)) throw error;
      this.#row("refused", error.message);
      this.#expect(error.code === code, `refused with ${error.code}`);
    }
  }

  #say(styled: string): void {
    this.#streams.stdout.writeStyled(styled);
  }

  #heading(number: string, title: string): void {
    this.#say(`\n${this.#paint.strong(`${number}  ${title}`)}\n`);
  }

  #row(label: string, text: string, paint: (text: string) => string = (plain) => plain): void {
    this.#say(`  ${this.#paint.faint(label.padEnd(11))}  ${paint(harmless(text, "\ufffd"))}\n`);
  }

  #expect(holds: boolean, what: string): void {
    this.#isAsExpected &&= holds;
    if (holds) this.#row("as it must", what, this.#paint.good);
    else this.#row("NOT AS", `it must be: ${what}`, this.#paint.bad);
  }

  async #waiting<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { stderr, env } = this.#streams;
    const progress = new Progress(env["TERM"] === "dumb" ? undefined : stderr);
    await this.#streams.stdout.flush();
    progress.show("dots", what);
    try {
      return await work();
    } finally {
      progress.end();
      await stderr.flush();
    }
  }
}

interface Quoted {
  readonly block: object;
  readonly payloadId: string;
}

const question = (content: string) => ({ model: MODEL, messages: [{ role: "user" as const, content }] });

function memoryText(): string {
  const { mechanism } = memoryInfo();
  return mechanism === "memfd_secret"
    ? "locked, and hidden from root and debuggers (memfd_secret)"
    : `locked (${mechanism})`;
}

/** What the addon says of a TPM, whose errors have no class before they leave the library. */
function hasTpmCode(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "TPM_ERROR" || code === "TSS_MISSING";
}

/** The block with another last digit of the first PCR that it has. */
function withOneDigitChanged(block: object): object {
  const changed = structuredClone(block) as { pcr_values?: Record<string, Record<string, string>> };
  for (const pcrs of Object.values(changed.pcr_values ?? {})) {
    for (const [index, value] of Object.entries(pcrs)) {
      pcrs[index] = value.slice(0, -1) + (value.endsWith("0") ? "1" : "0");
      return changed;
    }
  }
  return changed;
}
