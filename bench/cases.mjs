// What is measured: the cases, each with its contenders. A case's name is what --only looks at.
import { contents } from "../dist/bench/payload.js";

const KiB = 1024;
const MiB = 1024 * KiB;
/** The four sizes of the promise, and those between them that show how cost grows. */
const sizes = [KiB, 32 * KiB, MiB, 9 * MiB];
const growthSizes = [KiB, 4 * KiB, 16 * KiB, 64 * KiB, 256 * KiB, MiB, 4 * MiB, 9 * MiB];
const agentSizes = [8 * KiB, 32 * KiB, 256 * KiB];

export function sizeText(bytes) {
  if (bytes >= MiB) return `${bytes / MiB} MB`;
  return bytes >= KiB ? `${bytes / KiB} KB` : `${bytes} B`;
}

/** The contenders, as tables and pictures call them. */
export const contenderNames = {
  native: "nomyo-native",
  "native:again": "nomyo-native again",
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
  copy: "copying the text",
  openai: "openai package",
  "openai:fetch": "openai on createSecureFetch",
  "openai:proxy": "openai through nomyo-native proxy",
  "openai:reverse": "openai through a plain reverse proxy",
  http: "HTTP alone",
  "http-rsa": "HTTP and RSA alone",
  router: "local router",
  "router:again": "local router again",
  "reverse-rsa": "plain reverse proxy and RSA alone",
};

/**
 * @typedef {object} Case
 * @property {string} name kind, label, content and size: unique
 * @property {string} kind which measurement of a contender (bench/contender.mjs), or of a load
 * @property {string[]} contenders with an optional variant after a colon; `again`: the same once more, whose difference
 *   is noise
 * @property {string} [label]
 * @property {string} [content]
 * @property {number} [size] bytes of the serialised request, or of what is encrypted or encoded
 * @property {boolean} [quick] also with --quick
 * @property {boolean} [judged] also with --bounds: a bound needs it, or the picture shows it
 * @property {string[]} [few] the only contenders with --quick and --bounds
 * @property {number} [samples] at most so many in one turn
 * @property {number} [pauseMs] milliseconds before each run; otherwise one follows the other
 * @property {number} [factor] so many times as long a turn, and twice that warming up
 * @property {number} [moreRounds] so many times the rounds of the other cases
 * @property {boolean} [isFresh] a new process for each round
 * @property {number[]} [inFlights] requests at a time: one result for each
 * @property {Record<string, {servers: string[], client: string}>} [routes] processes of bench/requests.mjs, for
 *   each contender
 */

const all = ["native", "node", "webcrypto", "python"];
const both = ["native", "node"];
const twice = ["native", "native:again"];
const wholly = [...all, "openssl"];
const sealing = [...twice, "node:whole", "node:pieces", "node:strings"];
const opening = [...twice, "node:whole", "node:pieces", "node:parsed"];
const quickCells = new Set(["ascii 1 KB", "ascii 9 MB", "tools 32 KB"]);
/** Every combination of the lists, as `make` has it. */
const each = (first, second, make) => first.flatMap((one) => second.flatMap((other) => make(one, other)));
const paced = { pauseMs: 1 };
const judged = { judged: true };

/** What a client talks to: each server gets the address of the one before. */
const route = (client, ...servers) => ({ servers, client });
const routes = {
  router: Object.fromEntries(["native", "node", "http", "http-rsa"].map((client) => [client, route(client, "router")])),
  upstream: { router: route("http", "model", "router"), "reverse-rsa": route("plain", "model", "reverse-rsa") },
  proxy: {
    "openai:fetch": route("openai-fetch", "router"),
    "openai:proxy": route("openai", "router", "proxy"),
    "openai:reverse": route("openai", "model", "reverse"),
  },
};

/** @type {Case[]} */
const cases = [
  ...each(["seal", "open"], contents, (kind, content) =>
    sizes.map((size) => ({
      ...{ kind, contenders: all, content, size, quick: quickCells.has(`${content} ${sizeText(size)}`) },
      judged: content === "ascii" || size === 9 * MiB,
    })),
  ),
  ...each(["ascii", "cjk"], [KiB, 9 * MiB], (content, size) => {
    const isLarge = size > MiB;
    const about = { content, size, label: "variants" };
    return [
      { kind: "seal", contenders: [...sealing, "node:escaped"], ...about, judged: content === "ascii" || isLarge },
      { kind: "open", contenders: opening, ...about, judged: isLarge },
    ];
  }),
  ...each([KiB, 32 * KiB], contents, (size, content) => ({
    ...{ kind: "seal", contenders: sealing, content, size, label: "paced", ...paced },
    ...{ few: content === "ascii" ? undefined : both, judged: content === "ascii" && size === KiB },
  })),
  ...each(["seal", "open"], growthSizes, (kind, size) => ({
    ...{ kind, contenders: both, content: "ascii", size, label: "growth", ...paced, ...judged, few: ["native"] },
  })),
  ...each(agentSizes, [{ label: "agent", ...paced }, { label: "agent, back to back" }], (size, manner) => ({
    ...{ kind: "seal", contenders: sealing, content: "tools", size, ...manner, ...judged },
  })),
  { kind: "hold", contenders: [...twice, "copy"], content: "ascii", size: 9 * MiB, ...judged },
  ...["ascii", "cjk"].map((content) => ({
    ...{ kind: "memory", contenders: ["native"], content, size: 9 * MiB, isFresh: true, ...judged },
  })),
  {
    ...{ kind: "open", contenders: [...twice, "openssl"], content: "ascii", size: KiB, label: "beside RSA" },
    ...{ moreRounds: 2, ...judged },
  },
  {
    ...{ kind: "rsa", contenders: [...twice, ...wholly.slice(1)], label: "4096 private", moreRounds: 3, quick: true },
    ...{ ...judged, few: [...twice, "node", "openssl"] },
  },
  { kind: "keygen", contenders: wholly, label: "4096", samples: 1, quick: true, few: both },
  ...sizes.flatMap((size) => [
    { kind: "aes", contenders: wholly.slice(1), size, label: "256-gcm", quick: size === MiB },
    { kind: "base64", contenders: all.slice(1), size, label: "encode", quick: size === MiB },
  ]),
  ...["ecc-p256", "ecc-p384", "rsa2048"].map((label) => ({
    ...{ kind: "attestation", contenders: [...twice, "node", "python", "openssl"], label, quick: label === "rsa2048" },
    ...{ ...judged, few: [...twice, "node", "openssl"] },
  })),
  ...["ecc-p256", "rsa2048-rsassa", "rsa2048-rsapss"].map((label) => ({
    kind: "quote",
    contenders: ["native"],
    label,
  })),
  {
    ...{ kind: "stall", contenders: ["idle", ...twice, "node", "webcrypto"], label: "private operations", quick: true },
    ...{ ...judged, few: ["idle", ...twice] },
  },
  { kind: "start", contenders: [...twice, "openai"], label: "import", quick: true, ...judged, few: twice },
  {
    ...{ kind: "router", contenders: [...twice, "node", "http", "http-rsa", "openssl"], factor: 6 },
    ...{ inFlights: [1, 2, 8, 32, 256], routes: routes.router, ...judged, few: [...twice, "http-rsa"] },
  },
  {
    ...{ kind: "upstream", contenders: ["router", "router:again", "reverse-rsa"], factor: 6 },
    ...{ inFlights: [2, 8, 32, 256], routes: routes.upstream, ...judged },
  },
  {
    ...{ kind: "proxy", contenders: ["openai:fetch", "openai:proxy", "openai:reverse"], factor: 6 },
    ...{ inFlights: [1, 8], routes: routes.proxy, ...judged },
  },
  {
    ...{ kind: "soak", contenders: ["native"], label: "memory", inFlights: [8], routes: routes.router },
    ...{ quick: true, ...judged },
  },
  { kind: "core", contenders: ["core"], label: "google-benchmark" },
].map(({ quick = false, ...item }) => {
  const { kind, label, content, size } = item;
  return { name: [kind, label, content, size && sizeText(size)].filter(Boolean).join(" "), quick, ...item };
});

/**
 * What two builds are compared by: what a request costs. Not what chance decides, nor what is measured once more
 * elsewhere.
 */
const comparable = new Set(["seal", "open", "rsa", "attestation", "router", "start", "hold"]);
const isComparable = ({ kind, label }) => comparable.has(kind) && !["variants", "growth", "beside RSA"].includes(label);

/** The cases that the options ask for. What --only names is measured even if it is not part of a quick run. */
export function chosen({ only, quick, bounds, soak, against }) {
  const builds = against && [...twice, `native@${against}`];
  const isAsked = (item) => {
    if (only.length > 0) return only.some((pattern) => item.name.includes(pattern));
    return (!quick || item.quick) && (!bounds || item.judged === true);
  };
  return cases
    .filter((item) => builds === undefined || isComparable(item))
    .filter((item) => isAsked(item) && (item.kind !== "soak" || soak > 0))
    .map((item) => ({
      ...item,
      contenders: builds ?? (quick || bounds ? item.few : undefined) ?? item.contenders,
    }));
}
