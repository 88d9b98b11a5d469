/**
 * Charts as SVG, drawn by echarts in a thread of their own: a chart takes 20 to 100 ms, and loading the library up to a second,
 * which the event loop must not wait for. Neither is loaded before the first chart.
 */
import type { Piscina } from "piscina";
import type { Chart } from "./chart.ts";

/** Draws charts. */
export interface Charts extends AsyncDisposable {
  /**
   * A chart as an SVG document: the same bytes for the same chart, fit to stand in a page beside others.
   *
   * @throws RangeError for a size out of range; the signal's reason.
   */
  render(chart: Chart, signal?: AbortSignal): Promise<string>;
}

/** The thread ends when nobody has asked for so long, in milliseconds: it holds some 60 MB. */
const idleMs = 60_000;

/** Charts for a service: `const charts = scope.use(openCharts())`. Costs nothing until one is drawn. */
export function openCharts(): Charts {
  let pool: Promise<Piscina> | undefined;
  return {
    async render(chart, signal) {
      checkSize("width", chart.width, 200);
      checkSize("height", chart.height, 150);
      pool ??= openPool();
      return (await pool).run(chart, signal === undefined ? {} : { signal });
    },
    async [Symbol.asyncDispose]() {
      await (await pool)?.destroy();
    },
  };
}

async function openPool(): Promise<Piscina> {
  const { Piscina } = await import("piscina");
  const filename = new URL("./draw.ts", import.meta.url).href;
  // What the library of plots takes, some 60 MB, and a chart of many points.
  const resourceLimits = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 16 };
  return new Piscina({ filename, minThreads: 0, maxThreads: 1, idleTimeout: idleMs, execArgv: [], resourceLimits });
}

/** Pixels up to which a chart may go in either direction. */
const maxPixels = 4000;

function checkSize(name: string, value: number | undefined, least: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= maxPixels)) return;
  throw new RangeError(`expected a ${name} of ${least} to ${maxPixels} pixels, got ${value}`);
}
