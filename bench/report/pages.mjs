// The report as text for a terminal, and as docs/benchmarks.md, which is written here and never by hand.
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { filled, surroundings } from "./sections.mjs";

export function tables(report) {
  const machine = surroundings(report).map(([name, value]) => `${name.padEnd(14)}${value}`);
  const sections = filled(report).map(
    ({ title, text, columns, rows }) => `${title}\n${wrap(text, 110)}\n\n${grid([columns, ...rows])}`,
  );
  return `${[machine.join("\n"), ...sections].join("\n\n")}\n`;
}

function grid([head, ...rows]) {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const isNumeric = head.map((_, column) => rows.every((row) => /^(|[−+]?[\d.,].*)$/.test(row[column])));
  const pad = (cell, column) => (isNumeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column]));
  const lines = [head, widths.map((width) => "─".repeat(width)), ...rows];
  return lines.map((row) => `  ${row.map(pad).join("  ")}`.trimEnd()).join("\n");
}

function wrap(text, width) {
  return text.replace(new RegExp(`(.{1,${width}})(?: |$)`, "g"), "$1\n").trimEnd();
}

export async function document(report) {
  const parts = [
    "# Benchmarks",
    "Written by `npm run bench -- --docs`. Run it on your machine: figures from another one say little. `npm run bench -- --quick` takes " +
      "less than a minute; `--help` tells the rest.",
    table(["measured", "on and with"], surroundings(report)),
    "![Time by size, and rates at 9 MB, beside Node's crypto, Web Crypto and Python](benchmarks.svg)",
    ...filled(report).flatMap(({ title, text, columns, rows }) => [`## ${title}`, text, table(columns, rows)]),
    "## Method",
    method,
  ];
  const style = await resolveConfig(fileURLToPath(import.meta.url));
  return format(parts.join("\n\n"), { ...style, parser: "markdown" });
}

function table(columns, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

const method = `- Each contender of a case runs in a process of its own. Before it is timed, what it makes is opened by another one, or compared with what it
  must give; a wrong result ends the run.
- All are warmed up, then take turns (A B C, B C A, …), so that a machine that changes its speed does so for all of them. Figures are medians of
  single calls; beside them stand the 10 % and 90 % quantiles. Calls shorter than 50 µs are timed in batches.
- Sizes are those of the serialised request. \`ascii\` is a clinical letter with quotes and line ends to escape, \`latin1\` German with umlauts, \`cjk\`
  Japanese, Chinese and emoji, \`tools\` a conversation of 200 messages with tool calls whose results are JSON in JSON (4 messages at 1 KB).
- "Node, fastest" is the best of several ways of building and opening the same package with \`node:crypto\` and \`Buffer\` alone
  ([lib/bench/node-envelope.ts](../lib/bench/node-envelope.ts)); "Node, own JSON escaping" even does without \`JSON.stringify\`
  ([bench/contenders/escaped-json.mjs](../bench/contenders/escaped-json.mjs)). Neither protects keys or plaintext in memory.
- "Web Crypto, as nomyo-js" has that client's steps: keys imported for each request, base64 a byte at a time.
- \`openssl speed\` and Python's \`cryptography\` are the system's.
- The private operation is judged by the medians, from JavaScript to the package's thread and back. Beside it stand the median of the
  rounds' ratios, and what the thread itself does (\`RsaOaepDecrypt4096\` of the C++ core), where that was measured.
- A bound that is "not shown" was not measured in this run, or the run was too short to show it.`;
