// The report as a picture: Apache ECharts draws SVG without a browser.
import { init } from "echarts";
import { contents } from "../../dist/bench/payload.js";
import { timeText } from "../../dist/bench/statistics.js";
import { contenderNames, sizeText } from "../cases.mjs";

const ink = "#222";
const colours = { native: "#0b5fff", node: "#2f9e44", webcrypto: "#e8590c", python: "#868e96" };
const contenders = Object.keys(colours);
const contentNames = { ascii: "ASCII", latin1: "Latin-1", cjk: "CJK + emoji", tools: "tool calls" };
const KiB = 1024;
/** Where the axis of sizes has its marks, and where it ends. */
const marks = [KiB, 32 * KiB, KiB * KiB, 9 * KiB * KiB];
const largest = marks.at(-1);

/**
 * Left column of panels, right column; upper row, lower row. Bars need height: a label is as high as its bar, and no
 * higher.
 */
const columns = [90, 690];
const rows = [
  { top: 130, height: 290 },
  { top: 540, height: 400 },
];
const size = { width: 1200, height: 1020 };

/** @returns {string} SVG */
export function picture(report) {
  const chart = init(null, undefined, { renderer: "svg", ssr: true, ...size });
  const panels = [
    curve(report, 0, "seal", "Seal: time by size, ASCII (shorter is better)"),
    curve(report, 1, "open", "Open, RSA included: time by size, ASCII (shorter is better)"),
    bars(report, 2, "seal", "Seal at 9 MB: MB/s (longer is better)", ({ median }) => median),
    bars(report, 3, "open", "Open at 9 MB, without RSA: MB/s (longer is better)", (one) => one.median - one.fixed),
  ];
  const all = (part) => panels.map((panel) => panel[part]);
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    textStyle: { fontFamily: "Helvetica, Arial, sans-serif", color: ink },
    color: Object.values(colours),
    title: [
      {
        text: "nomyo-native beside Node's crypto, Web Crypto and Python",
        subtext: caption(report),
        ...{ left: 30, top: 14, textStyle: { fontSize: 22, fontWeight: 600, color: ink } },
        subtextStyle: { fontSize: 12, color: "#666" },
      },
      ...all("title"),
    ],
    legend: {
      ...{ bottom: 10, left: "center", itemGap: 28, textStyle: { fontSize: 14 } },
      data: contenders.map((contender) => contenderNames[contender]),
    },
    ...{ grid: all("grid"), xAxis: all("xAxis"), yAxis: all("yAxis"), series: all("series").flat() },
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

function caption({ machine, versions, startedAt, quick }) {
  const parts = [
    `${machine.cpu}, ${machine.cores} cores`,
    `Node ${versions.node} (OpenSSL ${versions.opensslNode})`,
    `nomyo-native's ${versions.opensslNative}`,
    startedAt.slice(0, 10),
  ];
  return `${parts.join(" · ")}${quick ? " · quick run, rough figures" : ""}`;
}

function place(index, text) {
  const left = columns[index % 2];
  const { top, height } = rows[Math.floor(index / 2)];
  return {
    grid: { left, top, width: 450, height },
    title: { text, left: left - 60, top: top - 50, textStyle: { fontSize: 15, fontWeight: 600, color: ink } },
  };
}

const splitLine = { lineStyle: { color: "#e5e5e5" } };
const axisLabel = { fontSize: 12 };
/** What both series and axes of a panel have. */
const of = (index, contender) => ({
  ...{ name: contenderNames[contender], xAxisIndex: index, yAxisIndex: index },
});
const plain = (results, kind, contender, content) =>
  results.filter(
    (one) => one.kind === kind && one.contender === contender && one.content === content && one.label === undefined,
  );

/** Time over size, both logarithmic, which is said on the axes: a straight line at 45° is linear growth. */
function curve({ results }, index, kind, title) {
  const name = { nameTextStyle: { fontSize: 12, color: "#666" }, gridIndex: index };
  return {
    ...place(index, title),
    xAxis: {
      ...{ type: "log", logBase: 2, min: marks[0], max: largest },
      ...{ ...name, name: "size of the request, logarithmic scale", nameLocation: "middle", nameGap: 28 },
      axisLabel: { ...axisLabel, customValues: marks, formatter: sizeText },
      ...{ axisTick: { customValues: marks }, splitLine: { show: false } },
    },
    yAxis: {
      ...{ type: "log", logBase: 10, ...name, name: "time, logarithmic scale", nameLocation: "end" },
      ...{ axisLabel: { ...axisLabel, formatter: timeText }, splitLine },
    },
    series: contenders.map((contender) => {
      const points = plain(results, kind, contender, "ascii");
      const isOwn = contender === "native";
      return {
        ...{ type: "line", ...of(index, contender), symbol: "circle", symbolSize: 8 },
        ...{ lineStyle: { width: isOwn ? 3.5 : 2 }, z: isOwn ? 3 : 2 },
        data: points.map((point) => [point.size, point.median]),
        endLabel: {
          ...{ show: points.length > 0, color: colours[contender], fontSize: 12, distance: 6 },
          formatter: ({ value }) => timeText(value[1]),
        },
        labelLayout: { moveOverlap: "shiftY" },
      };
    }),
  };
}

/** Rates at the largest size, by content. */
function bars({ results }, index, kind, title, cost) {
  const rate = (contender, content) => {
    const result = plain(results, kind, contender, content).find((one) => one.size === largest);
    return result === undefined ? null : result.size / cost(result) / 1000;
  };
  const shown = contents.filter((content) => contenders.some((contender) => rate(contender, content) !== null));
  return {
    ...place(index, title),
    xAxis: { type: "value", gridIndex: index, axisLabel, splitLine },
    yAxis: {
      ...{ type: "category", gridIndex: index, inverse: true, axisTick: { show: false } },
      data: shown.map((content) => contentNames[content]),
      axisLabel: { ...axisLabel, width: 80, overflow: "break" },
    },
    series: contenders.map((contender) => ({
      ...{ type: "bar", ...of(index, contender), barGap: "15%", barCategoryGap: "20%", barMaxWidth: 24 },
      data: shown.map((content) => rate(contender, content)),
      label: {
        ...{ show: true, position: "right", distance: 4, fontSize: 11, lineHeight: 11 },
        formatter: ({ value }) => (value === null ? "" : mbps(value)),
      },
    })),
  };
}

const mbps = (value) => (value >= 99.5 ? value.toFixed(0) : value.toPrecision(2));
