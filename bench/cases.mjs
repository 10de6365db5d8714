// What is measured: the cases, each with its contenders. A case's name is what --only looks at.
import { fileURLToPath } from "node:url";
import { contents } from "../dist/bench/payload.js";

const KiB = 1024;
const MiB = 1024 * KiB;
/** The four sizes of the promise, and those between them that show how cost grows. */
const sizes = [KiB, 32 * KiB, MiB, 9 * MiB];
const growthSizes = [KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB, 9 * MiB];

export function sizeText(bytes) {
  if (bytes >= MiB) return `${bytes / MiB} MB`;
  return bytes >= KiB ? `${bytes / KiB} KB` : `${bytes} B`;
}

/** The contenders, as tables and pictures call them. */
export const contenderNames = {
  native: "nomyo-native",
  node: "Node, fastest",
  "node:whole": "Node, whole buffers",
  "node:pieces": "Node, in pieces",
  "node:strings": "Node, strings",
  "node:parsed": "Node, JSON.parse",
  "node:escaped": "Node, own JSON escaping",
  webcrypto: "Web Crypto, as nomyo-js",
  python: "Python cryptography",
  openssl: "openssl speed",
  core: "C++ core alone",
  idle: "nothing to do",
  openai: "openai package",
  "openai:fetch": "openai on createSecureFetch",
  "openai:proxy": "openai through nomyo-native proxy",
  "openai:reverse": "openai through a plain reverse proxy",
  http: "HTTP alone",
  "http-rsa": "HTTP and RSA alone",
};

/**
 * @typedef {object} Case
 * @property {string} name kind, label, content and size: unique
 * @property {string} kind which measurement of a contender: seal, open, rsa, keygen, aes, base64, attestation
 * @property {string[]} contenders with an optional variant after a colon
 * @property {string} [label]
 * @property {string} [content]
 * @property {number} [size] bytes of the serialised request, or of what is encrypted or encoded
 * @property {boolean} [quick] also with --quick
 * @property {string[]} [quickContenders] the only ones with --quick
 * @property {number} [samples] at most so many in one turn
 * @property {number} [pauseMs] milliseconds before each run; otherwise one follows the other
 * @property {number} [moreRounds] so many times the rounds of the other cases
 * @property {number} [inFlight] requests at a time
 */

const all = ["native", "node", "webcrypto", "python"];
const both = ["native", "node"];
const withCommand = [...all, "openssl"];
const ways = {
  seal: ["native", "node:whole", "node:pieces", "node:strings", "node:escaped"],
  open: ["native", "node:whole", "node:pieces", "node:parsed"],
};
const kinds = ["seal", "open"];
const quickCells = new Set(["ascii 1 KB", "ascii 9 MB", "tools 32 KB"]);
/** Every combination of the lists, as `make` has it. */
const each = (first, second, make) => first.flatMap((one) => second.map((other) => make(one, other)));
const ascii = { content: "ascii" };
const paced = { pauseMs: 1 };

/** @type {Case[]} */
const cases = [
  ...kinds.flatMap((kind) =>
    each(contents, sizes, (content, size) => ({
      ...{ kind, contenders: all, content, size },
      quick: quickCells.has(`${content} ${sizeText(size)}`),
    })),
  ),
  ...each([KiB, 9 * MiB], kinds, (size, kind) => ({ kind, contenders: ways[kind], ...ascii, size, label: "variants" })),
  ...each([KiB, 32 * KiB], contents, (size, content) => ({
    ...{ kind: "seal", contenders: both, content, size, label: "paced", ...paced },
  })),
  ...each(kinds, growthSizes, (kind, size) => ({
    ...{ kind, contenders: both, ...ascii, size, label: "growth", ...paced },
  })),
  { kind: "rsa", contenders: withCommand, label: "4096 private", moreRounds: 3, quick: true },
  { kind: "keygen", contenders: withCommand, label: "4096", samples: 1, quick: true, quickContenders: both },
  ...sizes.flatMap((size) => [
    { kind: "aes", contenders: withCommand.slice(1), size, label: "256-gcm", quick: size === MiB },
    { kind: "base64", contenders: all.slice(1), size, label: "encode", quick: size === MiB },
  ]),
  ...["ecc-p256", "rsa2048"].map((label) => ({
    ...{ kind: "attestation", contenders: ["native", "node", "python"], label, quick: true },
  })),
  { kind: "stall", contenders: ["idle", "native", "node", "webcrypto"], label: "private operations", quick: true },
  { kind: "start", contenders: ["native", "openai"], label: "import", quick: true },
  ...[1, 8, 32].map((inFlight) => ({
    ...{ kind: "router", contenders: ["native", "node", "http", "http-rsa", "openssl"] },
    ...{ label: `${inFlight} in flight`, inFlight, quick: inFlight === 8 },
  })),
  ...[1, 8].map((inFlight) => ({
    ...{ kind: "proxy", contenders: ["openai:fetch", "openai:proxy", "openai:reverse"] },
    ...{ label: `${inFlight} in flight`, inFlight },
  })),
  { kind: "soak", contenders: ["native"], label: "memory", quick: true },
  { kind: "core", contenders: ["core"], label: "google-benchmark" },
].map(({ quick = false, ...item }) => {
  const { kind, label, content, size } = item;
  return { name: [kind, label, content, size && sizeText(size)].filter(Boolean).join(" "), quick, ...item };
});

/** What two builds are compared by: what a request costs. Not what chance decides, nor what is measured once more elsewhere. */
const comparable = new Set(["seal", "open", "rsa", "attestation", "router", "start"]);
const besideBuild = (folder) => ({
  isOf: ({ kind, label }) => comparable.has(kind) && label !== "variants" && label !== "growth",
  contenders: ["native", `native@${fileURLToPath(new URL("..", import.meta.url))}`, `native@${folder}`],
});

/** The cases that the options ask for. What --only names is measured even if it is not part of a quick run. */
export function chosen({ only, quick, soak, against }) {
  const builds = against && besideBuild(against);
  return cases
    .filter((item) => builds === undefined || builds.isOf(item))
    .filter((item) => (only.length === 0 ? item.quick || !quick : only.some((pattern) => item.name.includes(pattern))))
    .filter(({ kind }) => kind !== "soak" || soak > 0)
    .map((item) => ({
      ...item,
      contenders: builds?.contenders ?? (quick ? item.quickContenders : undefined) ?? item.contenders,
    }));
}
