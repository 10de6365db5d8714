/**
 * What documents name is there: the pages and headings that they link to, files, scripts, npm's commands, sections of
 * the protocol.
 */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { repositoryFiles, repositoryRoot as root } from "../support/repository-files.js";

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const files = repositoryFiles();
const folders = new Set(files.flatMap((path) => path.split("/").map((_, end, parts) => parts.slice(0, end).join("/"))));
const pages = files.filter((path) => path.endsWith(".md"));
/** Written by hand; the others are typedoc's. */
const ownPages = pages.filter((path) => !path.startsWith("docs/api/"));

const withoutBlocks = (text: string): string => text.replace(/^ *(```+|~~~+)[^]*?^ *\1 *$/gm, "");
const withoutCode = (text: string): string => withoutBlocks(text).replace(/`[^`\n]+`/g, "");
/** What stands between backticks, and in blocks of code. */
function code(text: string): string[] {
  const blocks = [...text.matchAll(/^ *(```+)[^\n]*\n([^]*?)^ *\1 *$/gm)].map((match) => match[2]!);
  return [...blocks, ...[...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!)];
}
/** The names under which a page's headings can be linked to, as GitHub makes them. */
function anchors(path: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading] of withoutBlocks(read(path)).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[\\`*]/g, "");
    const name = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
    let unique = name;
    for (let again = 1; found.has(unique); again++) unique = `${name}-${again}`;
    found.add(unique);
  }
  return found;
}
/** Every relative link of a page: to which file or folder, and to which heading there. */
function links(page: string): { to: string; anchor: string | undefined }[] {
  return [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => decodeURIComponent(match[1]!))
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path, anchor] = target.split("#");
      return { to: path === "" ? page : posix.join(posix.dirname(page), path!).replace(/\/$/, ""), anchor };
    });
}
/**
 * Whether a file or folder has this name; `*`, `…` and a word in capitals stand for anything, and a file's last endings
 * may be missing.
 */
function isThere(name: string): boolean {
  const pattern = name.replace(/[.+^$()|[\]\\]/g, "\\$&").replace(/\*+|…|(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])/g, "[^/]*");
  const whole = new RegExp(`^${pattern}(\\.[\\w.]+)?$`);
  return [...files, ...folders].some((path) => whole.test(path));
}

test("there are pages, files and folders to look at", () => {
  expect(ownPages).toEqual(expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/protocol.md"]));
  expect(isThere("lib/index.ts") && isThere("test/package/documents") && isThere("native/*/memory")).toBe(true);
  expect(isThere("lib/none.ts") || isThere("test/package/docu")).toBe(false);
});

describe.each(pages)("%s", (page) => {
  test("links to files and headings that are there", () => {
    const broken = links(page).filter(
      ({ to, anchor }) =>
        !(files.includes(to) || folders.has(to)) ||
        (anchor !== undefined && to.endsWith(".md") && !anchors(to).has(anchor)),
    );
    expect(broken).toEqual([]);
  });
});

describe.each(ownPages)("%s", (page) => {
  const pieces = code(read(page));

  test("names files that are there", () => {
    const named = pieces.flatMap((piece) =>
      [
        ...piece.matchAll(
          /(?<![\w./:-])(?:\.?github|\.devcontainer|bench|docs|examples|lib|native|scripts|test)\/[\w./*…-]*[\w*…]/g,
        ),
      ].map(([path]) => path),
    );
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });

  test("names tests and sources that are there", () => {
    const sources = pieces.filter((piece) => /^[\w-]+(\.test\.ts|\.cc|\.h)$/.test(piece) && piece !== "napi.h");
    // What begins with `_` is the end of a name.
    const named = (path: string, name: string) =>
      name.startsWith("_") ? path.endsWith(name) : posix.basename(path) === name;
    expect(sources.filter((name) => !files.some((path) => named(path, name)))).toEqual([]);
  });

  test("names commands that are there", () => {
    const text = read(page);
    const scripts = [...text.matchAll(/(?<![\w./])scripts\/[a-z][a-z-]*/g)].map(([name]) => name);
    expect(scripts.filter((name) => !isThere(name))).toEqual([]);
    const { scripts: npm } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const run = [...text.matchAll(/npm run (?:--silent )?([a-z][a-z:-]*)/g)].map((match) => match[1]!);
    expect(run.filter((name) => npm[name] === undefined)).toEqual([]);
  });
});

test("every page can be reached from the README", () => {
  const reached = new Set(["README.md"]);
  for (const page of reached) {
    for (const { to } of links(page)) {
      for (const path of [to, `${to}/README.md`]) if (ownPages.includes(path)) reached.add(path);
    }
  }
  // Those that GitHub shows by itself, and notes beside what they are about.
  const apart = /^(\.github\/|test\/|native\/test\/)/;
  expect(ownPages.filter((page) => !apart.test(page) && !reached.has(page))).toEqual([]);
});

describe("the code", () => {
  const sources = files.filter(
    (path) =>
      /^(lib|native|test|bench|scripts|examples)\//.test(path) && /(\.(ts|mts|[cm]?js|cc|h|py)|\/[a-z-]+)$/.test(path),
  );
  const all = (form: RegExp): (readonly [string, string])[] =>
    sources.flatMap((path) => [...read(path).matchAll(form)].map((match) => [path, match[1]!] as const));

  test("cites sections of the protocol that are there", () => {
    const sections = [...read("docs/protocol.md").matchAll(/^## (\d+)\. /gm)].map((match) => match[1]!);
    expect(sections).toEqual(sections.map((_, index) => `${index + 1}`));
    const cited = all(/\bPROTOCOL(?:\.md)?(?: section)? (\d+)/g);
    expect(cited.length).toBeGreaterThan(10);
    expect(cited.filter(([, section]) => !sections.includes(section))).toEqual([]);
  });

  /** What a language's comments hold; in strings there may be names of files that a test makes up. */
  const comments = (path: string): string => {
    const form = /\.(ts|mts|[cm]?js|cc|h)$/.test(path)
      ? /\/\*[^]*?\*\/|(?<![:"'\w])\/\/[^\n]*/g
      : /(?<=^|\s)#[^\n]*|"""[^]*?"""/g;
    // The end of a path may have slipped into the next line of a block.
    return [...read(path).matchAll(form)].map(([text]) => text.replace(/\n *\* ?/g, "\n")).join("\n");
  };
  const self = "test/package/documents.test.ts";
  const cited = (form: RegExp): (readonly [string, string])[] =>
    sources
      .filter((path) => path !== self)
      .flatMap((path) => [...comments(path).matchAll(form)].map(([name]) => [path, name] as const));

  test("has comments that name files and folders that are there", () => {
    const named = cited(
      /(?<![\w./:@-])(?:\.github|\.devcontainer|bench|docs|examples|lib|native|scripts|test|core|addon)\/[\w./*…-]*[\w*…]/g,
    );
    expect(named.length).toBeGreaterThan(50);
    // In C++ as its includes name them.
    const isHere = (name: string): boolean =>
      isThere(name) || (/^(core|addon)\//.test(name) && isThere(`native/${name}`));
    expect(named.filter(([, name]) => !isHere(name))).toEqual([]);
  });

  test("has comments that name sources and pages that are there", () => {
    const named = cited(/(?<![\w./-])(?:\w[\w-]*\.(?:test\.ts|cc|h|mjs|cjs|ts)|[A-Z]{4,}\.md)\b/g);
    expect(named.length).toBeGreaterThan(20);
    const there = new Set(files.map((path) => posix.basename(path)));
    // Of Highway, tpm2-tss and Node.
    const others = ["foreach_target.h", "detect_targets.h", "tss2_mu.h", "napi.h"];
    // What begins with `_` is the end of a name.
    const isEnd = (name: string): boolean => name.startsWith("_") && files.some((path) => path.endsWith(name));
    expect(named.filter(([, name]) => !there.has(name) && !others.includes(name) && !isEnd(name))).toEqual([]);
  });

  test("names pages that are there", () => {
    const named = all(/(?<![\w./])(docs\/[\w./-]*\.md)\b/g);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(([, page]) => !pages.includes(page))).toEqual([]);
  });
});

describe("docs/decisions", () => {
  const decisions = files.filter((path) => /^docs\/decisions\/\d/.test(path)).sort();

  test("are numbered, and listed in their order", () => {
    expect(decisions.map((path) => Number(posix.basename(path).slice(0, 2)))).toEqual(decisions.map((_, i) => i + 1));
    const listed = links("docs/decisions/README.md").map(({ to }) => to);
    expect(listed.filter((path) => decisions.includes(path))).toEqual(decisions);
  });

  test.each(decisions)("%s says what, why, what was measured and what it costs", (path) => {
    const parts = [...read(path).matchAll(/^\*\*(\w+)\.\*\*/gm)].map((match) => match[1]);
    expect(parts).toEqual(["Decided", "Why", "Measured", "Costs"]);
    const measured = /^\*\*Measured\.\*\*([^]*)^\*\*Costs/m.exec(read(path))?.[1] ?? "";
    // A figure without the command, the test or the table that shows it is an opinion.
    expect(code(measured).length + links(path).length).toBeGreaterThan(0);
  });
});

describe("the front door", () => {
  const nodeLines = /^node_lines=\((.*)\)$/m.exec(read("scripts/setup"))?.[1]?.split(" ") ?? [];

  test("the newest version in the change log is package.json's", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    expect(/^## (\d[^\s,]*)/m.exec(read("CHANGELOG.md"))?.[1]).toBe(version);
  });

  test("the security policy supports the version that there is", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    expect(read("SECURITY.md")).toContain(`| ${version.split(".").slice(0, 2).join(".")} `);
  });

  test("nvm and the development container have a supported line of Node, set up as a machine is", () => {
    const line = read(".nvmrc").trim();
    expect(nodeLines).toContain(line);
    const container = JSON.parse(read(".devcontainer/devcontainer.json")) as Record<string, unknown>;
    expect(container["image"]).toBe(`node:${line}-bookworm`);
    expect(container["postCreateCommand"]).toBe("scripts/setup test && scripts/build");
  });
});
