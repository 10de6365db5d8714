// The report as text for a terminal, the verdicts first, and as docs/benchmarks.md, which is written here and never by
// hand.
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { timeText } from "../../dist/bench/statistics.js";
import { notMeasured, ratio } from "../bounds.mjs";
import { contenderNames } from "../cases.mjs";

const nameOf = (contender) => contenderNames[contender] ?? contender.replace("native@", "nomyo-native in ");
const spread = ({ p10, p90 }) => (p10 === undefined ? "" : `${timeText(p10)} – ${timeText(p90)}`);

/** Figures beside the time, as the results have them: as times, unless it is said how they are written. */
const more = [
  ["fixed", "of 2 bytes"],
  ["loop99", "event loop 99 %"],
  ["loopMax", "longest"],
  ["requestsPerSecond", "a second", (value) => value.toFixed(0)],
  ["cpuMs", "CPU each"],
  ["serversCpuMs", "servers' CPU each"],
  ["serverLoop99", "server's event loop 99 %"],
  ["construct", "first client"],
  ["ready", "key there"],
  ["version", "--version"],
  ["bytes", "memory", (value) => `${(value / 2 ** 20).toFixed(1)} MiB`],
];
const figures = (result) =>
  more
    .filter(([name]) => result[name] !== undefined)
    .map(([name, said, text = timeText]) => `${said} ${text(result[name])}`)
    .join(", ");

const ofBounds = (bounds) => [
  ["job", "bound", "measured", "noise", "verdict"],
  ...bounds.map(({ job, bound, measured, noise = "", verdict }) => [job, bound, measured, noise, verdict]),
];
const ofBuilds = (builds) => [
  ["case", "this build", "the other", "other / this", "noise", "verdict"],
  ...builds.map((one) => [one.case, one.own, one.other, one.difference, one.noise, one.verdict]),
];

/** One row for each case: this package, where it takes part, and everybody else beside it. */
const byCase = (results) => [
  ["case", "who", "median", "10 % – 90 %", "and", "others, and how many times as long"],
  ...[...new Set(results.map((one) => one.case))].flatMap((name) => {
    const [first, ...others] = results.filter((one) => one.case === name && one.contender !== "native:again");
    if (!(first.median > 0)) return [];
    const beside = ({ contender, median }) =>
      `${nameOf(contender)} ${timeText(median)} (${ratio(median / first.median)})`;
    const told = [nameOf(first.contender), timeText(first.median), spread(first), figures(first)];
    return [[name, ...told, others.map(beside).join(", ")]];
  }),
];

/** For a terminal. */
export function tables(report) {
  const shown = report.bounds.filter(({ measured }) => measured !== notMeasured);
  const verdicts =
    report.builds.length > 0
      ? [
          "This build beside another (differences within what it differs by from itself are noise)",
          ofBuilds(report.builds),
        ]
      : [`Promised bounds: ${summary(report)}`, ofBounds(shown)];
  const machine = surroundings(report).map(([name, value]) => `${name.padEnd(14)}${value}`);
  return `${[verdicts[0], grid(verdicts[1]), machine.join("\n"), grid(byCase(report.results))].join("\n\n")}\n`;
}

/** How many of each verdict. */
const summary = ({ bounds }) =>
  ["met", "NOT MET", "noisy", "not shown"]
    .map((said) => [bounds.filter(({ verdict }) => verdict === said).length, said])
    .filter(([count]) => count > 0)
    .map(([count, said]) => `${count} ${said}`)
    .join(", ");

function grid([head, ...rows]) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const isNumeric = head.map((_, column) => rows.every((row) => /^(|[−+]?[\d.,].*)$/.test(row[column])));
  const pad = (cell, column) => (isNumeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]));
  const lines = [head, widths.map((width) => "─".repeat(width)), ...rows];
  return lines.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n");
}

export async function document(report) {
  const parts = [
    "# Benchmarks",
    "Written by `npm run bench -- --bounds --docs`. Run it on your machine: figures from another one say little. " +
      "`--quick` takes about a minute; `--help` tells the rest. All figures are in [benchmarks.json](benchmarks.json).",
    table([["measured", "on and with"], ...surroundings(report)]),
    "![Time by size, and rates at 9 MB, beside Node's crypto, Web Crypto and Python](benchmarks.svg)",
    "## Promised bounds",
    `${summary(report)}. Ratios are medians of the rounds of this one run. Noise is what a contender differs by from ` +
      "itself, with three standard errors: a figure that is nearer to its bound than that is _noisy_, neither met " +
      "nor not. What is _not shown_ was not measured, or for too short.",
    table(ofBounds(report.bounds)),
    "## Times",
    "Medians of single calls, or of requests; what this package did first, where it takes part.",
    table(byCase(report.results)),
    "## Method",
    method,
  ];
  const style = await resolveConfig(fileURLToPath(import.meta.url));
  return format(parts.join("\n\n"), { ...style, parser: "markdown" });
}

function table([columns, ...rows]) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Machine and versions, as lines of a name and a value. */
function surroundings({ machine, versions, startedAt, seconds, quick, rounds }) {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const features = machine.features.join(", ") || "features unknown";
  const load = `load at the start ${machine.loadAtStart.toFixed(2)}`;
  const own = `${versions.nomyoNative} (${versions.buildType}, ${versions.compiler}), ${versions.opensslNative}`;
  const { python, cryptography } = versions;
  const ofPython = `${python}, cryptography ${cryptography}, ${versions.opensslCryptography}`;
  return [
    ["machine", `${machine.cpu}, ${machine.cores} cores (${features}), ${memory}; ${load}`],
    ["system", `${machine.system}; memory locked by ${machine.memoryLocking}`],
    ["nomyo-native", own],
    ["Node", `${versions.node}, V8 ${versions.v8}, OpenSSL ${versions.opensslNode}`],
    ["openssl", versions.opensslCommand ?? "not installed"],
    ["Python", cryptography === undefined ? "cryptography is not installed" : ofPython],
    ["run", `${startedAt}, ${seconds.toFixed(0)} s, ${rounds} rounds${quick ? ", --quick: rough figures" : ""}`],
  ];
}

const method = `
- Each contender of a case runs in a process of its own. Before it is timed, what it makes is opened by another one,
  or compared with what it must give; a wrong result ends the run. All are warmed up, then take turns (A B C, B C A,
  …). Calls shorter than 50 µs are timed in batches.
- Sizes are those of the serialised request. \`ascii\` is a clinical letter with quotes and line ends to escape,
  \`latin1\` German with umlauts, \`cjk\` Japanese, Chinese and emoji, \`tools\` a conversation with tool calls whose
  results are JSON in JSON (200 messages; 40 at 8 KB, 4 at 1 KB).
- _Paced_ is a millisecond after the call before: the next AES key has been wrapped meanwhile, on another core.
- _Without RSA_ is the whole less the opening of a 2-byte package, in the same process. nomyo-native's private
  operation (\`rsa\`) is the opening of such a package, on another thread and back; the others' is the bare operation.
  Its attestation is all checks, the others' one signature.
- The JavaScript thread is held (\`hold\`) for as long as its event loop is busy. Memory is the most that the first
  opening of a process takes, without the value that V8 then makes of it.
- "Node, fastest" is the best of several ways of building and opening the same package with \`node:crypto\` and
  \`Buffer\` alone ([lib/bench/node-envelope.ts](../lib/bench/node-envelope.ts)); neither keys nor plaintext are
  protected in memory there. "Web Crypto, as nomyo-js" has that client's steps. \`openssl speed\` and Python are the
  system's: of the same library where the versions above are the same.
- Requests have 1 KB; clients and servers are processes of their own on this machine. "HTTP and RSA alone" posts a
  package made beforehand, and follows each answer with one bare private operation off the JavaScript thread; beside
  the router with \`--upstream\` it is a plain reverse proxy that does as much.`.trimStart();
