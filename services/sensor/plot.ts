/** A completed test as a picture: the signal with its verdict above, the spectrum below. */
import type { Chart, ChartMark, Tone } from "#mesh/chart/chart.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { failedChecks } from "./analysis.ts";
import type { Analysis, Curves, SensorTest } from "./sensor-test.ts";
import type { SensorType } from "./sensor-types.ts";

/** The test as an SVG document. The same test makes the same bytes. */
export async function drawTest(
  charts: Charts,
  test: SensorTest,
  type: SensorType,
  curves: Curves,
  signal?: AbortSignal,
): Promise<string> {
  const { analysis } = test;
  if (analysis === undefined) throw new Error("expected a completed test");
  const above = await charts.render(signalChart(test, analysis, type, curves), signal);
  const below = await charts.render(spectrumChart(test, analysis, type, curves), signal);
  return stack([above, below]);
}

const width = 900;
const height = 380;

/** The least and greatest sample of each stretch, the fitted line, and the limits when the samples come near them. */
export function signalChart(test: SensorTest, analysis: Analysis, type: SensorType, { bounds, stretch }: Curves): Chart {
  const { range, drift, mean } = analysis;
  const rate = test.sampleRateHz;
  const seconds = (index: number) => index / rate;
  const stretches = bounds.length / 2;
  // A stretch of which no sample is a number has no bounds, and breaks the line.
  const bound = (at: number, which: 0 | 1) => finite(bounds[2 * at + which]);
  const points = Array.from({ length: stretches }, (_, at) =>
    stretch === 1
      ? [[seconds(at), bound(at, 0)] as const]
      : [[seconds(at * stretch), bound(at, 0)] as const, [seconds((at + 0.5) * stretch), bound(at, 1)] as const],
  ).flat();
  const end = seconds(Math.max(0, test.sampleCount - 1));
  const line = [[0, mean - drift.drift / 2] as const, [end, mean + drift.drift / 2] as const];
  const tone = toneOf(test.verdict);
  const failed = failedChecks(analysis);
  const verdict = `${test.verdict?.toUpperCase()}${failed.length === 0 ? "" : `: ${failed.join(", ")}`}`;
  return {
    kind: "line",
    places: { kind: "numbers" },
    width,
    height,
    title: `${type.name}${test.sensorId === "" ? "" : ` ${test.sensorId}`} - ${verdict}`,
    description: `${test.sampleCount} samples from ${range.min} to ${range.max} ${type.unit}; drift ${drift.drift}; verdict ${verdict}.`,
    x: { name: "time (s)" },
    y: { name: type.unit, loose: true },
    series: [
      { name: "signal", points, ...(tone === undefined ? {} : { tone }) },
      { name: "fitted line", points: line, tone: "neutral" },
    ],
    marks: limitMarks(range, type),
  };
}

/** The amplitude spectral density: the square root of the power's, which is easier to see. */
export function spectrumChart(test: SensorTest, { spectrum }: Analysis, type: SensorType, { density }: Curves): Chart {
  const points = Array.from(density, (power, k) => [k * spectrum.resolutionHz, Math.sqrt(power)] as const);
  const found =
    spectrum.frequencyHz === 0
      ? "no peak"
      : `highest peak at ${spectrum.frequencyHz.toPrecision(4)} Hz, ${spectrum.prominenceDb.toFixed(1)} dB over the median`;
  const peak: ChartMark[] =
    spectrum.frequencyHz === 0
      ? []
      : [
          {
            name: `${spectrum.frequencyHz.toPrecision(4)} Hz`,
            axis: "x",
            value: spectrum.frequencyHz,
            tone: spectrum.outcome === "failed" ? "bad" : "neutral",
          },
        ];
  return {
    kind: "line",
    places: { kind: "numbers" },
    width,
    height,
    title: density.length === 0 ? "spectrum - too few samples" : `spectrum - ${found}`,
    description: `Welch's estimate from ${spectrum.windows} windows of ${spectrum.windowSize} samples; ${found}.`,
    x: { name: "frequency (Hz)", max: test.sampleRateHz / 2 },
    y: { name: `${type.unit} / sqrt(Hz)` },
    series: [{ name: "density", points }],
    marks: peak,
  };
}

/** A limit far from all samples would press them into a line. */
function limitMarks({ min, max, lowerLimit, upperLimit }: Analysis["range"], { unit }: SensorType): ChartMark[] {
  const margin = max - min;
  const all: ChartMark[] = [
    { name: `least possible ${lowerLimit} ${unit}`, axis: "y", value: lowerLimit, tone: "bad" },
    { name: `greatest possible ${upperLimit} ${unit}`, axis: "y", value: upperLimit, tone: "bad" },
  ];
  return all.filter(({ value }) => value >= min - margin && value <= max + margin);
}

function toneOf(verdict: SensorTest["verdict"]): Tone | undefined {
  if (verdict === "pass") return "good";
  return verdict === "fail" ? "bad" : undefined;
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** SVG documents below each other in one, which has the first one's title. */
function stack(pictures: readonly string[]): string {
  const placed = pictures.map((picture, at) => picture.replace(/^[\s\S]*?<svg /, `<svg y="${at * height}" `));
  const total = pictures.length * height;
  const size = `width="${width}" height="${total}" viewBox="0 0 ${width} ${total}"`;
  const title = /<title[^>]*>(.*?)<\/title>/s.exec(pictures[0] ?? "")?.[1] ?? "";
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" ${size}>\n<title>${title}</title>\n${placed.join("")}</svg>`;
}
