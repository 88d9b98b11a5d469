/** What a chart shows, as plain data: it can cross to a thread, and the same data always makes the same picture. */

/** A chart of one of the kinds. */
export type Chart = LineChart | BarChart | ScatterChart | HistogramChart | BoxChart | HeatChart;

/** What all charts have. */
export interface ChartFrame {
  /** Stands above the chart and names it to those who cannot see it. */
  readonly title: string;
  /** What the chart says, in a sentence or two, for those who cannot see it. */
  readonly description: string;
  /** Pixels, 200 to 4000. Default 800. */
  readonly width?: number;
  /** Pixels, 150 to 4000. Default 400. */
  readonly height?: number;
  readonly x?: ChartAxis;
  readonly y?: ChartAxis;
  /** Ranges of y that have a meaning, such as what is normal, behind everything else. */
  readonly bands?: readonly ChartBand[];
  /** Values of x or y that have a meaning, such as a limit, as dashed lines. */
  readonly marks?: readonly ChartMark[];
}

/** How an axis is named and how far it goes. */
export interface ChartAxis {
  /** With the unit: `amount (EUR)`. */
  readonly name?: string;
  /** Default: what the data need, and 0. */
  readonly min?: number;
  readonly max?: number;
  /** True: the axis need not begin at 0. Default false for y, true for x. */
  readonly loose?: boolean;
}

/** A range of y. */
export interface ChartBand {
  readonly name: string;
  /** Absent: down to the end of the axis. */
  readonly from?: number;
  /** Absent: up to the end of the axis. */
  readonly to?: number;
  readonly tone: Tone;
}

/** A value with a meaning. */
export interface ChartMark {
  readonly name: string;
  readonly axis: "x" | "y";
  readonly value: number;
  readonly tone?: Tone;
}

/** What a colour is to say. Default of series: the next colour of the palette. */
export type Tone = "good" | "warning" | "bad" | "neutral";

/** Where the points of a line lie: one for each label, at numbers, or at times (milliseconds since the epoch, labelled in UTC). */
export type LinePlaces =
  | { readonly kind: "labels"; readonly labels: readonly string[] }
  | { readonly kind: "numbers" }
  | { readonly kind: "times" };

/** Lines over labels, numbers or times. Long ones are thinned to what the width can show, keeping their peaks. */
export interface LineChart extends ChartFrame {
  readonly kind: "line";
  readonly places: LinePlaces;
  /** Over labels: a point is [index of the label, y]. Null breaks the line. */
  readonly series: readonly PointSeries[];
  /** Fills the area under the lines. Default false. */
  readonly filled?: boolean;
}

/** Bars side by side or stacked, and lines above them. */
export interface BarChart extends ChartFrame {
  readonly kind: "bar";
  readonly labels: readonly string[];
  /** A value for each label; null for none. */
  readonly series: readonly ValueSeries[];
  readonly lines?: readonly ValueSeries[];
  /** Stacks the bars on each other; negative ones downwards. Default false. */
  readonly stacked?: boolean;
  /** Bars to the right, the first label on top. Default false. */
  readonly horizontal?: boolean;
}

/** Points, and lines through them. */
export interface ScatterChart extends ChartFrame {
  readonly kind: "scatter";
  /** Whether x is a number or a time (milliseconds since the epoch, labelled in UTC). Default numbers. */
  readonly places?: "numbers" | "times";
  readonly series: readonly PointSeries[];
  readonly lines?: readonly PointSeries[];
}

/** How many values lie in each bin. */
export interface HistogramChart extends ChartFrame {
  readonly kind: "histogram";
  /** Adjacent and ascending; not necessarily of one width. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[];
}

/** Box plots side by side. */
export interface BoxChart extends ChartFrame {
  readonly kind: "box";
  readonly boxes: readonly {
    readonly name: string;
    /** Where the lower whisker ends, lower quartile, median, upper quartile, and where the upper whisker ends. */
    readonly values: readonly [number, number, number, number, number];
    /** Values beyond the whiskers. */
    readonly outliers: readonly number[];
  }[];
}

/** A table of numbers as colours, each with its number in it. */
export interface HeatChart extends ChartFrame {
  readonly kind: "heat";
  readonly columns: readonly string[];
  /** From top to bottom. */
  readonly rows: readonly string[];
  /** A list for each row; null for none. */
  readonly values: readonly (readonly (number | null)[])[];
  /** What the colours go from and to; the middle is white. */
  readonly range: readonly [number, number];
}

/** Points of one name: [x, y]. */
export interface PointSeries {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number | null])[];
  readonly tone?: Tone;
}

/** Values of one name, one for each label. */
export interface ValueSeries {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly tone?: Tone;
}
