import assert from "node:assert/strict";
import type { Chart } from "./chart.ts";
import { type Charts, openCharts } from "./charts.ts";
import { optionOf } from "./option.ts";
import { soundSvg } from "./svg.ts";

const names = { title: "Title", description: "What it says." };
const kinds: readonly Chart[] = [
  {
    ...names,
    kind: "line",
    places: { kind: "times" },
    series: [
      { name: "a", points: Array.from({ length: 3000 }, (_, i) => [1.7e12 + i * 1000, i === 7 ? null : Math.sin(i / 300)]) },
    ],
    bands: [{ name: "normal", from: -0.5, to: 0.5, tone: "good" }],
    marks: [{ name: "limit", axis: "y", value: 0.9, tone: "bad" }],
  },
  {
    ...names,
    kind: "line",
    places: { kind: "labels", labels: ["x", "y"] },
    series: [
      {
        name: "a",
        points: [
          [0, 1],
          [1, 2],
        ],
      },
    ],
  },
  {
    ...names,
    kind: "bar",
    labels: ["one", "two"],
    series: [
      { name: "in", values: [1, null] },
      { name: "out", values: [-1, Number.NaN] },
    ],
    lines: [{ name: "net", values: [0, Number.POSITIVE_INFINITY] }],
    stacked: true,
  },
  { ...names, kind: "bar", labels: ["one", "two"], series: [{ name: "score", values: [1, 2] }], horizontal: true },
  {
    ...names,
    kind: "scatter",
    series: [{ name: "p", points: [[1, 1]] }],
    lines: [
      {
        name: "fit",
        points: [
          [0, 0],
          [2, 2],
        ],
      },
    ],
  },
  {
    ...names,
    kind: "histogram",
    bins: [
      { from: 0, to: 1, count: 3 },
      { from: 1, to: 4, count: 1 },
    ],
  },
  {
    ...names,
    kind: "box",
    boxes: [
      { name: "a", values: [1, 2, 3, 4, 5], outliers: [9, -3] },
      { name: "b", values: [0, 0, 0, 0, 0], outliers: [] },
    ],
  },
  {
    ...names,
    kind: "heat",
    columns: ["a", "b"],
    rows: ["c", "d"],
    values: [
      [1, -0.5],
      [null, Number.NaN],
    ],
    range: [-1, 1],
  },
];

describe("mesh/chart", () => {
  let charts: Charts;
  before(() => {
    charts = openCharts();
  });
  after(() => charts[Symbol.asyncDispose]());

  for (const chart of kinds) {
    it(`draws a ${chart.kind} of ${JSON.stringify(chart).length} characters as XML that names itself`, async () => {
      const svg = await charts.render(chart);
      assert.deepEqual(openTags(svg), []);
      assert.match(svg, /^<svg role="img" aria-labelledby="(c[0-9a-f]{10})-title \1-desc" width="800" height="400" /);
      assert.match(svg, /<title id="c[0-9a-f]{10}-title">Title<\/title>\n<desc id="c[0-9a-f]{10}-desc">What it says\.<\/desc>/);
      assert.doesNotMatch(svg, /zr\d|<style|@font-face|<script| class=|NaN|Infinity|undefined/);
    });
  }

  it("draws the same chart in the same bytes, in another thread and after other charts too", async () => {
    await using others = openCharts();
    const again = await Promise.all(kinds.toReversed().map((chart) => others.render(chart)));
    assert.deepEqual(again.reverse(), await Promise.all(kinds.map((chart) => charts.render(chart))));
  });

  it("keeps the ids of different charts apart, for a page that holds both", async () => {
    const [a = "", b = ""] = await Promise.all(kinds.slice(0, 2).map((chart) => charts.render(chart)));
    const ids = [...a.matchAll(/ id="([^"]+)"/g), ...b.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, used] of a.matchAll(/url\(#([^)]+)\)/g)) assert.ok(ids.includes(used));
  });

  it("writes texts as texts, whatever they hold", async () => {
    const hostile = `</text><script>alert(1)</script>"'&\u0000\u001b\ud800 class="x" url(#zr1-c0)`;
    const series = [
      { name: hostile, values: [1] },
      { name: "b", values: [2] },
    ];
    const bands = [{ name: hostile, from: 0, to: 1, tone: "good" }] as const;
    const chart = { kind: "bar", title: hostile, description: hostile, labels: [hostile], series, bands } as const;
    const svg = await charts.render({ ...chart, x: { name: hostile }, width: 1200 });
    assert.deepEqual(openTags(svg), []);
    assert.doesNotMatch(svg, /<script/);
    assert.ok(!/[^\P{Cc}\n]/u.test(svg) && svg.isWellFormed());
  });

  for (const size of [{ width: 199 }, { width: 4001 }, { height: 149 }, { height: 300.5 }, { width: Number.NaN }]) {
    it(`refuses ${JSON.stringify(size)}`, async () => {
      const chart: Chart = { ...names, kind: "histogram", bins: [], ...size };
      await assert.rejects(charts.render(chart), RangeError);
    });
  }

  it("ends a chart that is not wanted any more with the signal's reason", async () => {
    const chart: Chart = { ...names, kind: "histogram", bins: [] };
    await assert.rejects(charts.render(chart, AbortSignal.abort()), { name: "AbortError" });
  });

  it("gives an open band the end of the axis, and a value without a tone the palette's colour", () => {
    const bands = [{ name: "high", from: 3, tone: "bad" }] as const;
    const option = optionOf({ ...names, kind: "scatter", series: [{ name: "p", points: [] }], bands });
    const [series] = option.series as { markArea: { data: unknown }; color?: string }[];
    assert.deepEqual(series?.color, undefined);
    assert.deepEqual(series?.markArea.data, [
      [{ name: "high", yAxis: 3, itemStyle: { color: "#d55e00", opacity: 0.12 } }, { yAxis: "max" }],
    ]);
  });
});

describe("mesh/chart/svg", () => {
  it("replaces echarts' counted ids and leaves the same words in texts alone", () => {
    const made =
      '<svg width="1"><g id="zr7-c0" class="zr7-cls-1" clip-path="url(#zr7-c0)"><text>id=&quot;zr7-c0&quot; zr7-</text></g></svg>';
    const sound = soundSvg(made, { id: "k", title: "A & B", description: "<d>" });
    const head =
      '<svg role="img" aria-labelledby="k-title k-desc" width="1">\n<title id="k-title">A &amp; B</title>\n<desc id="k-desc">&lt;d&gt;</desc>';
    assert.equal(sound, `${head}<g id="k-c0" clip-path="url(#k-c0)"><text>id=&quot;zr7-c0&quot; zr7-</text></g></svg>`);
  });
});

/** The tags that are open at the end of a document; throws where one does not fit. */
function openTags(xml: string): string[] {
  const open: string[] = [];
  for (const [tag, end, name = "", empty] of xml.matchAll(/<(\/?)([\w:]+)(?: [\w:-]+="[^"<]*")* ?(\/?)>|<[^>]*>/g)) {
    assert.notEqual(name, "", tag);
    if (end === "/") assert.equal(open.pop(), name);
    else if (empty === "") open.push(name);
  }
  return open;
}
