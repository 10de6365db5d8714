// A process that writes receipts as fast as it can, and says so on stdout after each: killed by crash.test.ts.
const { writeSync } = require("node:fs");
const { join } = require("node:path");
const dist = join(__dirname, "../../../dist");
const { checkPolicy } = require(join(dist, "attestation/policy.js"));
const { checkReceipts } = require(join(dist, "receipts/receipt-options.js"));
const { ReceiptWriter } = require(join(dist, "receipts/receipt-writer.js"));

const [folder, given, blockBytes] = process.argv.slice(2);
const receipt = JSON.parse(given);
// Too long for a command line.
receipt.attestation.block = "x".repeat(Number(blockBytes));
const settings = checkReceipts({ folder, maxFileBytes: 1024 * 1024 }, "receipts");
const writer = new ReceiptWriter(settings, "required", { warn: () => writeSync(1, "torn\n") });
const policy = checkPolicy("report");

async function writeForEver() {
  for (;;) {
    const { chain } = await writer.append(receipt, policy);
    writeSync(1, `${chain.sequence}\n`);
  }
}
void Promise.all(Array.from({ length: 4 }, writeForEver));
