/**
 * How long a TPM takes to answer one request: a fresh AIK, the quote, the PCRs; in milliseconds, for each algorithm of the AIK.
 *
 *   node bench/quote.mjs [TCTI]
 *
 * Without a TCTI string (device:/dev/tpmrm0) it starts a software TPM and stops it again.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const native = createRequire(import.meta.url)("../build/Release/nomyo_native.node");

async function startSoftwareTpm() {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-bench-"));
  const socket = join(folder, "sock");
  const channel = (path) => `type=unixio,path=${path}`;
  const child = spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", channel(socket), "--ctrl", channel(`${socket}.ctrl`), "--log", `file=${join(folder, "log")}`],
    ],
    { stdio: "ignore" },
  );
  while (!existsSync(`${socket}.ctrl`)) await sleep(5);
  const version = execFileSync("swtpm", ["--version"], { encoding: "utf8" }).split(",", 1)[0];
  return {
    name: version.trim(),
    tcti: `swtpm:path=${socket}`,
    stop() {
      child.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function measure(tpm, aik, rounds) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await native.tpmQuote(tpm, new Uint8Array(16), { aik });
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { median: times[Math.floor(rounds / 2)], p95: times[Math.floor(rounds * 0.95)] };
}

const given = process.argv[2];
const place = given === undefined ? await startSoftwareTpm() : { name: given, tcti: given, stop() {} };
try {
  const tpm = await native.tpmOpen(place.tcti);
  const info = native.getBuildInfo();
  console.log(
    `${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, Node ${process.version}, ${info.opensslVersion}, ${place.name}`,
  );
  console.log("one AIK and one quote over sha256:0,7,10, milliseconds\n");
  console.log("| AIK | median | 95 % |\n| --- | --- | --- |");
  for (const aik of ["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"]) {
    await measure(tpm, aik, 3);
    const { median, p95 } = await measure(tpm, aik, 100);
    console.log(`| ${aik} | ${median.toFixed(1)} | ${p95.toFixed(1)} |`);
  }
  native.tpmClose(tpm);
} finally {
  place.stop();
}
