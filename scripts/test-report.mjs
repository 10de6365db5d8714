// test-report.mjs core|jest FILE OUT: prints one line per test file and every failure, and writes "passed failed
// skipped" to OUT. A report that is missing or cut short (the runner died) counts as one failure, never as none.
import { readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";

const [kind, file, out] = process.argv.slice(2);

function read() {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

const line = (ok, name, count, seconds) =>
  console.log(
    `${ok ? "ok  " : "FAIL"}  ${name.padEnd(58)} ${String(count).padStart(4)} tests ` +
      `${seconds.toFixed(1).padStart(6)} s`,
  );
const indent = (text, by) => text.replace(/^/gm, " ".repeat(by)).slice(0, 6000);

function core(report) {
  let skipped = 0;
  for (const suite of report.testsuites) {
    skipped += suite.testsuite.filter((t) => t.result === "SKIPPED").length;
    line(suite.failures === 0, `native/test: ${suite.name}`, suite.tests, Number.parseFloat(suite.time));
    for (const test of suite.testsuite.filter((t) => t.failures)) {
      console.log(indent(`${suite.name}.${test.name}\n${test.failures.map((f) => f.failure).join("\n")}`, 6));
    }
  }
  const failed = report.failures + (report.errors ?? 0);
  return [report.tests - failed - skipped, failed, skipped];
}

function jest(report) {
  const files = [...report.testResults].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const result of files) {
    const bad = result.assertionResults.filter((a) => a.status === "failed");
    line(
      result.status !== "failed",
      relative(process.cwd(), result.name),
      result.assertionResults.length,
      (result.endTime - result.startTime) / 1000,
    );
    if (result.status === "failed" && bad.length === 0) console.log(indent(result.message, 6));
    for (const test of bad) console.log(indent(`${test.fullName}\n${test.failureMessages.join("\n")}`, 6));
    for (const test of result.assertionResults.filter((a) => a.status === "pending")) {
      console.log(`      skipped: ${test.fullName}`);
    }
  }
  return [report.numPassedTests, report.numFailedTests + report.numRuntimeErrorTestSuites, report.numPendingTests];
}

const report = read();
if (report === undefined) console.log(`FAIL  ${kind}: the runner died before it could report`);
const counts = report === undefined ? [0, 1, 0] : kind === "core" ? core(report) : jest(report);
writeFileSync(out, `${counts.join(" ")}\n`);
