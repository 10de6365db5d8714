// docs/benchmarks.md: written here, never by hand.
import { fileURLToPath } from "node:url";
import { format, resolveConfig } from "prettier";
import { sections, surroundings } from "./sections.mjs";

export async function document(report) {
  const parts = [
    "# Benchmarks",
    "Written by `npm run bench -- --docs`. Run it on your machine: figures from another one say little. `npm run bench -- --quick` takes " +
      "less than a minute; `--help` tells the rest.",
    table(["measured", "on and with"], surroundings(report)),
    "![Time by size, and rates at 9 MB, beside Node's crypto, Web Crypto and Python](benchmarks.svg)",
    ...sections(report).flatMap(({ title, text, columns, rows }) => [`## ${title}`, text, table(columns, rows)]),
    "## Method",
    method,
  ];
  const style = await resolveConfig(fileURLToPath(import.meta.url));
  return format(parts.join("\n\n"), { ...style, parser: "markdown" });
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

function table(columns, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}
