// What a report shows, as sections of tables; tables.mjs and document.mjs only lay them out.
import { contenderNames, sizeText } from "../plan.mjs";
import { mebibytes, milliseconds, rate, ratio } from "./figures.mjs";

const spread = ({ p10, p90 }) => `${milliseconds(p10)} – ${milliseconds(p90)}`;
const nameOf = (contender) => contenderNames[contender] ?? contender;
const unique = (values) => [...new Set(values)];

/** @returns {{title: string, text: string, columns: string[], rows: string[][]}[]} those for which something was measured */
export function sections(report) {
  const of = (kind, labels) =>
    report.results.filter((result) => result.kind === kind && (labels === undefined || labels.includes(result.label)));
  const all = [
    {
      title: "Promised bounds",
      text: "Ratios within this one run. Opening without its RSA step: the whole less the opening of a 2-byte package, in the same process.",
      columns: ["job", "bound", "measured", "verdict"],
      rows: report.bounds.map(({ job, bound, measured, met }) => [
        ...[job, bound, measured],
        met === null ? "not shown" : met ? "met" : "NOT MET",
      ]),
    },
    {
      title: "Seal: request object to package bytes",
      text: "Medians of single calls, one right after the other; × is how many times as fast nomyo-native is. MB/s: bytes of the serialised request.",
      ...comparison(of("seal", [undefined]), ({ median }) => median),
    },
    {
      title: "Seal, with a pause before each",
      text: "As above, but a millisecond after the call before: the next AES key has been wrapped meanwhile, on another core.",
      ...comparison(of("seal", ["paced"]), ({ median }) => median),
    },
    {
      title: "Open: package bytes to answer object, RSA included",
      text: "All of these open with a 4096-bit private key, which is most of the time up to 1 MB.",
      ...comparison(of("open", [undefined]), ({ median }) => median),
    },
    {
      title: "Open, without the RSA step",
      text: "Less each contender's own time for a 2-byte package. From 1 MB on: what smaller ones take is lost in the spread of RSA itself.",
      ...comparison(
        of("open", [undefined]).filter(({ size }) => size >= 1024 * 1024),
        ({ median, fixed }) => median - fixed,
      ),
    },
    {
      title: "Node's own crypto, several ways",
      text: "The yardstick, checked: ways of building the same package with Node alone.",
      columns: ["job", "way", "median", "p10 – p90", "nomyo-native is"],
      rows: ["seal", "open"].flatMap((kind) =>
        of(kind, ["variants"]).map((result) => {
          const own = of(kind, ["variants"]).find(
            ({ size, contender }) => size === result.size && contender === "native",
          );
          const against = own === undefined || own === result ? "" : ratio(result.median / own.median);
          return [
            `${kind} ${sizeText(result.size)}`,
            nameOf(result.contender),
            milliseconds(result.median),
            spread(result),
            against,
          ];
        }),
      ),
    },
    {
      title: "Growth with size",
      text: "Exponent b of cost = a · size^b by least squares on logarithms, 1 KB to 9 MB, ASCII, a millisecond after the call before; beside it that of the part that depends on the size, from 16 KB on.",
      columns: ["job", "contender", "exponent", "variable part", "medians"],
      rows: report.growth.map(({ kind, contender, exponent, exponentOfVariablePart: part, points }) => [
        ...[kind, nameOf(contender), exponent.toFixed(3), part.toFixed(3)],
        points.map(({ size, median }) => `${sizeText(size)} ${milliseconds(median)}`).join(", "),
      ]),
    },
    {
      title: "RSA and keys",
      text: "nomyo-native's private operation is the opening of a whole 2-byte package, on another thread and back; the others' is the bare operation.",
      ...list(["rsa", "keygen"].flatMap((kind) => of(kind))),
    },
    {
      title: "AES-256-GCM and base64 alone",
      text: "What the steps cost by themselves, outside this package.",
      ...comparison(
        ["aes", "base64"].flatMap((kind) => of(kind)),
        ({ median }) => median,
      ),
    },
    {
      title: "Attestation verification",
      text: "nomyo-native makes all its checks; the others check the one signature.",
      ...list(of("attestation")),
    },
    {
      title: "The JavaScript thread during private operations",
      text: "Delay of a 1 ms timer beyond that millisecond, with twice as many operations under way as there are cores.",
      columns: ["contender", "median", "99 %", "99.9 %", "longest of a round", "worst", "operations"],
      rows: of("stall").map(({ contender, median, p99, p999, max, worst, completed }) => [
        nameOf(contender),
        ...[median, p99, p999, max, worst].map(milliseconds),
        String(completed),
      ]),
    },
    {
      title: "Whole requests through the local router",
      text: "1 KB requests; client and router are processes of their own that share this machine's cores, so the router's private operation is in the latency too. HTTP alone posts a package made beforehand and does not open the answer; HTTP and RSA alone adds one bare private operation of Node's, off the JavaScript thread: under this load that takes longer than `openssl speed` tells.",
      columns: [
        "in flight",
        "client",
        "requests/s",
        "median",
        "p10 – p90",
        "99 %",
        "client CPU each",
        "router CPU each",
        "event loop 99 % / longest",
        "RSS before → after",
      ],
      rows: of("router")
        .filter(({ contender }) => contender !== "openssl")
        .map((result) => [
          String(result.inFlight),
          nameOf(result.contender),
          result.requestsPerSecond.toFixed(0),
          milliseconds(result.median),
          spread(result),
          milliseconds(result.p99),
          milliseconds(result.clientCpuMs),
          milliseconds(result.routerCpuMs),
          `${milliseconds(result.stall.p99)} / ${milliseconds(result.stall.max)}`,
          `${mebibytes(result.rssBefore)} → ${mebibytes(result.rssAfter)}`,
        ]),
    },
    {
      title: "Memory over many requests",
      text: "The client's process, every tenth of the run; the pool is the locked memory.",
      columns: ["requests", "RSS", "pool mapped", "pool in use", "allocations alive"],
      rows: of("soak").flatMap(({ memory }) => {
        const step = Math.max(1, Math.floor((memory.length - 1) / 10));
        return memory
          .filter((_, index) => index % step === 0)
          .map(({ requests, rss, pool }) => [
            requests.toLocaleString("en"),
            mebibytes(rss),
            mebibytes(pool.bytesMapped),
            `${(pool.bytesInUse / 1024).toFixed(0)} KiB`,
            String(pool.allocations),
          ]);
      }),
    },
    {
      title: "Process start",
      text: "A fresh process each time: `import`, then the constructor, then (nomyo-native) until its RSA-4096 key is there.",
      columns: ["package", "import", "p10 – p90", "constructor", "key there"],
      rows: of("start").map((result) => [
        nameOf(result.contender),
        milliseconds(result.median),
        spread(result),
        milliseconds(result.construct),
        result.ready === undefined ? "" : milliseconds(result.ready.median),
      ]),
    },
    {
      title: "The C++ core alone",
      text: "native/bench, google-benchmark: medians, without Node.",
      columns: ["benchmark", "median", "rate"],
      rows: of("core").map(({ label, median, bytesPerSecond }) => [
        label,
        milliseconds(median),
        bytesPerSecond === undefined ? "" : rate(bytesPerSecond / 1000),
      ]),
    },
  ];
  return all.filter(({ rows }) => rows.length > 0);
}

/** One row per content and size, one column per contender, with ratios to nomyo-native (or to the first contender). */
function comparison(results, cost) {
  const contenders = unique(results.map(({ contender }) => contender));
  const first = contenders[0];
  const cases = unique(results.map((result) => result.case));
  const rows = cases.map((name) => {
    const own = results.find((result) => result.case === name && result.contender === first);
    const cells = contenders.flatMap((contender) => {
      const result = results.find((one) => one.case === name && one.contender === contender);
      if (result === undefined) return contender === first ? ["", ""] : ["", ""];
      const time = milliseconds(cost(result));
      if (contender === first) return [`${time} (${spreadOf(result, cost)})`, rate(result.size / cost(result))];
      return [time, own === undefined ? "" : ratio(cost(result) / cost(own))];
    });
    return [
      own?.content ?? results.find((one) => one.case === name).kind,
      sizeText(results.find((one) => one.case === name).size),
      ...cells,
    ];
  });
  return {
    columns: [
      "content",
      "size",
      ...contenders.flatMap((contender) => [nameOf(contender), contender === first ? "rate" : "×"]),
    ],
    rows,
  };
}

/** The spread of what `cost` takes: the fixed part is taken off both ends alike. */
function spreadOf(result, cost) {
  const off = result.median - cost(result);
  return spread({ p10: result.p10 - off, p90: result.p90 - off });
}

/** One row per result. */
function list(results) {
  return {
    columns: ["job", "contender", "median", "p10 – p90", "samples"],
    rows: results.map((result) => [
      result.case,
      nameOf(result.contender),
      milliseconds(result.median),
      spread(result),
      String(result.count),
    ]),
  };
}

/** Machine, versions and method, as lines of a name and a value. */
export function surroundings({ machine, versions, startedAt, seconds, quick, rounds }) {
  const lines = [
    [
      "machine",
      `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB; load at the start ${machine.loadAtStart.toFixed(2)}`,
    ],
    ["system", `${machine.system}; memory locked by ${machine.memoryLocking}`],
    [
      "nomyo-native",
      `${versions.nomyoNative} (${versions.buildType}, ${versions.compiler}), ${versions.opensslNative}`,
    ],
    ["Node", `${versions.node}, V8 ${versions.v8}, OpenSSL ${versions.opensslNode}`],
    ["openssl", versions.opensslCommand ?? "not installed"],
    [
      "Python",
      versions.cryptography === undefined
        ? "cryptography is not installed"
        : `${versions.python}, cryptography ${versions.cryptography}, ${versions.opensslCryptography}`,
    ],
    ["run", `${startedAt}, ${seconds.toFixed(0)} s, ${rounds} rounds${quick ? ", --quick: rough figures" : ""}`],
  ];
  return lines;
}
