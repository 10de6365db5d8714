// `npm run bench`: measures, reports, checks the promised bounds. `--help` tells the options.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { help, readOptions, UsageError } from "./options.mjs";

async function main(args) {
  const options = readOptions(args);
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  if (!existsSync(new URL("../dist/native.js", import.meta.url))) {
    throw new UsageError("There is no build to measure: run scripts/build first.");
  }
  const { chosen } = await import("./plan.mjs");
  const cases = chosen(options);
  if (options.list) {
    process.stdout.write(cases.map(({ name, contenders }) => `${name}: ${contenders.join(", ")}\n`).join(""));
    return 0;
  }
  if (cases.length === 0) throw new UsageError("No case matches --only; --list names them.");
  const { tables } = await import("./report/tables.mjs");
  const report = options.from === undefined ? await measured(cases, options) : await reread(options.from);
  process.stdout.write(tables(report));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
  if (options.svg !== undefined || options.docs) {
    const { picture } = await import("./report/picture.mjs");
    const svg = picture(report);
    if (options.svg !== undefined) writeFileSync(options.svg, svg);
    if (options.docs) {
      const { document } = await import("./report/document.mjs");
      writeFileSync(new URL("../docs/benchmarks.svg", import.meta.url), svg);
      writeFileSync(new URL("../docs/benchmarks.md", import.meta.url), await document(report));
    }
  }
  return options.strict && report.bounds.some(({ met }) => met === false) ? 3 : 0;
}

async function measured(cases, options) {
  const { measure } = await import("./measure.mjs");
  return measure(cases, options, (line) => process.stderr.write(`${line}\n`));
}

/** A report as `--json` wrote it, judged anew. */
async function reread(file) {
  const { bounds } = await import("./bounds.mjs");
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--from takes a file that --json has written: ${error.message}.`);
  }
  if (report?.schema !== 1 || !Array.isArray(report.results)) {
    throw new UsageError(`--from takes a file that --json has written; ${file} is none.`);
  }
  return { ...report, bounds: bounds(report) };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${usage ? `${error.message} --help tells the options.` : (error.stack ?? error)}\n`);
  process.exitCode = usage ? 2 : 1;
}
