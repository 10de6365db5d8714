import { execFileSync } from "node:child_process";
import { qualifyingDataOf } from "../../../lib/attestation/qualifying-data.js";
import type { TpmAttestationBlock, TpmHandle } from "../../../lib/native.js";
import type { TpmDriver } from "../../../lib/attestation/tpm.js";
import { Attestor } from "../../../lib/router/attestor.js";
import type { AttestorSettings } from "../../../lib/router/attestor.js";
import { Disconnected, Refusal } from "../../../lib/http/refusal.js";

/** A TPM whose every step the test decides. */
class Tpm implements TpmDriver {
  opened = 0;
  closed = 0;
  open: () => Promise<void> = () => Promise.resolve();
  quote: (data: Uint8Array) => Promise<void> = () => Promise.resolve();

  async tpmOpen(): Promise<TpmHandle> {
    await this.open();
    this.opened += 1;
    return {} as TpmHandle;
  }
  async tpmQuote(_tpm: TpmHandle, data: Uint8Array): Promise<TpmAttestationBlock> {
    await this.quote(data);
    return { is_available: true, quote_b64: Buffer.from(data).toString("hex") };
  }
  tpmClose(): void {
    this.closed += 1;
  }
}

const never = new AbortController().signal;
const log: string[] = [];
const make = (tpm: Tpm, more: Partial<AttestorSettings> = {}) =>
  new Attestor(
    {
      tcti: "t",
      quote: {},
      certificateChain: [],
      queueLimit: 3,
      timeoutMs: 1000,
      reopenMs: 0,
      log: (text) => log.push(text),
      ...more,
    },
    tpm,
  );

beforeEach(() => (log.length = 0));

test("the qualifying data is the first 16 bytes of the payload id's SHA-256, as OpenSSL makes it", () => {
  const hex = execFileSync("openssl", ["dgst", "-sha256", "-r"], { input: "an-id", encoding: "utf8" }).slice(0, 32);
  expect(Buffer.from(qualifyingDataOf("an-id")).toString("hex")).toBe(hex);
});

test("one connection serves many quotes, each over its own payload id", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm);
  await attestor.start();
  for (const id of ["a", "b"]) {
    expect(await attestor.quote(id, never)).toEqual({
      is_available: true,
      quote_b64: Buffer.from(qualifyingDataOf(id)).toString("hex"),
    });
  }
  expect(tpm.opened).toBe(1);
  await attestor.close();
  expect(tpm.closed).toBe(1);
  expect(await attestor.quote("late", never)).toEqual({ is_available: false });
});

test("a certificate chain goes beside the quote", async () => {
  const attestor = make(new Tpm(), { certificateChain: ["QUJD"] });
  expect(await attestor.quote("a", never)).toMatchObject({ aik_cert_chain_b64: ["QUJD"] });
});

test("a TPM that is not there at start is an error", async () => {
  const tpm = new Tpm();
  tpm.open = () => Promise.reject(new Error("no such device"));
  await expect(make(tpm).start()).rejects.toThrow("no such device");
});

test("a TPM that was restarted is opened anew within the same quote", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm);
  await attestor.start();
  let failures = 1;
  tpm.quote = () => (failures-- > 0 ? Promise.reject(new Error("broken pipe")) : Promise.resolve());
  expect((await attestor.quote("a", never)).is_available).toBe(true);
  expect(tpm).toMatchObject({ opened: 2, closed: 1 });
});

test("a TPM that is gone: answers without attestation until it is back; the operator is told each time", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm);
  await attestor.start();
  tpm.quote = tpm.open = () => Promise.reject(new Error("gone"));
  for (const id of ["a", "b", "c"]) expect(await attestor.quote(id, never)).toEqual({ is_available: false });
  expect(attestor.available).toBe(false);
  expect(log).toHaveLength(1);
  tpm.quote = tpm.open = () => Promise.resolve();
  expect((await attestor.quote("d", never)).is_available).toBe(true);
  expect(attestor.available).toBe(true);
  expect(log).toHaveLength(2);
});

test("a TPM that is gone is not asked again before the pause is over", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm, { reopenMs: 60_000 });
  let opens = 0;
  tpm.open = () => {
    opens += 1;
    return Promise.reject(new Error("gone"));
  };
  await attestor.quote("a", never);
  await attestor.quote("b", never);
  expect(opens).toBe(1);
});

test("quotes beyond the queue's bound are refused with 503, and the queue empties", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm);
  let release: (() => void) | undefined;
  tpm.quote = () => new Promise((resolve) => (release = resolve));
  const waiting = ["a", "b", "c"].map((id) => attestor.quote(id, never));
  const refused: unknown = await attestor.quote("d", never).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Refusal);
  expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  tpm.quote = () => Promise.resolve();
  await new Promise(setImmediate);
  release?.();
  for (const block of await Promise.all(waiting)) expect(block.is_available).toBe(true);
  expect((await attestor.quote("e", never)).is_available).toBe(true);
});

test("a client that has gone does not take the TPM's time", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm);
  const quoted: string[] = [];
  let release: (() => void) | undefined;
  tpm.quote = (data) => {
    quoted.push(Buffer.from(data).toString("hex"));
    return new Promise((resolve) => (release = resolve));
  };
  const first = attestor.quote("a", never);
  const controller = new AbortController();
  const second = attestor.quote("b", controller.signal).catch((error: unknown) => error);
  controller.abort();
  await new Promise(setImmediate);
  release?.();
  await first;
  expect(await second).toBeInstanceOf(Disconnected);
  expect(quoted).toHaveLength(1);
});

test("a TPM that hangs is left alone until its job ends, and then used again", async () => {
  const tpm = new Tpm();
  const attestor = make(tpm, { timeoutMs: 20 });
  await attestor.start();
  let release: (() => void) | undefined;
  tpm.quote = () => new Promise((resolve) => (release = resolve));
  expect(await attestor.quote("a", never)).toEqual({ is_available: false });
  tpm.quote = () => Promise.resolve();
  expect(await attestor.quote("b", never)).toEqual({ is_available: false });
  expect(tpm.closed).toBe(0);
  release?.();
  await new Promise(setImmediate);
  expect(tpm.closed).toBe(1);
  expect((await attestor.quote("c", never)).is_available).toBe(true);
});
