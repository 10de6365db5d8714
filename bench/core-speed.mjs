// The C++ core alone, without Node: native/bench, when it has been built
// (cmake -S . -B build/core -DNOMYO_BUILD_ADDON=OFF -DNOMYO_BUILD_BENCH=ON && cmake --build build/core).
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The benchmark's binary, or undefined. */
export function coreBinary() {
  const file = fileURLToPath(new URL("../build/core/native/nomyo_core_bench", import.meta.url));
  return existsSync(file) ? file : undefined;
}

/** One result for each of its benchmarks. */
export async function coreSpeed({ name, kind }, _contenders, { rounds, turnMs }) {
  const { stdout } = await run(coreBinary(), [
    "--benchmark_format=json",
    `--benchmark_repetitions=${Math.min(rounds, 5)}`,
    "--benchmark_report_aggregates_only=true",
    `--benchmark_min_time=${turnMs / 1000}`,
  ]);
  const inMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3 };
  return JSON.parse(stdout)
    .benchmarks.filter(({ aggregate_name: aggregate }) => aggregate === "median")
    .map((one) => ({
      ...{ case: name, kind, label: one.run_name, contender: "core", unit: "ms" },
      median: one.real_time * inMs[one.time_unit],
      bytesPerSecond: one.bytes_per_second,
    }));
}
