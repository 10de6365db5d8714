/** The line of a receipt: what is written, and that nothing else is read. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { lineHash, lineOf, MAX_LINE_BYTES, readLine, ReceiptFormatError } from "../../../lib/receipts/receipt.js";
import type { Receipt } from "../../../lib/receipts/receipt.js";
import { madeUpReceipt } from "../../support/receipts.js";

const chain = { sequence: 7, previous: "8".repeat(64) };
const line = lineOf(madeUpReceipt({ chain }));
const read = (text: string | Uint8Array): Receipt => readLine(typeof text === "string" ? Buffer.from(text) : text);

test("a line is read as the receipt that was written, whatever order its members were given in", () => {
  expect(read(line)).toEqual(madeUpReceipt({ chain }));
  const reversed = Object.fromEntries(Object.entries(madeUpReceipt({ chain })).reverse()) as unknown as Receipt;
  expect(lineOf(reversed)).toBe(line);
  expect(line).not.toContain("\n");
});

test("a line's hash is its SHA-256", () => {
  const expected = createHash("sha256").update(line).digest("hex");
  expect([lineHash(line), lineHash(Buffer.from(line))]).toEqual([expected, expected]);
});

test("what a server put into its block stays as it came, separators of lines included", () => {
  const block = { is_available: true, odd: 'a\n\u2028"\ud800', "10": 1, "9": 2, nested: [{ __proto__x: null }] };
  const receipt = madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block } });
  const text = lineOf(receipt);
  expect(text).not.toContain("\n");
  expect(read(text)).toEqual(receipt);
});

function nested(depth: number): string {
  return "[".repeat(depth) + "]".repeat(depth);
}

test("a block may be nested as deeply as an answer, in texts are no brackets, and deeper none is written", () => {
  const withBlock = (block: unknown): Receipt =>
    madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block } });
  const deepest = withBlock(JSON.parse(nested(1022)));
  expect(read(lineOf(deepest))).toEqual(deepest);
  const inText = withBlock(`\\"${"[".repeat(2000)}`);
  expect(read(lineOf(inText))).toEqual(inText);
  for (const depth of [1023, 200_000]) {
    expect(() => lineOf(withBlock(JSON.parse(nested(depth))))).toThrow(/nested more than 1024 deep/);
  }
});

describe("the report", () => {
  const text = '"report":null';
  const report = {
    verified: true,
    checks: [{ code: "CLOCK", ok: true, detail: "safe" }],
    trust: "certified",
    engine: { name: "offline", verdict: "valid" },
    pcrs: { sha256: { "0": "00" } },
    policyId: "7".repeat(64),
    verifiedAt: "2026-11-27T08:00:01.250Z",
  };
  const withReport = (made: object): string => line.replace(text, `"report":${JSON.stringify(made)}`);

  test("is one of the verifier", () => {
    expect(read(withReport(report)).attestation.report).toEqual(report);
    for (const fault of ["TSS_MISSING", "TPM_ERROR"])
      expect(read(withReport({ ...report, verified: false, fault })).attestation.report).toMatchObject({ fault });
  });

  test.each<[string, object]>([
    ["without an engine", { engine: undefined }],
    ["with an engine of another form", { engine: "offline" }],
    ["with another member", { note: "x" }],
    ["with another member inside", { engine: { ...report.engine, note: "x" } }],
    ["with another member in a check", { checks: [{ ...report.checks[0], note: "x" }] }],
    ["with a check that there is none of", { checks: [{ code: "LUCK", ok: true, detail: "" }] }],
    ["with PCRs of another form", { pcrs: { sha256: { "0": { note: "x" } } } }],
    ["with a key that is none", { aik: null }],
    ["that is verified, and says why not", { code: "NONCE_MISMATCH" }],
    ["that is verified by a verifier that could not work", { fault: "TSS_MISSING" }],
    ["that is verified by an engine that refused", { engine: { name: "esapi", verdict: "invalid" } }],
    ["that is verified by an engine that was not asked", { engine: { name: "offline", verdict: "not-run" } }],
    ["that is not verified, and does not say why", { verified: false }],
    ["with a fault that there is none of", { verified: false, fault: "RAIN" }],
    ["of another trust", { trust: "absolute" }],
    ["of a policy that is no hash", { policyId: "none" }],
  ])("%s is none", (_what, change) => {
    expect(() => read(withReport({ ...report, ...change }))).toThrow(ReceiptFormatError);
  });
});

test.each<[string, string | Uint8Array]>([
  ["nothing", ""],
  ["no JSON", line.slice(0, -1)],
  ["more behind it", `${line} `],
  ["white space in it", line.replace(",", ", ")],
  ["a line end", `${line}\r`],
  ["a byte order mark", `\ufeff${line}`],
  ["bytes that are no UTF-8", Buffer.from([...Buffer.from(line).subarray(0, -2), 0xff, 0x22, 0x7d])],
  ["a name twice", line.replace('"code":null', '"code":null,"code":null')],
  ["another name", line.replace('"code":null', '"code":null,"note":"x"')],
  ["another name inside", line.replace('"given":', '"more":1,"given":')],
  ["another order", line.replace('"outcome":"answered","code":null', '"code":null,"outcome":"answered"')],
  ["an escape that is not needed", line.replace("answered", "\\u0061nswered")],
  ["another form of a number", line.replace('"bytes":10', '"bytes":1e1')],
  ["a number that is not whole", line.replace('"bytes":10', '"bytes":10.5')],
  ["a negative number", line.replace('"bytes":10', '"bytes":-10')],
  ["a hash in capitals", line.replace("8".repeat(64), "A".repeat(64))],
  ["a short hash", line.replace("8".repeat(64), "8".repeat(63))],
  ["another version", line.replace('"version":1', '"version":2')],
  ["number 0", line.replace('"sequence":7', '"sequence":0')],
  ["another outcome", line.replace('"answered"', '"perhaps"')],
  ["a refusal without a code", line.replace('"answered"', '"refused"')],
  ["an answer with a code", line.replace('"code":null', '"code":"DECRYPT"')],
  ["an answer without a package", line.replace(/"response":\{[^}]*\}/, '"response":null')],
  ["an answer without an id", line.replace(/"payload_id":"[^"]*"/, '"payload_id":null')],
  ["an answer without the server's key", line.replace(/"server":"5+"/, '"server":null')],
  ["an answer without the client's key", line.replace(/"client":"6+"/, '"client":null')],
  ["a time before 1970", line.replace("2026-11-27T08:00:01.250Z", "1969-12-31T23:59:59.000Z")],
  ["a block that is nested too deeply", line.replace('"block":null', `"block":${nested(1023)}`)],
  ["one that is nested much too deeply", line.replace('"block":null', `"block":${nested(200_000)}`)],
  ["a time of another form", line.replace("08:00:00.000Z", "09:00:00+01:00")],
  ["a day that there is not", line.replace("2026-11-27T08:00:00.000Z", "2026-02-30T08:00:00.000Z")],
  ["another tier", line.replace('"maximum"', '"highest"')],
  ["a report that is none", line.replace('"report":null', '"report":{"verified":"yes"}')],
  ["a list", "[]"],
  ["null", "null"],
  ["a great many brackets", "[".repeat(100_000)],
  ["a text that is too long", line.replace("https://api.nomyo.ai", `https://${"a".repeat(5000)}`)],
])("%s is refused", (_what, text) => {
  expect(text).not.toBe(line);
  expect(() => read(text)).toThrow(ReceiptFormatError);
});

test("each member is needed", () => {
  const members = Object.keys(JSON.parse(line) as object);
  expect(members).toHaveLength(16);
  for (const name of members) {
    const { [name]: _left, ...rest } = JSON.parse(line) as Record<string, unknown>;
    expect(() => read(JSON.stringify(rest))).toThrow(ReceiptFormatError);
  }
});

test("a line has a bound, for the writer as for the reader", () => {
  const block = "x".repeat(MAX_LINE_BYTES);
  const receipt = madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block } });
  expect(() => lineOf(receipt)).toThrow(ReceiptFormatError);
  expect(() => read(JSON.stringify(receipt))).toThrow(/more than 1048576 bytes/);
});

test("docs/receipts.md has a row for every member", () => {
  const page = readFileSync(join(__dirname, "../../../docs/receipts.md"), "utf8");
  const rows = [...page.matchAll(/^\| `([a-z_.0-9]+)` +\|/gm)].map(([, name]) => name!);
  const names = (value: object, prefix = ""): string[] =>
    Object.entries(value).flatMap(([name, inside]: [string, unknown]) =>
      typeof inside === "object" && inside !== null && !["response"].includes(name)
        ? names(inside, `${prefix}${name}.`)
        : [`${prefix}${name}`],
    );
  // `response` has what `request` has.
  expect(rows.sort()).toEqual(names(JSON.parse(line) as object).sort());
});
