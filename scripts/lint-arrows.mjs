// ESLint rules for lib/. arrows/downwards: a folder imports only from those below it, types included. arrows/owners:
// the raw addon is called by the folders that own its handles, and by no other. types-apart, for test/ too: types are
// imported for themselves.
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const lib = join(dirname(dirname(fileURLToPath(import.meta.url))), "lib");

/** From the top to the bottom; "." are the files directly in lib/. Folders on one level do not import each other. */
const levels = [
  ["cli"],
  ["bench"],
  ["proxy"],
  ["router", "openai"],
  ["client"],
  ["receipts"],
  ["chat"],
  ["envelope", "attestation"],
  ["keys", "http"],
  ["memory"],
  ["."],
];

/** The path below lib/ with `/`; undefined for one outside. */
function within(path) {
  const below = relative(lib, path);
  return below.startsWith("..") ? undefined : below.split(sep).join("/");
}
const folderOf = (path) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : ".");
const levelOf = (folder) => levels.findIndex((level) => level.includes(folder));
/** The entry: above everything, and re-exports only. */
const isEntry = (path) => /^index\.m?[jt]s$/.test(path);

/** What is wrong with an import by `from` of `to`, both below lib/; undefined for nothing. */
function fault(from, to) {
  if (isEntry(from)) return undefined;
  if (isEntry(to)) return "lib/index.ts is for users of the package: import the file that has it.";
  const [folder, other] = [folderOf(from), folderOf(to)];
  if (other === "bench" && folder !== "bench" && from !== "cli/bench.ts") {
    return "lib/bench is a yardstick for the command bench, and protects nothing: nothing else imports it.";
  }
  if (levelOf(folder) < 0) return `lib/${folder} has no level yet: give it one in scripts/lint-arrows.mjs.`;
  if (folder === other || levelOf(other) > levelOf(folder)) return undefined;
  return `${from} imports ${to}, which is not below it: the order of the folders is in scripts/lint-arrows.mjs.`;
}

const downwards = {
  meta: { type: "problem", schema: [], messages: { fault: "{{fault}}" } },
  create(context) {
    const from = within(context.filename);
    if (from === undefined) return {};
    const check = (node, source) => {
      if (typeof source?.value !== "string" || !source.value.startsWith(".")) return;
      const to = within(resolve(dirname(context.filename), source.value));
      const found = to === undefined ? "Code in lib/ imports nothing outside of it." : fault(from, to);
      if (found !== undefined) context.report({ node, messageId: "fault", data: { fault: found } });
    };
    const bySource = (node) => check(node, node.source);
    return {
      ImportDeclaration: bySource,
      ExportNamedDeclaration: bySource,
      ExportAllDeclaration: bySource,
      ImportExpression: bySource,
      TSImportType: bySource,
      TSExternalModuleReference: (node) => check(node, node.expression),
      CallExpression(node) {
        if (node.callee.type === "Identifier" && node.callee.name === "require") check(node, node.arguments[0]);
      },
    };
  },
};

/** Where `native` may be called. */
const ownersOfHandles = new Set(["memory", "keys", "envelope", "attestation"]);
const mayCallTheAddon = (path) => ownersOfHandles.has(folderOf(path)) || path === "build-info.ts";

const owners = {
  meta: {
    type: "problem",
    schema: [],
    messages: {
      raw:
        "Only memory/, keys/, envelope/ and attestation/ call the addon: use what they make of it (SecureBuffer, " +
        "PrivateKey …).",
    },
  },
  create(context) {
    const from = within(context.filename);
    if (from === undefined || mayCallTheAddon(from)) return {};
    const isAddon = (source) => within(resolve(dirname(context.filename), String(source?.value))) === "native.js";
    const report = (node) => context.report({ node, messageId: "raw" });
    return {
      ImportDeclaration(node) {
        if (!isAddon(node.source) || node.importKind === "type") return;
        if (node.specifiers.some((one) => one.importKind !== "type")) report(node);
      },
      ExportNamedDeclaration(node) {
        if (node.source !== null && isAddon(node.source) && node.exportKind !== "type") report(node);
      },
      ExportAllDeclaration(node) {
        if (isAddon(node.source) && node.exportKind !== "type") report(node);
      },
      ImportExpression(node) {
        if (isAddon(node.source)) report(node);
      },
      CallExpression(node) {
        const { callee } = node;
        if (callee.type === "Identifier" && callee.name === "require" && isAddon(node.arguments[0])) report(node);
      },
    };
  },
};

/** `import { value, type Type }` reads as an import of values, and is none of its type. */
const typesApart = {
  meta: {
    type: "suggestion",
    fixable: "code",
    schema: [],
    messages: { apart: "Import types for themselves: import type { … }." },
  },
  create: (context) => ({
    ImportDeclaration(node) {
      const isType = (one) => one.importKind === "type";
      if (!node.specifiers.some(isType)) return;
      const text = (one) => context.sourceCode.getText(one).replace(/^type /, "");
      const named = (some) => some.filter((one) => one.type === "ImportSpecifier").map(text);
      const values = node.specifiers.filter((one) => !isType(one));
      const whole = values.filter((one) => one.type !== "ImportSpecifier").map(text);
      const braced = named(values).length === 0 ? [] : [`{ ${named(values).join(", ")} }`];
      const from = `from ${node.source.raw};`;
      const ofTypes = `import type { ${named(node.specifiers.filter(isType)).join(", ")} } ${from}`;
      const ofValues = values.length === 0 ? "" : `import ${[...whole, ...braced].join(", ")} ${from}\n`;
      context.report({ node, messageId: "apart", fix: (fixer) => fixer.replaceText(node, `${ofValues}${ofTypes}`) });
    },
  }),
};

export const arrows = { rules: { downwards, owners, "types-apart": typesApart } };
