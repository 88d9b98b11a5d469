/** A chart in echarts' words. */
import type { EChartsOption, SeriesOption } from "echarts";
import type { BoxChart, Chart, ChartAxis, HeatChart, HistogramChart, PointSeries, Tone, ValueSeries } from "./chart.ts";

/** The option of a chart. */
export function optionOf(chart: Chart): EChartsOption {
  const series = seriesOf(chart);
  const [first, ...others] = series;
  const behind = { ...bandsOf(chart), ...marksOf(chart) };
  const named = namesOf(chart);
  return {
    animation: false,
    useUTC: true,
    color: palette,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "sans-serif" },
    title: { text: clean(chart.title), left: "center", top: 8, textStyle: { fontSize: 15 } },
    // One name says no more than the title.
    ...(named.length > 1 ? { legend: { data: named, bottom: 4, type: "plain", selectedMode: false } } : {}),
    grid: {
      left: 16,
      right: chart.kind === "heat" ? 72 : 24,
      top: 48,
      bottom: named.length > 1 ? 40 : 16,
      outerBoundsMode: "same",
      outerBoundsContain: "all",
    },
    ...axesOf(chart),
    ...(chart.kind === "heat" ? { visualMap: coloursOf(chart) } : {}),
    series: first === undefined ? [] : [{ ...first, ...behind } as SeriesOption, ...others],
  };
}

/** Told apart by those who see few colours, too (Okabe and Ito). */
const palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f7f", "#999933"];

const colours: Readonly<Record<Tone, string>> = { good: "#009e73", warning: "#e69f00", bad: "#d55e00", neutral: "#7f7f7f" };

function namesOf(chart: Chart): string[] {
  if (chart.kind === "histogram" || chart.kind === "box" || chart.kind === "heat") return [];
  const lines = "lines" in chart ? (chart.lines ?? []) : [];
  return [...chart.series, ...lines].map(({ name }) => clean(name));
}

function seriesOf(chart: Chart): SeriesOption[] {
  switch (chart.kind) {
    case "line":
      return chart.series.map((series) => ({
        ...lineOf(series),
        ...(chart.filled === true ? { areaStyle: { opacity: 0.15 } } : {}),
      }));
    case "bar":
      return [...chart.series.map((series) => barOf(series, chart.stacked === true)), ...(chart.lines ?? []).map(valueLineOf)];
    case "scatter":
      return [...chart.series.map(pointsOf), ...(chart.lines ?? []).map(lineOf)];
    case "histogram":
      return [binsOf(chart)];
    case "box":
      return boxesOf(chart);
    case "heat":
      return [cellsOf(chart)];
  }
}

function lineOf({ name, points, tone }: PointSeries): SeriesOption {
  const data = points.map(([x, y]) => [x, gap(y)]);
  return { ...common(name, tone), type: "line", data, showSymbol: data.length <= 60, symbolSize: 5, sampling: "lttb", z: 3 };
}

function valueLineOf({ name, values, tone }: ValueSeries): SeriesOption {
  return { ...common(name, tone), type: "line", data: values.map(gap), symbolSize: 5, showSymbol: values.length <= 60, z: 3 };
}

function barOf({ name, values, tone }: ValueSeries, stacked: boolean): SeriesOption {
  return { ...common(name, tone), type: "bar", data: values.map(gap), barMaxWidth: 48, ...(stacked ? { stack: "all" } : {}) };
}

function pointsOf({ name, points, tone }: PointSeries): SeriesOption {
  const symbolSize = points.length > 2000 ? 3 : 6;
  return { ...common(name, tone), type: "scatter", data: points.map(([x, y]) => [x, gap(y)]), symbolSize };
}

/** Bars from edge to edge, which echarts' own bars are not on an axis of numbers. */
function binsOf({ bins }: HistogramChart): SeriesOption {
  return {
    ...common("count", undefined),
    type: "custom",
    encode: { x: [0, 1], y: 2 },
    data: bins.map(({ from, to, count }) => [from, to, count]),
    renderItem: (_params, api) => {
      const [left = 0, top = 0] = api.coord([api.value(0), api.value(2)]);
      const [right = 0, bottom = 0] = api.coord([api.value(1), 0]);
      const shape = { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
      return { type: "rect", shape, style: { fill: palette[0] ?? "", stroke: "#ffffff", lineWidth: 1 } };
    },
  };
}

function boxesOf({ boxes }: BoxChart): SeriesOption[] {
  const itemStyle = { color: "#d6e6f2", borderColor: palette[0] ?? "" };
  const outliers = boxes.flatMap((box, at) => box.outliers.map((value) => [at, value]));
  return [
    {
      ...common("boxes", undefined),
      type: "boxplot",
      data: boxes.map(({ values }) => [...values]),
      itemStyle,
      boxWidth: [8, 56],
    },
    { ...common("outliers", undefined), type: "scatter", data: outliers, symbolSize: 4 },
  ];
}

function cellsOf({ values }: HeatChart): SeriesOption {
  const data = values.flatMap((row, y) => row.map((value, x) => [x, y, gap(value) ?? "-"]));
  // Numbers in cells that are too small for them would cover each other.
  const label = { show: values.length <= 16, fontSize: 10, color: "#202124", formatter: cellText };
  return { ...common("cells", undefined), type: "heatmap", data, label, itemStyle: { borderColor: "#ffffff", borderWidth: 1 } };
}

function cellText({ value }: { value?: unknown }): string {
  const number: unknown = Array.isArray(value) ? value[2] : undefined;
  return typeof number === "number" ? number.toFixed(2) : "";
}

/** From orange over white to blue, which those who see few colours tell apart. */
function coloursOf({ range: [min, max] }: HeatChart) {
  const inRange = { color: [colours.bad, "#ffffff", palette[0] ?? ""] };
  return { type: "continuous", min, max, inRange, orient: "vertical", right: 4, top: "middle", itemHeight: 160 } as const;
}

function common(name: string, tone: Tone | undefined) {
  return { name: clean(name), silent: true, ...(tone === undefined ? {} : { color: colours[tone] }) } as const;
}

function axesOf(chart: Chart): Pick<EChartsOption, "xAxis" | "yAxis"> {
  if (chart.kind === "heat") {
    const names = (texts: readonly string[]) => ({
      type: "category" as const,
      data: texts.map(clean),
      splitArea: { show: false },
    });
    return {
      xAxis: { ...names(chart.columns), axisLabel: { rotate: chart.columns.length > 8 ? 45 : 0 } },
      yAxis: { ...names(chart.rows), inverse: true },
    };
  }
  const along = placeAxis(chart);
  const values = { type: "value", ...naming(chart.y, "y"), scale: chart.y?.loose === true } as const;
  if (chart.kind === "bar" && chart.horizontal === true) {
    return { xAxis: { ...values, ...naming(chart.y, "x") }, yAxis: { ...along, inverse: true } } as Pick<
      EChartsOption,
      "xAxis" | "yAxis"
    >;
  }
  return { xAxis: along, yAxis: values } as Pick<EChartsOption, "xAxis" | "yAxis">;
}

function placeAxis(chart: Exclude<Chart, HeatChart>): object {
  const horizontal = chart.kind === "bar" && chart.horizontal === true;
  const names = naming(chart.x, horizontal ? "y" : "x");
  const labels =
    chart.kind === "bar"
      ? chart.labels
      : chart.kind === "box"
        ? chart.boxes.map(({ name }) => name)
        : chart.kind === "line" && chart.places.kind === "labels"
          ? chart.places.labels
          : undefined;
  if (labels !== undefined) return { type: "category", data: labels.map(clean), ...names };
  const places = chart.kind === "line" ? chart.places.kind : chart.kind === "scatter" ? chart.places : "numbers";
  return { type: places === "times" ? "time" : "value", scale: chart.x?.loose !== false, splitLine: { show: false }, ...names };
}

function naming({ name, min, max }: ChartAxis = {}, side: "x" | "y"): object {
  return {
    ...(name === undefined ? {} : { name: clean(name), nameLocation: "middle", nameGap: side === "x" ? 28 : 48 }),
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  };
}

function bandsOf({ bands = [] }: Chart): object {
  if (bands.length === 0) return {};
  const data = bands.map(({ name, from, to, tone }) => [
    {
      name: clean(name),
      ...(from === undefined ? { y: "max" } : { yAxis: from }),
      itemStyle: { color: colours[tone], opacity: 0.12 },
    },
    to === undefined ? { yAxis: "max" } : { yAxis: to },
  ]);
  return { markArea: { silent: true, label: { position: "insideTopLeft", color: "#54555a", fontSize: 10 }, data } };
}

function marksOf({ marks = [] }: Chart): object {
  if (marks.length === 0) return {};
  const data = marks.map(({ name, axis, value, tone = "neutral" }) => ({
    name: clean(name),
    ...(axis === "x" ? { xAxis: value } : { yAxis: value }),
    lineStyle: { color: colours[tone], type: "dashed", width: 1 },
  }));
  const label = { formatter: "{b}", position: "insideEndTop", color: "#54555a", fontSize: 10 };
  return { markLine: { silent: true, symbol: "none", label, data } };
}

/** echarts draws nothing for null; NaN and infinities would stop it. */
function gap(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

/** XML has no control characters and no halves of surrogate pairs. */
function clean(text: string): string {
  return text.toWellFormed().replaceAll(/[\p{Cc}\ufffe\uffff]/gu, " ");
}
