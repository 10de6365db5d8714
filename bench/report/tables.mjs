// The report as text for a terminal.
import { sections, surroundings } from "./sections.mjs";

export function tables(report) {
  const parts = [
    surroundings(report)
      .map(([name, value]) => `${name.padEnd(14)}${value}`)
      .join("\n"),
  ];
  for (const { title, text, columns, rows } of sections(report)) {
    parts.push(`${title}\n${wrap(text, 110)}\n\n${grid([columns, ...rows])}`);
  }
  return `${parts.join("\n\n")}\n`;
}

function grid(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const numeric = rows[0].map((_, column) => rows.slice(1).every((row) => /^(|[−+]?[\d.,].*)$/.test(row[column])));
  const line = (row) =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join("  ")
      .trimEnd();
  const [head, ...body] = rows.map(line);
  return [
    `  ${head}`,
    `  ${widths.map((width) => "─".repeat(width)).join("  ")}`,
    ...body.map((one) => `  ${one}`),
  ].join("\n");
}

function wrap(text, width) {
  return text.replace(new RegExp(`(.{1,${width}})(?: |$)`, "g"), "$1\n").trimEnd();
}
