// The report as a picture: Apache ECharts draws SVG without a browser.
import { init } from "echarts";
import { contenderNames, sizeText } from "../plan.mjs";
import { contents } from "../../dist/bench/payload.js";

const width = 1200;
const height = 900;
const font = "Helvetica, Arial, sans-serif";
const ink = "#222";
const colours = { native: "#0b5fff", node: "#2f9e44", webcrypto: "#e8590c", python: "#868e96" };
const contenders = Object.keys(colours);
const contentNames = { ascii: "ASCII", latin1: "Latin-1", cjk: "CJK + emoji", tools: "tool calls" };
const largest = 9 * 1024 * 1024;

/** Left column of panels, right column; upper row, lower row. */
const columns = [90, 690];
const rows = [130, 545];
const panel = { width: 450, height: 290 };

/** @returns {string} SVG */
export function picture(report) {
  const chart = init(null, undefined, { renderer: "svg", ssr: true, width, height });
  const panels = [
    curve(report, 0, "seal", "Seal: time by size, ASCII (shorter is better)", ({ median }) => median),
    curve(report, 1, "open", "Open, RSA included: time by size, ASCII (shorter is better)", ({ median }) => median),
    bars(report, 2, "seal", "Seal at 9 MB: MB/s (longer is better)", ({ median }) => median),
    bars(
      report,
      3,
      "open",
      "Open at 9 MB, without RSA: MB/s (longer is better)",
      ({ median, fixed }) => median - fixed,
    ),
  ];
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    textStyle: { fontFamily: font, color: ink },
    color: contenders.map((contender) => colours[contender]),
    title: [
      {
        text: "nomyo-native beside Node's crypto, Web Crypto and Python",
        subtext: caption(report),
        left: 30,
        top: 14,
        textStyle: { fontSize: 22, fontWeight: 600, color: ink },
        subtextStyle: { fontSize: 12, color: "#666" },
      },
      ...panels.map(({ title }) => title),
    ],
    legend: {
      bottom: 10,
      left: "center",
      itemGap: 28,
      textStyle: { fontSize: 14 },
      data: contenders.map((contender) => contenderNames[contender]),
    },
    grid: panels.map(({ grid }) => grid),
    xAxis: panels.map(({ xAxis }) => xAxis),
    yAxis: panels.map(({ yAxis }) => yAxis),
    series: panels.flatMap(({ series }) => series),
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
  const top = rows[Math.floor(index / 2)];
  return {
    grid: { left, top, ...panel },
    title: { text, left: left - 60, top: top - 42, textStyle: { fontSize: 15, fontWeight: 600, color: ink } },
  };
}

const line = { lineStyle: { color: "#e5e5e5" } };

/** Time over size, both logarithmic: a straight line at 45° is linear growth. */
function curve({ results }, index, kind, title, cost) {
  const series = contenders.map((contender) => {
    const points = results.filter(
      (one) => one.kind === kind && one.contender === contender && one.content === "ascii" && one.label === undefined,
    );
    return {
      type: "line",
      name: contenderNames[contender],
      xAxisIndex: index,
      yAxisIndex: index,
      symbol: "circle",
      symbolSize: 8,
      lineStyle: { width: contender === "native" ? 3.5 : 2 },
      z: contender === "native" ? 3 : 2,
      data: points.map((point) => [point.size, cost(point)]),
      endLabel: {
        show: points.length > 0,
        formatter: ({ value }) => time(value[1]),
        color: colours[contender],
        fontSize: 12,
        distance: 6,
      },
      labelLayout: { moveOverlap: "shiftY" },
    };
  });
  return {
    ...place(index, title),
    xAxis: {
      type: "log",
      // Marks at 1 KB, 32 KB and 1 MB.
      logBase: 32,
      gridIndex: index,
      min: 1024,
      max: 2 ** 24,
      axisLabel: { fontSize: 12, formatter: (bytes) => (Math.log2(bytes) % 5 === 0 ? sizeText(bytes) : "") },
      axisTick: { show: false },
      splitLine: { show: false },
    },
    yAxis: {
      type: "log",
      logBase: 10,
      gridIndex: index,
      axisLabel: { fontSize: 12, formatter: time },
      splitLine: line,
    },
    series,
  };
}

/** Rates at the largest size, by content. */
function bars({ results }, index, kind, title, cost) {
  const rate = (contender, content) => {
    const result = results.find(
      (one) =>
        one.kind === kind &&
        one.contender === contender &&
        one.content === content &&
        one.size === largest &&
        one.label === undefined,
    );
    return result === undefined ? null : result.size / cost(result) / 1000;
  };
  const shown = contents.filter((content) => contenders.some((contender) => rate(contender, content) !== null));
  return {
    ...place(index, title),
    xAxis: { type: "value", gridIndex: index, axisLabel: { fontSize: 12 }, splitLine: line },
    yAxis: {
      type: "category",
      gridIndex: index,
      inverse: true,
      data: shown.map((content) => contentNames[content]),
      axisLabel: { fontSize: 12, width: 80, overflow: "break" },
      axisTick: { show: false },
    },
    series: contenders.map((contender) => ({
      type: "bar",
      name: contenderNames[contender],
      xAxisIndex: index,
      yAxisIndex: index,
      barGap: "10%",
      barCategoryGap: "28%",
      data: shown.map((content) => rate(contender, content)),
      label: {
        show: true,
        position: "right",
        fontSize: 11,
        formatter: ({ value }) => (value === null ? "" : mbps(value)),
      },
    })),
  };
}

const mbps = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));

function time(ms) {
  if (ms < 1) return `${Number((ms * 1000).toPrecision(3))} µs`;
  return ms < 1000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;
}
