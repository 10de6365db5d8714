/** The router's quotes, from a real software TPM, judged by tpm2-tools. */
import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPolicy } from "../../../lib/attestation/policy.js";
import { qualifyingDataOf } from "../../../lib/attestation/qualifying-data.js";
import { verify, verifyTpmAttestation } from "../../../lib/attestation/verify.js";
import type { TpmAttestationBlock } from "../../../lib/native.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { chat, detailOf, fetchRaw, postPackage } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";
import { SoftwareTpm } from "../../support/software-tpm.js";

const client = nodeKeyPair(2048);
const request = { model: "m", messages: [{ role: "user", content: "hello" }] };
const keyFile = routerKeyFile();
let tpm: SoftwareTpm;

beforeAll(async () => {
  tpm = await SoftwareTpm.start();
});
afterAll(async () => {
  await tpm.close();
  keyFile.remove();
});

const tools = (program: string, ...args: string[]) =>
  execFileSync(program, args, {
    encoding: "utf8",
    timeout: 200_000,
    env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti },
  });

async function withRouter(
  options: Omit<NonNullable<RouterOptions["tpm"]>, "tcti">,
  use: (router: Router) => Promise<void>,
  log: (message: string) => void = () => undefined,
): Promise<void> {
  const router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti, ...options }, log });
  try {
    await use(router);
  } finally {
    await router.close();
  }
}

async function attestationFor(router: Router, payloadId: string): Promise<Required<TpmAttestationBlock>> {
  const { answer } = await chat(router, client, request, { "x-payload-id": payloadId });
  const block = answer._metadata["tpm_attestation"] as Required<TpmAttestationBlock>;
  expect(block.is_available).toBe(true);
  return block;
}

/** tpm2_checkquote's exit and words, over the block's structures and the nonce that the protocol says. */
function checkquote(block: Required<TpmAttestationBlock>, payloadId: string): { ok: boolean; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-checkquote-"));
  try {
    const file = (name: string, base64: string) => {
      const path = join(folder, name);
      writeFileSync(path, Buffer.from(base64, "base64"));
      return path;
    };
    const values = Object.values(block.pcr_values)
      .flatMap((bank) => Object.values(bank))
      .join("");
    const nonce = createHash("sha256").update(payloadId, "utf8").digest("hex").slice(0, 32);
    const args = [
      ...["-u", file("aik", block.aik_pubkey_b64), "-m", file("quote", block.quote_b64)],
      ...["-s", file("signature", block.signature_b64), "-g", "sha256", "-q", nonce],
      ...["-f", file("pcrs", Buffer.from(values, "hex").toString("base64")), "-l", block.pcr_banks],
    ];
    return {
      ok: true,
      output: execFileSync("tpm2_checkquote", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }),
    };
  } catch (error) {
    return { ok: false, output: String((error as { stderr?: unknown }).stderr) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pcrDigest(block: Required<TpmAttestationBlock>, indices: readonly number[]): string {
  const hash = createHash("sha256");
  for (const index of indices) hash.update(Buffer.from(block.pcr_values["sha256"]![String(index)]!, "hex"));
  return hash.digest("hex");
}

const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

/** A CA, and its certificate for the AIK whose public key is in `file` (extended key usage: TCG's for AIKs). */
function certify(file: string): { readonly ca: string; readonly certificate: string } {
  const at = (name: string) => join(tpm.folder, name);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const ca = openssl("req", "-x509", ...newKey, "-keyout", at("ca.key"), "-subj", "/CN=Test CA", "-days", "2");
  writeFileSync(at("ca.pem"), ca);
  writeFileSync(
    at("ext"),
    "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=2.23.133.8.3\nkeyUsage=digitalSignature\n",
  );
  const issuer = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-extfile", at("ext"), "-days", "1"];
  const certificate = openssl("x509", "-new", "-subj", "/CN=AIK", "-force_pubkey", file, ...issuer);
  return { ca, certificate };
}

/** A certificate for a key that no TPM has. */
const nodeCertificate = () =>
  openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-keyout", "/dev/null", "-subj", "/CN=other"],
  );

describe("an answer of a router with a TPM", () => {
  test.each(["ecc-p256", "rsa2048-rsassa"] as const)(
    "carries a quote that tpm2_checkquote accepts: %s",
    async (aik) => {
      const measured = tools("tpm2_pcrread", "sha256:0,7,10");
      await withRouter({ aik }, async (router) => {
        const payloadId = randomUUID();
        const block = await attestationFor(router, payloadId);
        expect(checkquote(block, payloadId)).toMatchObject({ ok: true });
        expect(checkquote(block, randomUUID()).ok).toBe(false);
        expect(block.pcr_banks).toBe("sha256:0,7,10");
        expect(Object.keys(block.pcr_values["sha256"]!)).toEqual(["0", "7", "10"]);
        for (const [index, value] of Object.entries(block.pcr_values["sha256"]!)) {
          expect(measured.toLowerCase()).toMatch(new RegExp(`\\b${index} *: 0x${value.toLowerCase()}`));
        }
        // The quote ends with the digest over the values (TPMS_QUOTE_INFO).
        expect(block.quote_b64).toBeDefined();
        expect(Buffer.from(block.quote_b64, "base64").subarray(-32).toString("hex")).toBe(pcrDigest(block, [0, 7, 10]));
      });
    },
  );

  test("is made with a new key each time, over its own payload id", async () => {
    await withRouter({}, async (router) => {
      const ids = [randomUUID(), randomUUID()];
      const blocks = [await attestationFor(router, ids[0]!), await attestationFor(router, ids[1]!)];
      expect(blocks[0]!.aik_pubkey_b64).not.toBe(blocks[1]!.aik_pubkey_b64);
      expect(checkquote(blocks[0]!, ids[0]!).ok).toBe(true);
      expect(checkquote(blocks[0]!, ids[1]!).ok).toBe(false);
    });
  });

  test("quotes the PCRs and banks that the operator chose", async () => {
    await withRouter({ pcrs: "sha256:0,4,23+sha384:1" }, async (router) => {
      const payloadId = randomUUID();
      const block = await attestationFor(router, payloadId);
      expect(block.pcr_banks).toBe("sha256:0,4,23+sha384:1");
      expect(Object.keys(block.pcr_values["sha256"]!)).toEqual(["0", "4", "23"]);
      expect(block.pcr_values["sha384"]!["1"]).toMatch(/^[0-9a-f]{96}$/i);
      expect(checkquote(block, payloadId)).toMatchObject({ ok: true });
    });
  });

  test("serves tier maximum", async () => {
    await withRouter({}, async (router) => {
      const { answer } = await chat(router, client, request, { "x-security-tier": "maximum" });
      expect(answer._metadata).toMatchObject({ security_tier: "maximum", tpm_attestation: { is_available: true } });
    });
  });

  test("can come from a persistent AIK with certificates", async () => {
    tools("tpm2_createek", "-c", join(tpm.folder, "ek"), "-G", "ecc");
    tools(
      "tpm2_createak",
      "-C",
      join(tpm.folder, "ek"),
      "-c",
      join(tpm.folder, "ak"),
      "-G",
      "ecc",
      "-g",
      "sha256",
      "-s",
      "ecdsa",
    );
    tools("tpm2_flushcontext", "-t");
    tools("tpm2_evictcontrol", "-c", join(tpm.folder, "ak"), "0x81010002");
    tools("tpm2_readpublic", "-c", "0x81010002", "-f", "pem", "-o", join(tpm.folder, "ak.pem"));
    const { ca, certificate } = certify(join(tpm.folder, "ak.pem"));
    await withRouter({ persistentHandle: 0x81010002, certificateChain: certificate }, async (router) => {
      const ids = [randomUUID(), randomUUID()];
      const blocks = [await attestationFor(router, ids[0]!), await attestationFor(router, ids[1]!)];
      expect(blocks[0]!.aik_pubkey_b64).toBe(blocks[1]!.aik_pubkey_b64);
      expect(checkquote(blocks[1]!, ids[1]!)).toMatchObject({ ok: true });
      const der = execFileSync("openssl", ["x509", "-outform", "DER"], { input: certificate });
      expect(blocks[0]!.aik_cert_chain_b64).toEqual([der.toString("base64")]);
      const policy = { version: 1, mode: "require", aikRoots: [ca] } as const;
      const report = await verifyTpmAttestation(blocks[0]!, { payloadId: ids[0]!, policy });
      expect(report).toMatchObject({ verified: true, trust: "certified" });
      // As receipts are verified: at another time than now.
      const then = async (at: number) =>
        await verify(blocks[0], qualifyingDataOf(ids[0]!), checkPolicy(policy), null, Math.floor(at / 1000));
      expect(await then(Date.now())).toMatchObject({ verified: true, trust: "certified" });
      for (const at of [0, Date.parse("2200-01-01")]) {
        expect(await then(at)).toMatchObject({ verified: false, code: "AIK_CERTIFICATE" });
      }
    });
    // A chain for another key would be refused by every client: so the router does not start with it.
    const other = nodeCertificate();
    await expect(
      startRouter({
        keyFile: keyFile.path,
        tpm: { tcti: tpm.tcti, persistentHandle: 0x81010002, certificateChain: other },
      }),
    ).rejects.toThrow(/not for the key at the persistent handle/);
  });

  test("a persistent AIK without noDA is used, with a word to the operator", async () => {
    const warnings = async (persistentHandle: number): Promise<string[]> => {
      const log: string[] = [];
      await withRouter({ persistentHandle }, () => Promise.resolve(), log.push.bind(log));
      return log.filter((line) => line.includes("noDA"));
    };
    const at = (name: string) => join(tpm.folder, name);
    tools("tpm2_flushcontext", "-t");
    tools("tpm2_createprimary", "-Q", "-c", at("primary"));
    tools("tpm2_flushcontext", "-t");
    for (const [handle, noda] of [
      ["0x81010004", ""],
      ["0x81010005", "noda|"],
    ] as const) {
      const attributes = `fixedtpm|fixedparent|sensitivedataorigin|userwithauth|${noda}restricted|sign`;
      const files = ["-u", at("ak.pub"), "-r", at("ak.priv")];
      tools("tpm2_create", "-Q", "-C", at("primary"), ...files, "-G", "ecc256:ecdsa-sha256:null", "-a", attributes);
      tools("tpm2_flushcontext", "-t");
      tools("tpm2_load", "-Q", "-C", at("primary"), ...files, "-c", at("ak"));
      tools("tpm2_flushcontext", "-t");
      tools("tpm2_evictcontrol", "-Q", "-c", at("ak"), handle);
      tools("tpm2_flushcontext", "-t");
    }
    expect(await warnings(0x81010004)).toEqual([expect.stringMatching(/lockout.*make the AIK anew with noDA/)]);
    expect(await warnings(0x81010005)).toEqual([]);
  });

  test("many at a time get one each, beyond the queue's bound 503", async () => {
    await withRouter({ queueLimit: 4, aik: "rsa2048-rsassa" }, async (router) => {
      const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
      const answers = await Promise.all(
        Array.from(
          { length: 24 },
          async () => await postPackage(router, client, body, { "x-payload-id": randomUUID() }),
        ),
      );
      const statuses = answers.map(({ status }) => status);
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(4);
      const busy = answers.filter(({ status }) => status === 503);
      expect(busy.length).toBeGreaterThan(0);
      expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
      expect(detailOf(busy[0]!)).toMatch(/too many attestations are waiting/);
      expect(busy[0]!.headers["retry-after"]).toBe("1");
    });
  });
});

test("a TPM that vanishes and comes back", async () => {
  const own = await SoftwareTpm.start();
  const log: string[] = [];
  const router = await startRouter({
    keyFile: keyFile.path,
    tpm: { tcti: own.tcti, reopenMs: 50, timeoutMs: 5_000 },
    log: (message) => log.push(message),
  });
  const health = async () =>
    (JSON.parse((await fetchRaw(`${router.url}/healthz`)).body.toString()) as { tpm_available: boolean }).tpm_available;
  const block = async () =>
    ((await chat(router, client, request)).answer._metadata["tpm_attestation"] as TpmAttestationBlock).is_available;
  try {
    expect(await block()).toBe(true);
    await own.vanish();
    expect(await block()).toBe(false);
    expect(await health()).toBe(false);
    const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
    const maximum = await postPackage(router, client, body, { "x-security-tier": "maximum" });
    expect(maximum.status).toBe(503);
    await own.appear();
    // It looks for the TPM again every 50 ms at most; one that is never found ends in the test's time-out.
    while (!(await block())) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await health()).toBe(true);
    await chat(router, client, request, { "x-security-tier": "maximum" });
    expect(log.filter((line) => line.includes("TPM"))).toHaveLength(2);
  } finally {
    await router.close();
    await own.close();
  }
});

test("a TPM that is not there at start is an error", async () => {
  await expect(
    startRouter({ keyFile: keyFile.path, tpm: { tcti: "swtpm:path=/nonexistent/socket" } }),
  ).rejects.toMatchObject({ code: "TPM_ERROR" });
});

test("a TPM on loopback ports, as the demo of swtpm names it", async () => {
  const remote = await SoftwareTpm.start({ transport: "tcp" });
  try {
    expect(remote.tcti).toMatch(/^swtpm:host=127\.0\.0\.1,port=\d+$/);
    const router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: remote.tcti } });
    try {
      const payloadId = randomUUID();
      expect(checkquote(await attestationFor(router, payloadId), payloadId)).toMatchObject({ ok: true });
    } finally {
      await router.close();
    }
  } finally {
    await remote.close();
  }
});
