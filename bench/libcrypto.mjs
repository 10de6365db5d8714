/**
 * One addon beside another, in one run: what a newer libcrypto brings on this processor.
 *
 *   node bench/libcrypto.mjs OLD.node NEW.node [SECONDS]
 *
 * Each is put under this build's dist in a folder of its own; `nomyo-native bench` runs in them by turns, three times each, so that what
 * disturbs the machine disturbs both. Shown is the median of the three medians, in milliseconds.
 */
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { quantile } from "../dist/bench/statistics.js";
import { output } from "./processes.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [oldAddon, newAddon, seconds = "2"] = process.argv.slice(2);
if (newAddon === undefined) throw new Error("usage: node bench/libcrypto.mjs OLD.node NEW.node [SECONDS]");

const ROUNDS = 3;
const work = mkdtempSync(join(tmpdir(), "nomyo-libcrypto-"));
try {
  const folders = [oldAddon, newAddon].map((addon, i) => {
    const folder = join(work, String(i));
    mkdirSync(join(folder, "build/Release"), { recursive: true });
    copyFileSync(addon, join(folder, "build/Release/nomyo_native.node"));
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    copyFileSync(join(root, "package.json"), join(folder, "package.json"));
    return folder;
  });
  const reports = folders.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, folder] of folders.entries()) {
      const args = ["bench", "--json", "--seconds", seconds, "--job", "seal", "--job", "open", "--job", "rsa"];
      reports[i].push(JSON.parse(await output(process.execPath, [join(folder, "dist/cli/main.js"), ...args])));
    }
  }
  const middle = (i, line) =>
    quantile(
      reports[i].map(({ lines }) => lines[line].native.median).sort((a, b) => a - b),
      0.5,
    );
  const flags = (await output("lscpu", [])).match(/\b(avx2|avx512f|vaes|vpclmulqdq|sha_ni|sve|aes|pmull)\b/g) ?? [];
  console.log(`${cpus()[0]?.model ?? "?"} (${[...new Set(flags)].join(", ")}), Node ${process.version}; milliseconds`);
  const [before, after] = reports.map(([first]) => first.versions.openssl);
  console.log(`\n| job | bytes | ${before} | ${after} | ratio |\n| --- | --- | --- | --- | --- |`);
  for (const [line, { job, bytes }] of reports[0][0].lines.entries()) {
    const [slow, fast] = [middle(0, line), middle(1, line)];
    const ratio = (slow / fast).toFixed(2);
    console.log(`| ${job} | ${bytes ?? ""} | ${slow.toFixed(3)} | ${fast.toFixed(3)} | ${ratio} |`);
  }
} finally {
  rmSync(work, { recursive: true });
}
