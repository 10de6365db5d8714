// node scripts/site.mjs FOLDER: README.md, docs/ and the API as a site with search, by typedoc; then every link in it
// is followed.
//
// Documents are given to typedoc as copies: their heading is the page's title too, and a link to what the site does not
// have (a folder, a source, docs/api, in whose place it has the API itself) becomes its name.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, Converter, ReflectionKind, TSConfigReader } from "typedoc";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const to = resolve(process.argv[2] ?? join(root, "build/site"));

const markdown = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => posix.join(folder, name));
const found = [...markdown("docs"), ...markdown("docs/decisions"), "examples/README.md"];
const alone = [
  "README.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "THIRD-PARTY-NOTICES.md",
  "lib/README.md",
  "native/README.md",
];

/** What documents show or link to, and the site has too. */
const beside = [
  "LICENSE",
  "docs/benchmarks.svg",
  ...readdirSync(join(root, "examples"))
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => `examples/${name}`),
];

/** By document, the part of docs/README.md that it is in. */
const parts = new Map();
for (const line of readFileSync(join(root, "docs/README.md"), "utf8").split("\n")) {
  const [, part] = /^\| \*\*(\w+)\*\*/.exec(line) ?? [];
  if (part !== undefined) parts.set("", part[0].toUpperCase() + part.slice(1));
  for (const [, target] of line.matchAll(/\]\(([\w./-]+\.md)\)/g)) {
    const file = posix.join("docs", target);
    if (parts.has("") && !parts.has(file)) parts.set(file, parts.get(""));
  }
}
/** In the order of docs/README.md, which itself comes first; then the rest. */
const pages = [...new Set(["docs/README.md", ...[...parts.keys()].filter((path) => found.includes(path)), ...found])];
const partOf = (path) =>
  parts.get(path) ??
  (path.startsWith("docs/decisions/") ? "Decisions" : path === "docs/README.md" ? "Begin" : "Change");

/** A document as typedoc is to have it. */
function prepared(path) {
  const text = readFileSync(join(root, path), "utf8").replace(/^ *<!-- (?:fragment|run by): .* -->\n/gm, "");
  const title = /^# +(.+)$/m.exec(text)?.[1].replaceAll("`", "") ?? path;
  const body = text.replace(/\[([^\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)/g, (whole, shown, target) => {
    const file = posix.join(posix.dirname(path), target).replace(/\/$/, "");
    return pages.includes(file) || alone.includes(file) || beside.includes(file) ? whole : shown;
  });
  // The site's name is its title already.
  if (path === "README.md") return body.replace(/^# .*\n+/, "");
  const front = `---\ntitle: ${JSON.stringify(title)}\ncategory: ${partOf(path)}\n---\n\n`;
  // Of a heading's code typedoc would make nothing in its anchor.
  return front + body.replace(/^#+ .*$/gm, (heading) => heading.replaceAll("`", ""));
}

/** Every link of the site, followed: those that lead nowhere. */
function deadLinks(folder) {
  const files = readdirSync(folder, { recursive: true }).map(String);
  const html = new Map(files.filter((f) => f.endsWith(".html")).map((f) => [f, readFileSync(join(folder, f), "utf8")]));
  const ids = new Map(
    [...html].map(([file, text]) => [file, new Set([...text.matchAll(/\bid="([^"]+)"/g)].map((m) => m[1]))]),
  );
  // A server may not give out what has a hidden file's name.
  const dead = files.filter((file) => posix.basename(file).startsWith(".")).map((file) => `${file}: a hidden file`);
  for (const [file, text] of html) {
    for (const [, target] of text.matchAll(/\b(?:href|src)="([^"]+)"/g)) {
      if (/^(?:[a-z]+:|\/\/)/.test(target)) continue;
      const [path, anchor] = decodeURIComponent(target.replaceAll("&amp;", "&")).split("#");
      const page = path === "" ? file : posix.join(posix.dirname(file), path);
      if (!existsSync(join(folder, page))) dead.push(`${file}: ${target}`);
      else if (anchor && ids.has(page) && !ids.get(page).has(anchor)) dead.push(`${file}: ${target}`);
    }
  }
  return { pages: html.size, dead };
}

mkdirSync(join(root, "build"), { recursive: true });
const work = mkdtempSync(join(root, "build", "site-source-"));
try {
  for (const path of [...pages, ...alone]) {
    mkdirSync(join(work, dirname(path)), { recursive: true });
    writeFileSync(join(work, path), prepared(path));
  }
  for (const path of beside) symlinkSync(join(root, path), join(work, path));
  const app = await Application.bootstrap(
    {
      entryPoints: [join(root, "lib/index.ts")],
      tsconfig: join(root, "tsconfig.build.json"),
      name: "nomyo-native",
      readme: join(work, "README.md"),
      projectDocuments: [...pages, ...alone.slice(1)].map((path) => join(work, path)),
      customCss: join(root, "scripts/site.css"),
      searchInDocuments: true,
      categorizeByGroup: false,
      categoryOrder: ["Begin", "Build", "Run", "Judge", "Change", "Decisions", "*"],
      defaultCategory: "API",
      navigation: { includeCategories: true, includeGroups: false },
      disableSources: true,
      excludePrivate: true,
      excludeExternals: true,
      excludeInternal: true,
      githubPages: false,
      logLevel: "Error",
      plugin: [],
      basePath: work,
    },
    [new TSConfigReader()],
  ); // not typedoc.json, which is for docs/api
  // Beside documents what is exported is a module; its name is in every address, and must not be that of a hidden file.
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (_context, reflection) => {
    if (reflection.kindOf(ReflectionKind.Module)) reflection.name = "nomyo-native";
  });
  const project = await app.convert();
  if (project === undefined) throw new Error("typedoc found errors");
  rmSync(to, { recursive: true, force: true });
  await app.generateDocs(project, to);
} finally {
  rmSync(work, { recursive: true, force: true });
}

const { pages: count, dead } = deadLinks(to);
if (dead.length > 0) {
  console.error(`site: links that lead nowhere:\n${[...new Set(dead)].map((link) => `  ${link}`).join("\n")}`);
  process.exit(1);
}
console.log(
  `site: ${relative(process.cwd(), to) || "."}/index.html, ${count} pages, every link of theirs leads somewhere`,
);
