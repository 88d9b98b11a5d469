/**
 * The spectrum check: Welch's estimate of the power spectral density (IEEE Trans. Audio Electroacoust. AU-15, 1967), and the tone that
 * stands out of it. Pure; memory is that of one window.
 *
 *     window   Hann, periodic: w(j) = (1 - cos(2 pi j / L)) / 2, half overlapping, the least-squares line of each window taken away
 *     density  P(k) = 2 |X(k)|^2 / (rate * sum w^2), averaged over the windows; without the 2 at k = 0 and k = L/2
 *
 * which is what scipy.signal.welch(x, rate, nperseg=L, detrend="linear") gives. A missing sample has the value of the one before.
 */
import FFT from "fft.js";

/** Samples in a window, when there are as many. */
export const windowSize = 1024;
/** The fewest samples that a spectrum is made of. */
export const minSamples = 16;

/** What is kept of the samples so far. */
export interface Welch {
  /** The samples of the window that fills now. */
  window: Float64Array;
  filled: number;
  /** Sums of |X(k)|^2, k = 0 to windowSize / 2. */
  power: Float64Array;
  windows: number;
  /** The last sample that was a number; NaN before the first. */
  held: number;
}

/** The density, in unit^2 / Hz, at 0, resolution, 2 * resolution, ... */
export interface Spectrum {
  readonly windowSize: number;
  readonly windows: number;
  readonly resolutionHz: number;
  readonly density: Float64Array;
}

/** The highest peak of a spectrum; all zeros when there is none. */
export interface Peak {
  readonly frequencyHz: number;
  readonly rms: number;
  readonly prominenceDb: number;
}

/** No samples yet. */
export function emptyWelch(): Welch {
  return {
    window: new Float64Array(windowSize),
    filled: 0,
    power: new Float64Array(windowSize / 2 + 1),
    windows: 0,
    held: Number.NaN,
  };
}

/** Takes in the next samples. */
export function addToWelch(welch: Welch, samples: Float64Array): void {
  const { window } = welch;
  let { held, filled } = welch;
  for (let at = 0; at < samples.length; at++) {
    const value = samples[at] as number;
    if (Number.isFinite(value)) held = value;
    else if (Number.isNaN(held)) continue;
    window[filled++] = held;
    if (filled < windowSize) continue;
    addPower(window, 0, windowSize, welch.power);
    welch.windows++;
    window.copyWithin(0, windowSize / 2);
    filled = windowSize / 2;
  }
  welch.held = held;
  welch.filled = filled;
}

/** The spectrum of all that was taken in; undefined below 16 samples. `rate` is in samples per second. */
export function spectrumOf({ window, filled, power, windows }: Welch, rate: number): Spectrum | undefined {
  if (windows > 0) return scaled(power, windows, windowSize, rate);
  if (filled < minSamples) return undefined;
  const size = 2 ** Math.floor(Math.log2(filled));
  const short = new Float64Array(size / 2 + 1);
  let count = 0;
  for (let start = 0; start + size <= filled; start += size / 2, count++) addPower(window, start, size, short);
  return scaled(short, count, size, rate);
}

/** How far from a peak its power may lie: the Hann window spreads a tone over two bins to each side. */
const spread = 2;
/** Below, a window holds too few cycles to tell a tone from a trend. */
const firstBin = 2;
/** In decibels: what a peak over nothing at all is said to have. */
const maxProminence = 200;

/** The highest peak. What is below 1e-12 of `scale`, the greatest magnitude of a sample, is rounding and no tone. */
export function peakOf({ density, resolutionHz }: Spectrum, scale: number): Peak {
  let top = firstBin;
  for (let k = firstBin; k < density.length; k++) if ((density[k] as number) > (density[top] as number)) top = k;
  let power = 0;
  for (let k = Math.max(1, top - spread); k <= Math.min(density.length - 1, top + spread); k++) power += density[k] as number;
  const rms = Math.sqrt(power * resolutionHz);
  if (rms <= 1e-12 * scale) return { frequencyHz: 0, rms: 0, prominenceDb: 0 };
  const rest = density.slice(firstBin).sort();
  const middle = rest.length >> 1;
  const median = rest.length % 2 === 1 ? (rest[middle] as number) : ((rest[middle - 1] as number) + (rest[middle] as number)) / 2;
  const prominenceDb = Math.min(maxProminence, 10 * Math.log10((density[top] as number) / median));
  return { frequencyHz: (top + offset(density, top)) * resolutionHz, rms, prominenceDb };
}

/**
 * How far the tone lies from its highest bin, in bins: Grandke's rule for the Hann window (IEEE Trans. Instrum. Meas. IM-32, 1983). With
 * the amplitudes a of the peak and b of its greater neighbour, (2b - a) / (a + b), towards that neighbour.
 */
function offset(density: Float64Array, top: number): number {
  const below = Math.sqrt(density[top - 1] as number);
  const above = Math.sqrt(density[top + 1] ?? 0);
  const amplitude = Math.sqrt(density[top] as number);
  const neighbour = Math.max(below, above);
  // Noise can make a neighbour smaller than any tone would.
  const distance = Math.max(0, (2 * neighbour - amplitude) / (amplitude + neighbour));
  return above >= below ? distance : -distance;
}

/** What a window size needs, made once per thread. */
interface Plan {
  readonly fft: FFT;
  readonly hann: Float64Array;
  readonly input: Float64Array;
  readonly output: number[];
}

const plans = new Map<number, Plan>();

function planFor(size: number): Plan {
  const known = plans.get(size);
  if (known !== undefined) return known;
  const fft = new FFT(size);
  const hann = Float64Array.from({ length: size }, (_, j) => (1 - Math.cos((2 * Math.PI * j) / size)) / 2);
  const plan = { fft, hann, input: new Float64Array(size), output: fft.createComplexArray() };
  plans.set(size, plan);
  return plan;
}

/** Adds |X(k)|^2 of one window to `power`. */
function addPower(samples: Float64Array, start: number, size: number, power: Float64Array): void {
  const { fft, hann, input, output } = planFor(size);
  const middle = (size - 1) / 2;
  let mean = 0;
  let covariance = 0;
  for (let j = 0; j < size; j++) mean += samples[start + j] as number;
  mean /= size;
  for (let j = 0; j < size; j++) covariance += (j - middle) * ((samples[start + j] as number) - mean);
  const slope = (covariance * 12) / (size * (size * size - 1));
  for (let j = 0; j < size; j++) {
    input[j] = ((samples[start + j] as number) - mean - slope * (j - middle)) * (hann[j] as number);
  }
  fft.realTransform(output, input);
  for (let k = 0; k <= size / 2; k++)
    power[k] = (power[k] as number) + (output[2 * k] as number) ** 2 + (output[2 * k + 1] as number) ** 2;
}

function scaled(power: Float64Array, windows: number, size: number, rate: number): Spectrum {
  // The sum of a periodic Hann window's squares is 3/8 of its length.
  const unit = 1 / (windows * rate * 0.375 * size);
  const density = power.map((sum, k) => (k === 0 || k === size / 2 ? sum : 2 * sum) * unit);
  return { windowSize: size, windows, resolutionHz: rate / size, density };
}
