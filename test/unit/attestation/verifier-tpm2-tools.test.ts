/**
 * Quotes of a real (software) TPM, made with tpm2-tools, of every kind that a server may send: each must verify,
 * offline and by the TPM itself, and tpm2_checkquote must agree where it can judge (it knows no RSAPSS).
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { AttestationReport } from "../../../lib/attestation/report.js";
import { native } from "../../../lib/native.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

let tpm: SoftwareTpm;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
  // PCRs of a fresh TPM are zeros, which digests of other PCRs would also fit.
  for (const [pcr, bank] of [0, 1, 7, 10].flatMap((n) => [[n, "sha256"] as const, [n, "sha384"] as const])) {
    tool("pcrextend", `${String(pcr)}:${bank}=${randomBytes(bank === "sha256" ? 32 : 48).toString("hex")}`);
  }
}, 60_000);

afterAll(async () => {
  await tpm.close();
});

function tool(name: string, ...args: string[]): string {
  const env = { ...process.env, TPM2TOOLS_TCTI: tpm.tcti, TSS2_LOG: "all+none" };
  const output = execFileSync(`tpm2_${name}`, args, {
    env,
    cwd: tpm.folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A TPM without a resource manager keeps what a tool loaded, and has room for three.
  if (name !== "flushcontext") tool("flushcontext", "-t");
  return output;
}

const attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign";

interface Kind {
  readonly algorithm: string;
  /** Of the signature, and so of the PCR digest. */
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly selection: string;
  readonly place: "owner" | "endorsement" | "platform" | "null" | "child";
  readonly nameAlgorithm?: "sha256" | "sha384" | "sha512";
  /** What the quote is asked for, when in another order than `selection`, which becomes `pcr_banks`. */
  readonly asked?: string;
  /** Of tpm2_checkquote 5.4: it cannot judge RSAPSS, nor several banks without a file of its own form. */
  readonly judged?: boolean;
}

function makeAik({ algorithm, place, nameAlgorithm = "sha256" }: Kind): void {
  if (place === "child") {
    tool("createprimary", "-C", "o", "-G", "ecc", "-c", "parent.ctx");
    tool(
      "create",
      "-C",
      "parent.ctx",
      "-G",
      algorithm,
      "-g",
      nameAlgorithm,
      "-a",
      attributes,
      "-u",
      "c.pub",
      "-r",
      "c.priv",
    );
    tool("load", "-C", "parent.ctx", "-u", "c.pub", "-r", "c.priv", "-c", "aik.ctx");
  } else {
    const hierarchy = place[0] ?? "";
    tool("createprimary", "-C", hierarchy, "-G", algorithm, "-g", nameAlgorithm, "-a", attributes, "-c", "aik.ctx");
  }
  tool("readpublic", "-c", "aik.ctx", "-f", "tss", "-o", "aik.pub");
}

/** The PCR values as tpm2_pcrread prints them: `  sha256:` and then lines of `    0 : 0xABC…`. */
function readPcrs(selection: string): Record<string, Record<string, string>> {
  const values: Record<string, Record<string, string>> = {};
  let bank = "";
  for (const line of tool("pcrread", selection).split("\n")) {
    bank = /^\s*(\w+):$/.exec(line)?.[1] ?? bank;
    const [, index, hex] = /^\s*(\d+)\s*:\s*0x([0-9A-F]+)$/.exec(line) ?? [];
    if (index !== undefined && hex !== undefined) (values[bank] ??= {})[index] = hex;
  }
  return values;
}

function quote(kind: Kind, nonce: Buffer): { attest: Buffer; signature: Buffer } {
  const { algorithm, hash, selection, asked = selection } = kind;
  // tpm2_quote asks for RSASSA unless told, whatever the key's scheme is.
  const scheme = algorithm.includes("rsapss") ? ["--scheme", "rsapss"] : [];
  const files = ["-m", "quote.msg", "-s", "quote.sig", "-o", "quote.pcrs"];
  tool("quote", "-c", "aik.ctx", "-l", asked, "-q", nonce.toString("hex"), "-g", hash, ...scheme, ...files);
  return {
    attest: readFileSync(join(tpm.folder, "quote.msg")),
    signature: readFileSync(join(tpm.folder, "quote.sig")),
  };
}

function block(kind: Kind, attest: Buffer, signature: Buffer): object {
  return {
    is_available: true,
    pcr_banks: kind.selection,
    pcr_values: readPcrs(kind.selection),
    quote_b64: attest.toString("base64"),
    signature_b64: signature.toString("base64"),
    aik_pubkey_b64: readFileSync(join(tpm.folder, "aik.pub")).toString("base64"),
  };
}

async function verify(text: object, nonce: Uint8Array, tcti: string | null): Promise<AttestationReport> {
  const policy = JSON.stringify({ version: 1 });
  return (await native.verifyAttestation(JSON.stringify(text), nonce, policy, tcti)) as AttestationReport;
}

const some = "sha256:0,7,10";
const all = `sha256:${[...Array(24).keys()].join(",")}`;

test.each<[string, Kind]>([
  ["RSASSA-2048", { algorithm: "rsa2048:rsassa-sha256:null", hash: "sha256", selection: some, place: "endorsement" }],
  [
    "RSASSA-2048, SHA-384",
    { algorithm: "rsa2048:rsassa-sha384:null", hash: "sha384", selection: some, place: "owner" },
  ],
  [
    "RSASSA-2048, SHA-512",
    { algorithm: "rsa2048:rsassa-sha512:null", hash: "sha512", selection: some, place: "owner" },
  ],
  ["RSASSA-3072", { algorithm: "rsa3072:rsassa-sha256:null", hash: "sha256", selection: some, place: "owner" }],
  [
    "RSAPSS-2048",
    { algorithm: "rsa2048:rsapss-sha256:null", hash: "sha256", selection: some, place: "owner", judged: false },
  ],
  [
    "RSAPSS-2048, SHA-512",
    { algorithm: "rsa2048:rsapss-sha512:null", hash: "sha512", selection: some, place: "child", judged: false },
  ],
  ["P-256", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "owner" }],
  ["P-384", { algorithm: "ecc384:ecdsa-sha384:null", hash: "sha384", selection: some, place: "owner" }],
  ["P-521", { algorithm: "ecc521:ecdsa-sha512:null", hash: "sha512", selection: some, place: "owner" }],
  ["P-256, SHA-384", { algorithm: "ecc256:ecdsa-sha384:null", hash: "sha384", selection: some, place: "owner" }],
  ["SHA-384 bank", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: "sha384:0,7", place: "owner" }],
  [
    "several banks",
    { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: "sha256:0,1+sha384:0,7", place: "owner" },
  ],
  [
    "several banks, the quote's order unlike the claim's",
    {
      algorithm: "ecc256:ecdsa-sha256:null",
      hash: "sha256",
      selection: "sha256:0,1+sha384:0,7",
      asked: "sha384:0,7+sha256:0,1",
      place: "owner",
    },
  ],
  ["all 24 PCRs", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: all, place: "owner" }],
  [
    "endorsement primary",
    { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "endorsement" },
  ],
  ["platform primary", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "platform" }],
  ["null primary", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "null" }],
  ["child", { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "child" }],
  ["RSA child", { algorithm: "rsa2048:rsassa-sha256:null", hash: "sha256", selection: some, place: "child" }],
  [
    "name of SHA-384",
    { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "owner", nameAlgorithm: "sha384" },
  ],
  [
    "name of SHA-512, child",
    { algorithm: "ecc256:ecdsa-sha256:null", hash: "sha256", selection: some, place: "child", nameAlgorithm: "sha512" },
  ],
])(
  "%s",
  async (_, kind) => {
    makeAik(kind);
    const nonce = randomBytes(16);
    const { attest, signature } = quote(kind, nonce);
    const size = Buffer.from([attest.length >> 8, attest.length & 255]);
    const shown = block(kind, attest, signature);
    const scheme = kind.algorithm.split(":")[1] ?? "";

    for (const form of [attest, Buffer.concat([size, attest])]) {
      const sent = { ...shown, quote_b64: form.toString("base64") };
      for (const tcti of [null, tpm.tcti]) {
        const report = await verify(sent, nonce, tcti);
        expect(report).toMatchObject({
          verified: true,
          engine: { verdict: "valid", name: tcti === null ? "offline" : "esapi" },
        });
        expect(report.aik?.scheme).toBe(scheme);
        expect(report.aik?.hierarchy).toBe(kind.place === "child" ? "child-or-unknown" : `primary:${kind.place}`);
        expect(report.quote?.pcrSelection).toBe(kind.asked ?? kind.selection);
        expect(report.quote?.qualifyingDataHex).toBe(nonce.toString("hex"));
        expect(report.quote?.resetCount !== undefined).toBe(["endorsement", "platform"].includes(kind.place));
        // The name, as the TPM itself computes it.
        expect(tool("readpublic", "-c", "aik.ctx", "-n", "name")).toBeDefined();
        expect(report.aik?.nameHex).toBe(readFileSync(join(tpm.folder, "name")).toString("hex"));
      }
    }
    const stale = await verify(shown, randomBytes(16), null);
    expect(stale.code).toBe("NONCE_MISMATCH");

    if (kind.judged ?? true) {
      writeFileSync(join(tpm.folder, "nonce"), nonce);
      const files = ["-m", "quote.msg", "-s", "quote.sig", "-f", "quote.pcrs", "-q", nonce.toString("hex")];
      tool("readpublic", "-c", "aik.ctx", "-f", "pem", "-o", "aik.pem");
      expect(() => tool("checkquote", "-u", "aik.pem", "-g", kind.hash, ...files)).not.toThrow();
    }
  },
  120_000,
);
