/** Writing receipts: one writer, lines that are whole, a chain that goes on over files, ends and failures. */
import { appendFileSync, chmodSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { mkdirSync, statSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { checkPolicy } from "../../../lib/attestation/policy.js";
import { checkReceipts } from "../../../lib/receipts/receipt-options.js";
import { ReceiptWriter } from "../../../lib/receipts/receipt-writer.js";
import { lineHash, MAX_LINE_BYTES } from "../../../lib/receipts/receipt.js";
import type { Receipt } from "../../../lib/receipts/receipt.js";
import { madeUpReceipt, receiptFolder, receiptNames, receiptsIn } from "../../support/receipts.js";

const policy = checkPolicy("report");
const onUnix = process.platform === "win32" ? test.skip : test;
let base: string;
let folder: string;
let told: string[];
const writers: ReceiptWriter[] = [];
beforeEach(() => {
  ({ base, folder } = receiptFolder());
  told = [];
});
afterEach(async () => {
  for (const writer of writers.splice(0)) await writer.close();
  rmSync(base, { recursive: true });
});
function writer(maxFileBytes?: number): ReceiptWriter {
  const settings = checkReceipts({ folder, maxFileBytes }, "receipts");
  const made = new ReceiptWriter(settings, "required", { warn: (message) => void told.push(message) });
  writers.push(made);
  return made;
}
/** Of a good size, so that files get full. */
const large = (): Receipt =>
  madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block: "x".repeat(400_000) } });
const path = (at = -1): string => join(folder, receiptNames(folder).at(at)!);

/** What is in the folder is one chain from 1. */
function expectChain(count: number): void {
  const lines = receiptNames(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1),
  );
  const chains = lines.map((line) => (JSON.parse(line) as Receipt).chain);
  expect(chains).toEqual(
    lines.map((_, at) => ({ sequence: at + 1, previous: at === 0 ? "0".repeat(64) : lineHash(lines[at - 1]!) })),
  );
  expect(lines).toHaveLength(count);
}

test("the chain goes on across files, and across writers", async () => {
  for (let round = 0; round < 3; round++) {
    const one = writer(MAX_LINE_BYTES);
    for (let i = 0; i < 4; i++) await one.append(large(), policy);
    await one.close();
  }
  expectChain(12);
  expect(receiptNames(folder).length).toBeGreaterThan(4);
  for (const name of receiptNames(folder)) {
    expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(MAX_LINE_BYTES);
  }
});

test("those that come at once are written in their order", async () => {
  const one = writer();
  const written = await Promise.all(Array.from({ length: 700 }, () => one.append(madeUpReceipt(), policy)));
  expect(written.map(({ chain }) => chain!.sequence)).toEqual(written.map((_, at) => at + 1));
  expectChain(700);
});

test("a line that was cut off is taken away, and told of; the chain goes on before it", async () => {
  const one = writer();
  for (let i = 0; i < 3; i++) await one.append(madeUpReceipt(), policy);
  await one.close();
  const { size } = statSync(path());
  for (const cut of [1, 2, 100]) {
    const before = receiptsIn(folder).length;
    truncateSync(path(), size - cut);
    const next = writer();
    await next.append(madeUpReceipt(), policy);
    await next.close();
    expectChain(before);
    expect(told.splice(0)).toHaveLength(1);
    expect(statSync(path()).size).toBe(size);
  }
});

test("where all of the last file was cut off, the chain goes on from the one before", async () => {
  const one = writer(MAX_LINE_BYTES);
  for (let i = 0; i < 3; i++) await one.append(large(), policy);
  await one.close();
  expect(receiptNames(folder)).toHaveLength(2);
  for (const size of [10, 0]) {
    truncateSync(path(), size);
    const next = writer();
    await next.append(madeUpReceipt(), policy);
    await next.close();
    expectChain(3);
  }
  truncateSync(path(), 0);
  rmSync(path(0));
  await expect(writer().ready()).rejects.toMatchObject({
    code: "CONFIGURATION",
    message: expect.stringContaining("file before"),
  });
});

test.each([
  ["a last line that is none", () => appendFileSync(path(), "{}\n")],
  [
    "a last line that is changed",
    () => appendFileSync(path(), readFileSync(path(), "utf8").replace("answered", "Answered")),
  ],
  ["more than a line without an end", () => appendFileSync(path(), "x".repeat(3 * MAX_LINE_BYTES))],
])("%s: nothing is written behind it", async (_what, spoil) => {
  const one = writer();
  await one.append(madeUpReceipt(), policy);
  await one.close();
  spoil();
  const before = readFileSync(path());
  await expect(writer().ready()).rejects.toMatchObject({
    code: "CONFIGURATION",
    message: expect.stringContaining(path()),
  });
  expect(readFileSync(path()).equals(before)).toBe(true);
});

test("a folder has one writer, until it is closed", async () => {
  const [one, other] = [writer(), writer()];
  await one.ready();
  await expect(other.ready()).rejects.toMatchObject({ message: expect.stringContaining("one writer") });
  await one.close();
  await other.ready();
  await expect(one.ready()).rejects.toMatchObject({ option: "close" });
});

test("a receipt that can be no line is rejected by itself, and not those beside it", async () => {
  const one = writer();
  const block = "x".repeat(2 * MAX_LINE_BYTES);
  const huge = madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block } });
  const outcomes = await Promise.allSettled(
    [madeUpReceipt(), huge, madeUpReceipt()].map((receipt) => one.append(receipt, policy)),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ code: "RECEIPT_NOT_WRITTEN" });
  await one.append(madeUpReceipt(), policy);
  expectChain(3);
});

test("a chain that this process has written is not begun anew, nor shortened", async () => {
  const one = writer();
  for (let i = 0; i < 3; i++) await one.append(madeUpReceipt(), policy);
  const whole = readFileSync(path());
  const [first] = whole.toString().split(/(?<=\n)/);
  for (const spoil of [() => rmSync(path()), () => writeFileSync(path(), first!, { mode: 0o600 })]) {
    spoil();
    for (let again = 0; again < 3; again++) {
      await expect(one.append(madeUpReceipt(), policy)).rejects.toMatchObject({ code: "RECEIPT_NOT_WRITTEN" });
    }
    await expect(one.ready()).rejects.toMatchObject({ message: expect.stringContaining("number 3") });
  }
  writeFileSync(path(), whole);
  await one.append(madeUpReceipt(), policy);
  expectChain(4);
});

test.each([false, true])("a line of somebody else's is not cut off (before a new file: %s)", async (full) => {
  const one = writer(MAX_LINE_BYTES);
  for (let i = 0; i < 2; i++) await one.append(large(), policy);
  const foreign = readFileSync(path()).subarray(0, full ? 400_000 : 10);
  appendFileSync(path(), foreign);
  const before = readFileSync(path());
  await expect(one.append(full ? large() : madeUpReceipt(), policy)).rejects.toMatchObject({
    code: "RECEIPT_NOT_WRITTEN",
    message: expect.stringContaining("somebody else"),
  });
  expect(receiptNames(folder)).toHaveLength(1);
  expect(readFileSync(path()).equals(before)).toBe(true);
});

test("what somebody else wrote into the file is seen before the next line, which is not written", async () => {
  const one = writer();
  await one.append(madeUpReceipt(), policy);
  appendFileSync(path(), "{}\n");
  const failures = await Promise.allSettled([one.append(madeUpReceipt(), policy), one.append(madeUpReceipt(), policy)]);
  const reasons = failures.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as Error) : undefined));
  expect(reasons[0]).toMatchObject({ code: "RECEIPT_NOT_WRITTEN", message: expect.stringContaining("somebody else") });
  // Each has one of his own.
  expect(reasons[1]).not.toBe(reasons[0]);
});

/** Has the next writing, or flushing, of any open file fail as a full disk makes it fail, half way. */
async function failNext(call: "write" | "datasync", code: string): Promise<jest.SpyInstance> {
  const some = await open(__filename);
  const handles = Object.getPrototypeOf(some) as Pick<FileHandle, "write" | "datasync">;
  await some.close();
  return jest.spyOn(handles, call).mockImplementationOnce(async function (this: FileHandle, bytes?: unknown) {
    if (call === "write") writeSync(this.fd, bytes as Buffer, 0, 40);
    throw Object.assign(new Error(code), { code, syscall: call });
  } as never);
}

test.each([
  ["write", "ENOSPC"],
  ["datasync", "EIO"],
] as const)("when %s fails nothing of the line stays, and the chain goes on later", async (call, code) => {
  const one = writer();
  await one.append(madeUpReceipt(), policy);
  const before = readFileSync(path());
  const spy = await failNext(call, code);
  await expect(one.append(madeUpReceipt(), policy)).rejects.toMatchObject({
    code: "RECEIPT_NOT_WRITTEN",
    message: expect.stringContaining(code),
  });
  spy.mockRestore();
  expect(readFileSync(path()).equals(before)).toBe(true);
  // As long as the folder takes nothing, nobody may send.
  mkdirSync(join(folder, ".probe"));
  for (let again = 0; again < 2; again++) {
    await expect(one.ready()).rejects.toMatchObject({
      code: "RECEIPT_NOT_WRITTEN",
      message: expect.stringContaining("Nothing was sent"),
    });
  }
  rmSync(join(folder, ".probe"), { recursive: true });
  await one.ready();
  await one.append(madeUpReceipt(), policy);
  expectChain(2);
});

onUnix("files and folders that others can change are refused, and links", async () => {
  mkdirSync(folder, { mode: 0o700 });
  chmodSync(folder, 0o770);
  await expect(writer().ready()).rejects.toMatchObject({ message: expect.stringContaining("chmod go-w") });
  chmodSync(folder, 0o700);
  const first = join(folder, "receipts-00000001.jsonl");
  writeFileSync(first, "");
  chmodSync(first, 0o644);
  await expect(writer().ready()).rejects.toMatchObject({ message: expect.stringContaining("chmod 600") });
  rmSync(first);
  symlinkSync(join(base, "elsewhere"), first);
  await expect(writer().ready()).rejects.toMatchObject({ message: expect.stringContaining("ELOOP") });
});

test("a folder that cannot be made says why", async () => {
  writeFileSync(folder, "");
  await expect(writer().ready()).rejects.toMatchObject({
    code: "CONFIGURATION",
    message: expect.stringMatching(/EEXIST|ENOTDIR/),
  });
});

test("a receipt that is too long fails, and those after it do not", async () => {
  const one = writer();
  const block = "x".repeat(MAX_LINE_BYTES);
  const long = madeUpReceipt({ attestation: { ...madeUpReceipt().attestation, block } });
  await expect(one.append(long, policy)).rejects.toMatchObject({ code: "RECEIPT_NOT_WRITTEN" });
  await one.append(madeUpReceipt(), policy);
  expectChain(1);
});

test.each<[string, unknown]>([
  ["a number", 5],
  ["no folder", {}],
  ["an empty folder", ""],
  ["a file that is too small for a line", { folder: "x", maxFileBytes: 1000 }],
  ["an unknown member", { folder: "x", rotate: true }],
])("the option refuses %s", (_what, given) => {
  expect(() => checkReceipts(given as string, "receipts")).toThrow(expect.objectContaining({ code: "CONFIGURATION" }));
});
