// `npm run bench`: measures, reports, checks the promised bounds.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const help = `Usage: npm run bench -- [options]

Measures sealing, opening, keys, attestation and whole requests on this machine, beside Node's own crypto, Web Crypto,
Python's \`cryptography\` and \`openssl speed\`, and checks the bounds that this package promises. Needs a build
(scripts/build).

  --quick          a first picture in about a minute; the figures are rougher
  --bounds         only what the bounds and the document need: about ten minutes
  --only PATTERN   only the cases whose name holds PATTERN, e.g. seal, "open ascii", rsa, keygen, variant, router,
                   proxy, start; may be repeated
  --rounds N       rounds for each case (9, bounds: 4, quick: 2); contenders take turns in each
  --soak N         requests of the memory test through the local router (10 000, bounds: 5000; quick: none); 100 000
                   show that it is flat
  --node LINE      measure under this line of Node, which scripts/setup has installed; may be repeated
  --against WHAT   compare with another build: a folder of this repository, at any commit, in which scripts/build was
                   run, or an addon (a file *.node) in the place of this build's, e.g. with another OpenSSL. This build,
                   this build again and that one take turns; a difference within what this build differs by from itself
                   is noise
  --tcti STRING    the TPM that is asked for quotes (a software TPM)
  --json FILE      write everything that was measured
  --from FILE      measure nothing: report what earlier --json FILEs hold; may be repeated, and of one case the last
                   counts
  --svg FILE       draw it
  --docs           write docs/benchmarks.md, .svg and .json
  --strict         exit with 3 or 4 (otherwise it is only reported)
  --list           name the cases and stop
  --help

Exit codes: 0 measured, 1 a contender gave a wrong result or the measurement failed, 2 wrong arguments; with --strict 3
when a bound is not met or this build is slower than the other, 4 when none is, but the machine is too noisy to tell of
some.
`;

class UsageError extends Error {}

const root = new URL("..", import.meta.url);
const flag = { type: "boolean", default: false };
const text = { type: "string" };
const list = { ...text, multiple: true, default: [] };
const known = {
  ...{ quick: flag, bounds: flag, docs: flag, strict: flag, list: flag, help: { ...flag, short: "h" } },
  ...{ only: list, node: list, from: list },
  ...{ rounds: text, soak: text, against: text, tcti: text, json: text, svg: text },
};

function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({ args, options: known }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const count = (name, otherwise) => {
    if (values[name] === undefined) return otherwise;
    if (!/^\d{1,9}$/.test(values[name])) throw new UsageError(`--${name} takes a whole number.`);
    return Number(values[name]);
  };
  const { quick, bounds } = values;
  const against = values.against && resolve(values.against);
  const isThere = against?.endsWith(".node") ? existsSync(against) : existsSync(`${against}/dist/envelope/seal.js`);
  if (against !== undefined && !isThere) {
    throw new UsageError("--against takes a folder of this repository in which scripts/build was run, or an addon.");
  }
  const rounds = count("rounds", quick ? 2 : bounds ? 4 : 9);
  if (rounds < 1) throw new UsageError("--rounds takes 1 or more.");
  // Milliseconds of one contender's turn, and of its warm-up.
  const times = quick ? { turnMs: 50, warmUpMs: 60 } : { turnMs: 200, warmUpMs: 300 };
  return { ...values, ...times, against, rounds, soak: count("soak", quick ? 0 : bounds ? 5000 : 10_000) };
}

/** A report as `--json` wrote it. */
function readReport(file) {
  try {
    const report = JSON.parse(readFileSync(file, "utf8"));
    if (report?.schema !== 2 || !Array.isArray(report.results)) throw new Error(`${file} is none`);
    return report;
  } catch (error) {
    throw new UsageError(`--from takes a file that --json has written: ${error.message}.`);
  }
}

/** Several as one: what the later ones measured again replaces what was there. */
function joined(reports) {
  const all = reports.flatMap(({ results }) => results.map((one) => [`${one.case}\n${one.contender}`, one]));
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  return { ...reports[0], seconds, results: [...new Map(all).values()] };
}

/** The same under other lines of Node; gives the highest exit code. */
function underLines(lines, args) {
  const others = args.filter((one, at) => !/^--node(=|$)/.test(one) && args[at - 1] !== "--node");
  const codes = lines.map((line) => {
    const node = new URL(`.cache/node-${line}/node_modules/node-linux-${process.arch}/bin/node`, root).pathname;
    if (!existsSync(node)) throw new UsageError(`There is no Node ${line} here: scripts/setup installs the lines.`);
    process.stdout.write(`Node ${line}\n\n`);
    return spawnSync(node, [process.argv[1], ...others], { stdio: "inherit" }).status ?? 1;
  });
  return Math.max(...codes);
}

/** This build with another addon, in a folder of its own. */
function withAddon(addon) {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-bench-"));
  mkdirSync(join(folder, "build/Release"), { recursive: true });
  copyFileSync(addon, join(folder, "build/Release/nomyo_native.node"));
  cpSync(new URL("dist", root), join(folder, "dist"), { recursive: true });
  copyFileSync(new URL("package.json", root), join(folder, "package.json"));
  return folder;
}

async function measured(options) {
  const { chosen } = await import("./cases.mjs");
  const { measure } = await import("./measure.mjs");
  const progress = (line) => process.stderr.write(`${line}\n`);
  const made = options.against?.endsWith(".node") ? withAddon(options.against) : undefined;
  try {
    return await measure(chosen({ ...options, against: made ?? options.against }), options, progress);
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true });
  }
}

/** As a file has it, five digits: judged is what can be read again. */
const asWritten = (report) =>
  JSON.parse(
    JSON.stringify(report, (_key, value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value)),
  );

async function write(report, { json, svg, docs }) {
  const text = `${JSON.stringify(report, undefined, 1)}\n`;
  const page = (name) => new URL(`docs/benchmarks.${name}`, root);
  if (json !== undefined) writeFileSync(json, text);
  if (svg === undefined && !docs) return;
  const drawn = (await import("./report/picture.mjs")).picture(report);
  if (svg !== undefined) writeFileSync(svg, drawn);
  if (!docs) return;
  writeFileSync(page("svg"), drawn);
  writeFileSync(page("json"), text);
  writeFileSync(page("md"), await (await import("./report/pages.mjs")).document(report));
}

async function main(args) {
  const options = readOptions(args);
  if (options.help) return process.stdout.write(help) && 0;
  if (!existsSync(new URL("dist/native.js", root))) {
    throw new UsageError("There is no build to measure: run scripts/build first.");
  }
  if (options.node.length > 0) return underLines(options.node, args);
  const cases = (await import("./cases.mjs")).chosen(options);
  if (options.list) {
    process.stdout.write(cases.map(({ name, contenders }) => `${name}: ${contenders.join(", ")}\n`).join(""));
    return 0;
  }
  if (cases.length === 0) throw new UsageError("No case matches --only; --list names them.");
  const found = options.from.length > 0 ? joined(options.from.map(readReport)) : asWritten(await measured(options));
  // Of an old report too: its verdicts are not believed.
  const { compared, judged } = await import("./bounds.mjs");
  const builds = compared(found.results);
  // Bounds are promised of this build alone.
  const report = { ...found, builds, bounds: builds.length > 0 ? [] : judged(found.results) };
  process.stdout.write((await import("./report/pages.mjs")).tables(report));
  await write(report, options);
  if (!options.strict) return 0;
  const said = [...report.bounds, ...builds].map(({ verdict }) => verdict);
  return said.includes("NOT MET") || builds.some(({ met }) => !met) ? 3 : said.includes("noisy") ? 4 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${usage ? `${error.message} --help tells the options.` : (error.stack ?? error)}\n`);
  process.exitCode = usage ? 2 : 1;
}
