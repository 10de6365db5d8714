/** The fenced blocks of documents, and what a comment above one says of it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./built-package.js";

export interface Block {
  readonly page: string;
  /** Of the fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** `<!-- fragment: why -->`: it cannot be run, or not here. */
  readonly fragment: string | undefined;
  /** `<!-- run by: test/… -->`: another test runs it. */
  readonly runBy: string | undefined;
}

export const documents: readonly string[] = [
  "README.md",
  ...["docs", "docs/decisions", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
].sort();

export function blocksOf(page: string): Block[] {
  return blocksIn(page, readFileSync(join(root, page), "utf8"));
}

/** Throws at a block in another form than theirs: none is overlooked. */
export function blocksIn(page: string, text: string): Block[] {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, indent, fence, language] = /^( *)(```+)(\w*)\s*$/.exec(lines[at]!) ?? [];
    if (indent === undefined || fence === undefined) {
      if (!/^[\s>*+-]*(```|~~~)|<pre\b/i.test(lines[at]!)) continue;
      throw new Error(
        `${page}:${at + 1}: a block in a form that is not read here: write \`\`\`LANGUAGE on a line of its own`,
      );
    }
    const end = lines.indexOf(indent + fence, at + 1);
    if (end < 0) throw new Error(`${page}:${at + 1}: a block without an end`);
    const above = lines.slice(0, at).filter((line) => line.trim() !== "");
    const said = /^\s*<!-- (fragment|run by): (.+) -->$/.exec(above.at(-1) ?? "");
    blocks.push({
      page,
      line: at + 1,
      language: language ?? "",
      code: lines
        .slice(at + 1, end)
        .map((line) => line.slice(line.startsWith(indent) ? indent.length : 0))
        .join("\n"),
      fragment: said?.[1] === "fragment" ? said[2] : undefined,
      runBy: said?.[1] === "run by" ? said[2] : undefined,
    });
    at = end;
  }
  return blocks;
}
