/**
 * The readers in TypeScript, given texts that are nearly right: good ones in which bytes were changed, taken out,
 * doubled or put together. A reader gives what it should or refuses with its own error, whatever the pieces are; none
 * throws another, and none hangs. More of them: NOMYO_BROKEN_TEXTS=1000000 (scripts/fuzz).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";

import { parsePolicy } from "../../lib/attestation/policy.js";
import { ConfigurationError } from "../../lib/errors.js";
import { RequestFormatError, RequestReader } from "../../lib/http/http-request.js";
import { ResponseFormatError, ResponseReader } from "../../lib/http/http-response.js";
import { MAX_HEAD_BYTES } from "../../lib/http/message-reader.js";
import { KnownServersFile } from "../../lib/keys/known-servers.js";
import { lineOf, readLine, ReceiptFormatError } from "../../lib/receipts/receipt.js";
import { madeUpReceipt } from "../support/receipts.js";

const runs = Number(process.env["NOMYO_BROKEN_TEXTS"] ?? 200);
const check = (property: fc.IProperty<unknown>): void => fc.assert(property, { numRuns: runs, endOnFailure: true });

interface Change {
  readonly kind: "set" | "cut" | "double" | "put";
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}
const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("set" as const, "cut" as const, "double" as const, "put" as const),
  at: fc.nat(4_000),
  length: fc.nat(40),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 6 }),
    fc
      .constantFrom(
        "\r\n",
        "\n",
        "\r",
        "0\r\n\r\n",
        '"',
        "{",
        "}",
        ",",
        ":",
        " ",
        "\0",
        "\u2028",
        "-1",
        "1e999",
        "Content-Length: 3\r\n",
      )
      .map((text) => Buffer.from(text)),
  ),
});

function changed(text: Uint8Array, { kind, at, length, bytes }: Change): Uint8Array {
  const start = at % (text.length + 1);
  const [before, after] = [text.subarray(0, start), text.subarray(start)];
  if (kind === "cut") return Buffer.concat([before, after.subarray(length)]);
  if (kind === "double") return Buffer.concat([before, after.subarray(0, length), after]);
  return Buffer.concat([before, bytes, kind === "set" ? after.subarray(bytes.length) : after]);
}
/** One of the texts, changed in up to five places. */
const broken = (texts: readonly string[]): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(fc.constantFrom(...texts), fc.array(change, { maxLength: 5 }))
    .map(([text, changes]) => changes.reduce<Uint8Array>(changed, Buffer.from(text)));

/** What came of it: its value, or the name of its own error. Any other error ends the test. */
function outcome<T>(own: new (...args: never[]) => Error, read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof own) return "refused";
    throw error;
  }
}

test("lines of receipts: what is read is written again to the byte", () => {
  const lines = [
    lineOf(madeUpReceipt()),
    lineOf(
      madeUpReceipt({
        outcome: "refused",
        code: "NONCE_MISMATCH",
        chain: { sequence: 3, previous: "8".repeat(64) },
      } as never),
    ),
  ];
  let read = 0;
  check(
    fc.property(broken(lines), (line) => {
      const receipt = outcome(ReceiptFormatError, () => readLine(line));
      if (typeof receipt === "string") return;
      read++;
      expect(Buffer.from(lineOf(receipt)).equals(line)).toBe(true);
    }),
  );
  expect(read).toBeGreaterThan(0);
});

test("files of known servers: a line is understood, or the file refused; what is found is what stands there", () => {
  const folder = mkdtempSync(join(tmpdir(), "known-"));
  const path = join(folder, "known_servers");
  const base = "https://one.example";
  const good = `# Keys\n\n${base} sha256:${"a".repeat(64)}\nhttps://two.example sha256:${"b".repeat(64)}\n`;
  try {
    check(
      fc.property(broken([good]), (bytes) => {
        writeFileSync(path, bytes, { mode: 0o600 });
        const found = outcome(ConfigurationError, () => new KnownServersFile(path).find(base));
        if (found === undefined || typeof found === "string") return;
        expect(Buffer.from(bytes).toString("utf8").split("\n")[found.line - 1]?.trimEnd()).toBe(
          `${base} sha256:${found.fingerprint}`,
        );
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("policies: what is accepted is frozen, and demands what JSON.parse sees", () => {
  const policies = [
    '{"version":1}',
    '{"version":1,"mode":"require","banks":["sha256"],' +
      `"profiles":[{"name":"a","pcrs":{"sha256":{"0":"${"1".repeat(64)}","7":"any"}}}]}`,
  ];
  check(
    fc.property(broken(policies), (bytes) => {
      const policy = outcome(ConfigurationError, () => parsePolicy(bytes));
      if (typeof policy === "string") return;
      expect(Object.isFrozen(policy)).toBe(true);
      const seen = JSON.parse(Buffer.from(bytes).toString("utf8")) as Record<string, unknown>;
      for (const name of Object.keys(seen)) expect(policy).toHaveProperty([name]);
    }),
  );
});

interface Read {
  readonly outcome: string;
  readonly head: unknown;
  readonly body: string;
}
/** Cuts `bytes` into pieces whose lengths repeat `steps`. */
function pieces(bytes: Uint8Array, steps: readonly number[]): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const step = steps[turn % steps.length] ?? bytes.length;
    cut.push(Uint8Array.from(bytes.subarray(at, at + step)));
    at += step;
  }
  return cut;
}

const framings = [
  "Content-Length: 5\r\n\r\nhello",
  "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
  "Content-Length: 0\r\n\r\n",
];
const steps = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });

test("requests: cut into pieces they are what they are whole", () => {
  const read = (bytes: Uint8Array, sizes: readonly number[]): Read => {
    let head: unknown;
    let body = "";
    const reader = new RequestReader(new Uint8Array(MAX_HEAD_BYTES), ["host"], {
      head: (it) => (head = { ...it, headers: [...it.headers] }),
      body: (some) => (body += Buffer.from(some).toString("latin1")),
    });
    const result = outcome(RequestFormatError, () => {
      for (const piece of pieces(bytes, sizes)) if (!reader.complete) reader.push(piece);
      return reader.complete ? "complete" : "wants more";
    });
    return { outcome: result, head, body };
  };
  const texts = framings.map((framing) => `POST /v1/a?b HTTP/1.1\r\nHost: h\r\nX: y\r\n${framing}`);
  check(
    fc.property(broken(texts), steps, (bytes, sizes) => {
      const whole = read(bytes, [bytes.length + 1]);
      const cut = read(bytes, sizes);
      expect(cut.outcome).toBe(whole.outcome);
      // Of what is refused more may have been seen before it was.
      if (whole.outcome === "complete") expect(cut).toEqual(whole);
    }),
  );
});

test("responses: cut into pieces they are what they are whole", () => {
  const read = (bytes: Uint8Array, sizes: readonly number[]): Read => {
    let head: unknown;
    let body = "";
    const reader = new ResponseReader(new Uint8Array(MAX_HEAD_BYTES), {
      head: (it) => (head = { ...it }),
      body: (some) => (body += Buffer.from(some).toString("latin1")),
    });
    const result = outcome(ResponseFormatError, () => {
      for (const piece of pieces(bytes, sizes)) if (!reader.complete) reader.push(piece);
      return reader.complete ? "complete" : "wants more";
    });
    return { outcome: result, head, body };
  };
  const texts = framings.map((framing) => `HTTP/1.1 200 OK\r\nRetry-After: 3\r\n${framing}`);
  check(
    fc.property(broken(texts), steps, (bytes, sizes) => {
      const whole = read(bytes, [bytes.length + 1]);
      const cut = read(bytes, sizes);
      expect(cut.outcome).toBe(whole.outcome);
      if (whole.outcome === "complete") expect(cut).toEqual(whole);
    }),
  );
});
