/** Draws one chart: what runs in the thread. Everything of echarts is loaded here, and only what the kinds need. */
import { createHash } from "node:crypto";
import { BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import type { Chart } from "./chart.ts";
import { optionOf } from "./option.ts";
import { soundSvg } from "./svg.ts";

use([BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, ScatterChart, SVGRenderer]);
use([GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TitleComponent, VisualMapContinuousComponent]);

/** The chart as an SVG document. */
export default function draw(chart: Chart): string {
  const { title, description, width = 800, height = 400 } = chart;
  const canvas = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    canvas.setOption(optionOf(chart));
    const id = `c${createHash("sha256").update(JSON.stringify(chart)).digest("hex").slice(0, 10)}`;
    return soundSvg(canvas.renderToSVGString(), { id, title, description });
  } finally {
    canvas.dispose();
  }
}
