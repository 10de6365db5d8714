// The C++ core alone, without Node: the google-benchmark programs of native/bench, where they have been built (scripts/setup bench installs
// what they need):
//   cmake -S . -B build/bench -G Ninja -DNOMYO_BUILD_ADDON=OFF -DNOMYO_BUILD_BENCHMARKS=ON && cmake --build build/bench
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The programs' files. */
export function corePrograms() {
  const folder = fileURLToPath(new URL("../build/bench/native/", import.meta.url));
  if (!existsSync(folder)) return [];
  // pool_bench compares two allocators and prints a table of its own.
  const names = readdirSync(folder).filter((name) => /_bench(\.exe)?$/.test(name) && !name.startsWith("pool_bench"));
  return names.map((name) => folder + name);
}

const inMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3 };

/** One result for each of their benchmarks: the median of its repetitions, of which google-benchmark wants more than one. */
export async function coreSpeed({ name, kind }, _contenders, { rounds, turnMs }) {
  const results = [];
  for (const program of corePrograms()) {
    const { stdout } = await run(program, [
      "--benchmark_format=json",
      `--benchmark_repetitions=${Math.max(3, Math.min(rounds, 5))}`,
      "--benchmark_report_aggregates_only=true",
      `--benchmark_min_time=${turnMs / 1000}`,
    ]);
    for (const one of JSON.parse(stdout).benchmarks) {
      if (one.aggregate_name !== "median") continue;
      const median = one.real_time * inMs[one.time_unit];
      const bytesPerSecond = one.bytes_per_second;
      results.push({ case: name, kind, label: one.run_name, contender: "core", unit: "ms", median, bytesPerSecond });
    }
  }
  return results;
}
