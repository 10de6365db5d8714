// What a report shows, as data: for each section its items, and what stands in each column. pages.mjs lays them out.
import { contenderNames, sizeText } from "../cases.mjs";
import { mebibytes, milliseconds, rate, ratio } from "./figures.mjs";

const MiB = 1024 * 1024;
const spread = ({ p10, p90 }) => `${milliseconds(p10)} – ${milliseconds(p90)}`;
const nameOf = ({ contender }) => contenderNames[contender] ?? contender.replace("native@", "nomyo-native in ");
const time = (name) => (item) => milliseconds(item[name]);
const unique = (values) => [...new Set(values)];
const median = (result) => result.median;
const withoutFixed = (result) => result.median - result.fixed;

/** The results of some kinds; with a label (or undefined, for none) only those that have it. */
const results =
  (kinds, ...labels) =>
  (report) =>
    kinds.flatMap((kind) =>
      report.results.filter((one) => one.kind === kind && (labels.length === 0 || labels.includes(one.label))),
    );

/** One row for each result. */
const list = {
  job: (result) => result.case,
  contender: nameOf,
  median: time("median"),
  "p10 – p90": spread,
  samples: ({ count }) => String(count),
};

/** One row for each case, one column for each contender, with ratios to the first, which is nomyo-native where it takes part. */
function comparison(items, cost) {
  const contenders = unique(items.map(({ contender }) => contender));
  const [first] = contenders;
  const inCase = (item, contender) => items.find((one) => one.case === item.case && one.contender === contender);
  const cells = (item, contender) => {
    const own = inCase(item, first);
    const result = inCase(item, contender);
    if (result === undefined) return ["", ""];
    if (result !== own) return [milliseconds(cost(result)), own === undefined ? "" : ratio(cost(result) / cost(own))];
    // The fixed part is taken off both ends alike.
    const off = result.median - cost(result);
    const ends = spread({ p10: result.p10 - off, p90: result.p90 - off });
    return [`${milliseconds(cost(result))} (${ends})`, rate(result.size / cost(result))];
  };
  const heads = contenders.flatMap((contender) => [nameOf({ contender }), contender === first ? "rate" : "×"]);
  const cases = unique(items.map((item) => item.case)).map((name) => items.find((item) => item.case === name));
  return {
    columns: ["content", "size", ...heads],
    rows: cases.map((item) => [
      ...[inCase(item, first)?.content ?? item.kind, sizeText(item.size)],
      ...contenders.flatMap((contender) => cells(item, contender)),
    ]),
  };
}

const sections = [
  {
    title: "Promised bounds",
    text: "Ratios within this one run. Opening without its RSA step: the whole less the opening of a 2-byte package, in the same process.",
    items: ({ bounds }) => bounds,
    columns: {
      job: ({ job }) => job,
      bound: ({ bound }) => bound,
      measured: ({ measured }) => measured,
      verdict: ({ met }) => (met === null ? "not shown" : met ? "met" : "NOT MET"),
    },
  },
  {
    title: "This build beside another",
    text: "Medians of the rounds, in which this build, this build again and the other took turns. Noise: what this build differs by from itself, and three standard errors.",
    items: ({ builds }) => builds,
    isOfBuilds: true,
    columns: {
      case: (row) => row.case,
      "this build": ({ own }) => own,
      "the other": ({ other }) => other,
      "other / this": ({ difference }) => difference,
      noise: ({ noise }) => noise,
      verdict: ({ verdict }) => verdict,
    },
  },
  {
    title: "Seal: request object to package bytes",
    text: "Medians of single calls, one right after the other; × is how many times as fast nomyo-native is. MB/s: bytes of the serialised request.",
    items: results(["seal"], undefined),
    compare: median,
  },
  {
    title: "Seal, with a pause before each",
    text: "As above, but a millisecond after the call before: the next AES key has been wrapped meanwhile, on another core.",
    items: results(["seal"], "paced"),
    compare: median,
  },
  {
    title: "Open: package bytes to answer object, RSA included",
    text: "All of these open with a 4096-bit private key, which is most of the time up to 1 MB.",
    items: results(["open"], undefined),
    compare: median,
  },
  {
    title: "Open, without the RSA step",
    text: "Less each contender's own time for a 2-byte package. From 1 MB on: what smaller ones take is lost in the spread of RSA itself.",
    items: (report) => results(["open"], undefined)(report).filter(({ size }) => size >= MiB),
    compare: withoutFixed,
  },
  {
    title: "Node's own crypto, several ways",
    text: "The yardstick, checked: ways of building the same package with Node alone.",
    items: results(["seal", "open"], "variants"),
    columns: {
      job: ({ kind, size }) => `${kind} ${sizeText(size)}`,
      way: nameOf,
      median: time("median"),
      "p10 – p90": spread,
      "nomyo-native is": (item, items) => {
        const own = items.find((one) => one.case === item.case && one.contender === "native");
        return own === undefined || own === item ? "" : ratio(item.median / own.median);
      },
    },
  },
  {
    title: "Growth with size",
    text: "Exponent b of cost = a · size^b by least squares on logarithms, 1 KB to 9 MB, ASCII, a millisecond after the call before; beside it that of the part that depends on the size, from 16 KB on.",
    items: ({ growth }) => growth,
    columns: {
      job: ({ kind }) => kind,
      contender: nameOf,
      exponent: ({ exponent }) => exponent.toFixed(3),
      "variable part": ({ exponentOfVariablePart: part }) => part.toFixed(3),
      medians: ({ points }) => points.map((one) => `${sizeText(one.size)} ${milliseconds(one.median)}`).join(", "),
    },
  },
  {
    title: "RSA and keys",
    text: "nomyo-native's private operation is the opening of a whole 2-byte package, on another thread and back; the others' is the bare operation.",
    items: results(["rsa", "keygen"]),
    columns: list,
  },
  {
    title: "AES-256-GCM and base64 alone",
    text: "What the steps cost by themselves, outside this package.",
    items: results(["aes", "base64"]),
    compare: median,
  },
  {
    title: "Attestation verification",
    text: "nomyo-native makes all its checks; the others check one signature of that kind over the same bytes.",
    items: results(["attestation"]),
    columns: list,
  },
  {
    title: "The JavaScript thread during private operations",
    text: "Delay of a 1 ms timer beyond that millisecond, with twice as many operations under way as there are cores.",
    items: results(["stall"]),
    columns: {
      contender: nameOf,
      median: time("median"),
      "99 %": time("p99"),
      "99.9 %": time("p999"),
      "longest of a round": time("max"),
      worst: time("worst"),
      operations: ({ completed }) => String(completed),
    },
  },
  {
    title: "Whole requests through the local router",
    text: "1 KB requests; client and router are processes of their own that share this machine's cores, so the router's private operation is in the latency too. HTTP alone posts a package made beforehand and does not open the answer; HTTP and RSA alone adds one bare private operation of Node's, off the JavaScript thread: under this load that takes longer than `openssl speed` tells.",
    items: (report) => results(["router"])(report).filter(({ contender }) => contender !== "openssl"),
    columns: {
      "in flight": ({ inFlight }) => String(inFlight),
      client: nameOf,
      "requests/s": ({ requestsPerSecond }) => requestsPerSecond.toFixed(0),
      median: time("median"),
      "p10 – p90": spread,
      "99 %": time("p99"),
      "client CPU each": time("clientCpuMs"),
      "router CPU each": time("routerCpuMs"),
      "event loop 99 % / longest": ({ stall }) => `${milliseconds(stall.p99)} / ${milliseconds(stall.max)}`,
      "RSS before → after": ({ rssBefore, rssAfter }) => `${mebibytes(rssBefore)} → ${mebibytes(rssAfter)}`,
    },
  },
  {
    title: "The openai package, and the proxy",
    text: "1 KB requests, neither streamed nor attested. Client and servers are processes of their own that share this machine's cores; the plain reverse proxy hands on to a model that answers at once, so that it is the cost of HTTP alone: nothing is sealed, and there is no private operation.",
    items: results(["proxy"]),
    columns: {
      "in flight": ({ inFlight }) => String(inFlight),
      client: nameOf,
      "requests/s": ({ requestsPerSecond }) => requestsPerSecond.toFixed(0),
      median: time("median"),
      "p10 – p90": spread,
      "99 %": time("p99"),
      "client CPU each": time("clientCpuMs"),
      "servers' CPU each": time("routerCpuMs"),
    },
  },
  {
    title: "Memory over many requests",
    text: "The client's process, every tenth of the run; the pool is the locked memory.",
    items: (report) =>
      results(["soak"])(report).flatMap(({ memory }) =>
        memory.filter((_, index) => index % Math.max(1, Math.floor((memory.length - 1) / 10)) === 0),
      ),
    columns: {
      requests: ({ requests }) => requests.toLocaleString("en"),
      RSS: ({ rss }) => mebibytes(rss),
      "pool mapped": ({ pool }) => mebibytes(pool.bytesMapped),
      "pool in use": ({ pool }) => `${(pool.bytesInUse / 1024).toFixed(0)} KiB`,
      "allocations alive": ({ pool }) => String(pool.allocations),
    },
  },
  {
    title: "Process start",
    text: "A fresh process each time: `import`, then the constructor, then (nomyo-native) until its RSA-4096 key is there.",
    items: results(["start"]),
    columns: {
      package: nameOf,
      import: time("median"),
      "p10 – p90": spread,
      constructor: time("construct"),
      "key there": ({ ready }) => (ready === undefined ? "" : milliseconds(ready.median)),
    },
  },
  {
    title: "The C++ core alone",
    text: "native/bench, google-benchmark: medians, without Node.",
    items: results(["core"]),
    columns: {
      benchmark: ({ label }) => label,
      median: time("median"),
      rate: ({ bytesPerSecond }) => (bytesPerSecond === undefined ? "" : rate(bytesPerSecond / 1000)),
    },
  },
];

/** @returns {{title: string, text: string, columns: string[], rows: string[][]}[]} those for which something was measured */
export function filled(report) {
  return sections
    .filter(({ isOfBuilds = false }) => isOfBuilds === report.builds.length > 0)
    .map(({ items, ...section }) => ({ ...section, items: items(report) }))
    .filter(({ items }) => items.length > 0)
    .map(({ title, text, items, columns, compare }) => {
      if (compare !== undefined) return { title, text, ...comparison(items, compare) };
      const rows = items.map((item) => Object.values(columns).map((cell) => cell(item, items)));
      return { title, text, columns: Object.keys(columns), rows };
    });
}

/** Machine and versions, as lines of a name and a value. */
export function surroundings({ machine, versions, startedAt, seconds, quick, rounds }) {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB; load at the start ${machine.loadAtStart.toFixed(2)}`;
  const build = `${versions.nomyoNative} (${versions.buildType}, ${versions.compiler})`;
  const { python, cryptography } = versions;
  return [
    ["machine", `${machine.cpu}, ${machine.cores} cores, ${memory}`],
    ["system", `${machine.system}; memory locked by ${machine.memoryLocking}`],
    ["nomyo-native", `${build}, ${versions.opensslNative}`],
    ["Node", `${versions.node}, V8 ${versions.v8}, OpenSSL ${versions.opensslNode}`],
    ["openssl", versions.opensslCommand ?? "not installed"],
    [
      "Python",
      cryptography === undefined
        ? "cryptography is not installed"
        : `${python}, cryptography ${cryptography}, ${versions.opensslCryptography}`,
    ],
    ["run", `${startedAt}, ${seconds.toFixed(0)} s, ${rounds} rounds${quick ? ", --quick: rough figures" : ""}`],
  ];
}
