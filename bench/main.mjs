// `npm run bench`: measures, reports, checks the promised bounds.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const help = `Usage: npm run bench -- [options]

Measures sealing, opening, keys, attestation and whole requests on this machine, beside Node's own crypto, Web Crypto, Python's
\`cryptography\` and \`openssl speed\`, and checks the bounds that this package promises. Needs a build (scripts/build).

  --quick          a first picture in under a minute; the figures are rougher
  --only PATTERN   only the cases whose name holds PATTERN, e.g. seal, "open ascii", rsa, keygen, variant, router, proxy, start;
                   may be repeated
  --rounds N       rounds for each case (9, quick: 2); contenders take turns in each
  --soak N         requests of the memory test through the local router (10 000; quick: none; with --docs 100 000)
  --against FOLDER compare with another build: a folder of this repository, at any commit, in which scripts/build was run. This build, this
                   build again and that one take turns; a difference within what this build differs by from itself is noise
  --json FILE      write everything that was measured
  --from FILE      measure nothing: report what an earlier --json FILE holds
  --svg FILE       draw it
  --docs           write docs/benchmarks.md and docs/benchmarks.svg
  --strict         exit with 3 when a bound is not met, or this build is slower than the other (otherwise it is only reported)
  --list           name the cases and stop
  --help

Exit codes: 0 measured, 1 a contender gave a wrong result or the measurement failed, 2 wrong arguments, 3 see --strict.
`;

class UsageError extends Error {}

function readOptions(args) {
  const flag = { type: "boolean", default: false };
  const text = { type: "string" };
  const options = {
    ...{ quick: flag, docs: flag, strict: flag, list: flag, help: { ...flag, short: "h" } },
    ...{
      only: { ...text, multiple: true, default: [] },
      rounds: text,
      soak: text,
      against: text,
      json: text,
      from: text,
      svg: text,
    },
  };
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const count = (name, otherwise) => {
    if (values[name] === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(values[name])) throw new UsageError(`--${name} takes a whole number.`);
    return Number(values[name]);
  };
  const { quick, docs } = values;
  const against = values.against && resolve(values.against);
  const needed = ["bench/contender.mjs", "dist/index.js"].map((file) => `${against}/${file}`);
  if (against !== undefined && !needed.every((file) => existsSync(file))) {
    throw new UsageError("--against takes a folder of this repository in which scripts/build was run.");
  }
  const rounds = count("rounds", quick ? 2 : 9);
  if (rounds < 1) throw new UsageError("--rounds takes 1 or more.");
  // Milliseconds of one contender's turn, and of its warm-up.
  const times = quick ? { turnMs: 50, warmUpMs: 60 } : { turnMs: 200, warmUpMs: 300 };
  return { ...values, ...times, against, rounds, soak: count("soak", docs ? 100_000 : quick ? 0 : 10_000) };
}

/** A report as `--json` wrote it. */
function readReport(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--from takes a file that --json has written: ${error.message}.`);
  }
  if (report?.schema === 1 && Array.isArray(report.results)) return report;
  throw new UsageError(`--from takes a file that --json has written; ${file} is none.`);
}

async function main(args) {
  const options = readOptions(args);
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  if (!existsSync(new URL("../dist/native.js", import.meta.url))) {
    throw new UsageError("There is no build to measure: run scripts/build first.");
  }
  const { chosen } = await import("./cases.mjs");
  const cases = chosen(options);
  if (options.list) {
    process.stdout.write(cases.map(({ name, contenders }) => `${name}: ${contenders.join(", ")}\n`).join(""));
    return 0;
  }
  if (cases.length === 0) throw new UsageError("No case matches --only; --list names them.");
  const progress = (line) => process.stderr.write(`${line}\n`);
  const measured =
    options.from === undefined
      ? await (await import("./measure.mjs")).measure(cases, options, progress)
      : readReport(options.from);
  // Of an old report too: its verdicts are not believed.
  const { judged } = await import("./bounds.mjs");
  const { compared } = await import("./builds.mjs");
  const builds = compared(measured.results);
  // Bounds are promised of this build alone.
  const report = { ...measured, builds, bounds: builds.length > 0 ? [] : judged(measured) };
  const { document, tables } = await import("./report/pages.mjs");
  process.stdout.write(tables(report));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
  if (options.svg !== undefined || options.docs) {
    const { picture } = await import("./report/picture.mjs");
    const svg = picture(report);
    const docs = (name) => new URL(`../docs/${name}`, import.meta.url);
    if (options.svg !== undefined) writeFileSync(options.svg, svg);
    if (options.docs) writeFileSync(docs("benchmarks.svg"), svg);
    if (options.docs) writeFileSync(docs("benchmarks.md"), await document(report));
  }
  return options.strict && [...report.bounds, ...builds].some(({ met }) => met === false) ? 3 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${usage ? `${error.message} --help tells the options.` : (error.stack ?? error)}\n`);
  process.exitCode = usage ? 2 : 1;
}
