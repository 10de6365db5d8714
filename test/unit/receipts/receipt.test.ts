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
