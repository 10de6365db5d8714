/**
 * How long a TPM takes to answer one request: a fresh AIK, the quote, the PCRs; in milliseconds, for each algorithm of the AIK.
 *
 *   node bench/quote.mjs [TCTI]
 *
 * Without a TCTI string (device:/dev/tpmrm0) it starts a software TPM and stops it again.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../dist/bench/statistics.js";
import { native } from "../dist/native.js";
import { output } from "./processes.mjs";

async function startSoftwareTpm() {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-bench-"));
  const socket = join(folder, "sock");
  const channel = (path) => `type=unixio,path=${path}`;
  const state = ["--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"];
  const channels = ["--server", channel(socket), "--ctrl", channel(`${socket}.ctrl`)];
  const child = spawn("swtpm", ["socket", ...state, ...channels], { stdio: "ignore" });
  while (!existsSync(`${socket}.ctrl`)) await sleep(5);
  const stop = () => {
    child.kill();
    rmSync(folder, { recursive: true });
  };
  return { name: (await output("swtpm", ["--version"])).split(",", 1)[0], tcti: `swtpm:path=${socket}`, stop };
}

async function measure(tpm, aik, rounds) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await native.tpmQuote(tpm, new Uint8Array(16), { aik });
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b);
}

const given = process.argv[2];
const { name, tcti, stop } = given === undefined ? await startSoftwareTpm() : { name: given, tcti: given };
try {
  const tpm = await native.tpmOpen(tcti);
  const machine = `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores`;
  console.log(`${machine}, Node ${process.version}, ${native.getBuildInfo().opensslVersion}, ${name}`);
  console.log("one AIK and one quote over sha256:0,7,10, milliseconds\n\n| AIK | median | 95 % |\n| --- | --- | --- |");
  for (const aik of ["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"]) {
    await measure(tpm, aik, 3);
    const times = await measure(tpm, aik, 100);
    console.log(`| ${aik} | ${[0.5, 0.95].map((q) => quantile(times, q).toFixed(1)).join(" | ")} |`);
  }
  native.tpmClose(tpm);
} finally {
  stop?.();
}
