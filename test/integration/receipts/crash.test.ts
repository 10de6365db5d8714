/** A process that writes receipts is killed at any moment: what it has vouched for is there, and the chain goes on. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkPolicy, policyId } from "../../../lib/attestation/policy.js";
import { runCommand } from "../../support/command-line.js";
import { madeUpReceipt, receiptFolder, receiptNames, receiptsIn } from "../../support/receipts.js";
import { seededRandom } from "../../support/seeded-random.js";

const onUnix = process.platform === "win32" ? test.skip : test;

onUnix(
  "kill -9 costs at most what nobody was told of",
  async () => {
    expect(existsSync(join(__dirname, "../../../dist/receipts/receipt-writer.js"))).toBe(true);
    const random = seededRandom(16);
    const { base, folder } = receiptFolder();
    // Long enough that a file has room for a few, so that files are begun all the time.
    const blockBytes = 150_000;
    const receipt = JSON.stringify(
      madeUpReceipt({
        request: { bytes: 1, sha256: "1".repeat(64), plaintext_hmac: null },
        attestation: { mode: "off", policy: policyId(checkPolicy("off")), block: null, report: null },
      }),
    );
    let vouchedFor = 0;
    try {
      for (let round = 0; round < 6; round++) {
        const child = spawn(process.execPath, [join(__dirname, "writer.cjs"), folder, receipt, String(blockBytes)], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        const until = 1 + Math.floor(random() * 30);
        let told = "";
        child.stdout.on("data", (chunk: Buffer) => {
          told += chunk.toString();
          // Between two lines, in the middle of one, or of a new file: wherever it is by then.
          if (told.split("\n").length > until) child.kill("SIGKILL");
        });
        await once(child, "close");
        expect(child.signalCode).toBe("SIGKILL");
        const sequences = told
          .split("\n")
          .slice(0, -1)
          .filter((line) => line !== "torn")
          .map(Number);
        // It went on where its forerunner had ended: with what was vouched for, and at most the lines that were under
        // way.
        expect(sequences[0]).toBeGreaterThan(vouchedFor);
        expect(sequences[0]).toBeLessThanOrEqual(vouchedFor + 5);
        vouchedFor = Math.max(...sequences);
        const numbers = receiptsIn(folder).map(({ chain }) => chain!.sequence);
        expect(numbers.slice(0, vouchedFor)).toEqual(Array.from({ length: vouchedFor }, (_, at) => at + 1));
        const { code, stdout } = await runCommand(["receipt", "verify", folder]);
        expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("The receipts hold") });
      }
      expect(receiptNames(folder).length).toBeGreaterThan(1);
    } finally {
      rmSync(base, { recursive: true });
    }
  },
  120_000,
);
