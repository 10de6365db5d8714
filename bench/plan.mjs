// What is measured: the cases, each with its contenders. A case's name is what --only looks at.
import { contents } from "../dist/bench/payload.js";

const KiB = 1024;
const MiB = 1024 * KiB;
/** The four sizes of the promise, and those between them that show how cost grows. */
export const sizes = [KiB, 32 * KiB, MiB, 9 * MiB];
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
  http: "HTTP alone",
  "http-rsa": "HTTP and RSA alone",
};

/**
 * @typedef {object} Case
 * @property {string} name what --only looks at, unique
 * @property {string} kind which measurement of a contender: seal, open, rsa, keygen, aes, base64, attestation
 * @property {string[]} contenders with an optional variant after a colon
 * @property {string} [content]
 * @property {number} [size] bytes of the serialised request, or of what is encrypted or encoded
 * @property {boolean} [quick] also with --quick
 * @property {string[]} [quickContenders] the only ones with --quick
 * @property {number} [samples] at most so many in one turn
 * @property {number} [pauseMs] milliseconds before each run; otherwise one follows the other
 * @property {number} [moreRounds] so many times the rounds of the other cases
 */

/** @returns {Case[]} */
export function plan() {
  const cases = [];
  const pauseMs = 1;
  const add = (kind, contenders, more = {}) => {
    const { content, size, label } = more;
    const name = [kind, label, content, size === undefined ? undefined : sizeText(size)].filter(Boolean).join(" ");
    cases.push({ name, kind, contenders, quick: false, ...more });
  };
  const quickCells = new Set(["ascii 1024", `ascii ${9 * MiB}`, `tools ${32 * KiB}`]);
  for (const kind of ["seal", "open"]) {
    for (const content of contents) {
      for (const size of sizes) {
        const quick = quickCells.has(`${content} ${size}`);
        add(kind, ["native", "node", "webcrypto", "python"], { content, size, quick });
      }
    }
  }
  const sealers = ["native", "node:whole", "node:pieces", "node:strings", "node:escaped"];
  const openers = ["native", "node:whole", "node:pieces", "node:parsed"];
  for (const size of [KiB, 9 * MiB]) {
    add("seal", sealers, { content: "ascii", size, label: "variants" });
    add("open", openers, { content: "ascii", size, label: "variants" });
  }
  for (const size of [KiB, 32 * KiB]) {
    for (const content of contents) add("seal", ["native", "node"], { content, size, label: "paced", pauseMs });
  }
  for (const kind of ["seal", "open"]) {
    for (const size of growthSizes) add(kind, ["native", "node"], { content: "ascii", size, label: "growth", pauseMs });
  }
  add("rsa", ["native", "node", "webcrypto", "python", "openssl"], {
    label: "4096 private",
    moreRounds: 3,
    quick: true,
  });
  add("keygen", ["native", "node", "webcrypto", "python", "openssl"], {
    label: "4096",
    samples: 1,
    quick: true,
    quickContenders: ["native", "node"],
  });
  for (const size of sizes) {
    add("aes", ["node", "webcrypto", "python", "openssl"], { size, label: "256-gcm", quick: size === MiB });
    add("base64", ["node", "webcrypto", "python"], { size, label: "encode", quick: size === MiB });
  }
  for (const label of ["ecc-p256", "rsa2048"]) {
    add("attestation", ["native", "node", "python"], { label, quick: true });
  }
  add("stall", ["idle", "native", "node", "webcrypto"], { label: "private operations", quick: true });
  add("start", ["native", "openai"], { label: "import", quick: true });
  for (const inFlight of [1, 8, 32]) {
    add("router", ["native", "node", "http", "http-rsa", "openssl"], {
      label: `${inFlight} in flight`,
      inFlight,
      quick: inFlight === 8,
    });
  }
  add("soak", ["native"], { label: "memory", quick: true });
  add("core", ["core"], { label: "google-benchmark" });
  return cases;
}

/** The cases that the options ask for. What --only names is measured even if it is not part of a quick run. */
export function chosen(options) {
  return plan()
    .filter(({ name, quick }) =>
      options.only.length === 0 ? quick || !options.quick : options.only.some((pattern) => name.includes(pattern)),
    )
    .filter(({ kind }) => kind !== "soak" || options.soak > 0)
    .map((item) => (options.quick && item.quickContenders ? { ...item, contenders: item.quickContenders } : item));
}
