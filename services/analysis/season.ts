/** Trend, season and the rest of a series, by moving averages (decompose of R). Pure. */
import { meanOf } from "./moments.ts";
import { wrongField } from "./refusal.ts";

/** How a season acts. */
export type Seasonal = "additive" | "multiplicative";

/** The parts. */
export interface Decomposition {
  seasonal: Seasonal;
  figure: number[];
  firstIndex: number;
  trend: number[];
  remainder: number[];
}

/** Takes two seasons or more apart. */
export function decompose(values: Float64Array, frequency: number, seasonal: Seasonal): Decomposition {
  const additive = seasonal === "additive";
  if (!additive && values.includes(0)) throw wrongField("seasonal", "expected additive, since the series has a value of 0");
  const trend = movingAverage(values, frequency);
  const firstIndex = Math.floor(frequency / 2);
  const without = trend.map((level, at) => {
    const value = values[firstIndex + at] as number;
    return additive ? value - level : value / level;
  });
  const raw = Float64Array.from({ length: frequency }, (_, place) =>
    meanOf(without.filter((_value, at) => (firstIndex + at) % frequency === place)),
  );
  const mean = meanOf(raw);
  const figure = raw.map((value) => (additive ? value - mean : value / mean));
  const remainder = without.map((value, at) => {
    const season = figure[(firstIndex + at) % frequency] as number;
    return additive ? value - season : value / season;
  });
  return { seasonal, figure: Array.from(figure), firstIndex, trend: Array.from(trend), remainder: Array.from(remainder) };
}

/** The average of a season about each value that has half of one on both sides; of an even one the ends count half. */
function movingAverage(values: Float64Array, frequency: number): Float64Array {
  const half = Math.floor(frequency / 2);
  const edge = frequency % 2 === 0 ? 0.5 : 1;
  const averages = new Float64Array(values.length - 2 * half);
  for (let at = 0; at < averages.length; at++) {
    let sum = edge * ((values[at] as number) + (values[at + 2 * half] as number));
    for (let within = 1; within < 2 * half; within++) sum += values[at + within] as number;
    averages[at] = sum / frequency;
  }
  return averages;
}
