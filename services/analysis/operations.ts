/** The seven analyses by name: a request's options, with what stands for those that are left out, to an answer. Pure. */
import { type Anova, anova } from "./anova.ts";
import { type Correlations, correlateColumns, type Method } from "./correlate.ts";
import { type Description, describeColumns } from "./describe.ts";
import type { Alternative } from "./distributions.ts";
import type { Frame } from "./frame.ts";
import { countInBins, type Histogram, type HistogramOptions } from "./histogram.ts";
import type { Model } from "./holt-winters.ts";
import { type Regression, regress } from "./regress.ts";
import type { Seasonal } from "./season.ts";
import { type TTest, tTest } from "./t-test.ts";
import { analyseSeries, type TimeSeries } from "./time-series.ts";

/** What each analysis answers. */
export interface Answers {
  readonly describe: Description;
  readonly correlate: Correlations;
  readonly regress: Regression;
  readonly tTest: TTest;
  readonly anova: Anova;
  readonly histogram: Histogram;
  readonly timeSeries: TimeSeries;
}

/** The name of an analysis, as its method in the contract. */
export type Operation = keyof Answers;

/** The fields of the requests that say what to do with the data. "", 0, false and [] stand for what a caller leaves out. */
export interface Options {
  readonly categorical?: readonly string[];
  readonly confidenceLevel?: number;
  readonly variables?: readonly string[];
  readonly groupBy?: string;
  readonly quantiles?: readonly number[];
  readonly method?: string;
  readonly missing?: string;
  readonly response?: string;
  readonly predictors?: readonly string[];
  readonly noIntercept?: boolean;
  readonly variable?: string;
  readonly group?: string;
  readonly second?: string;
  readonly paired?: boolean;
  readonly equalVariances?: boolean;
  readonly mean?: number;
  readonly alternative?: string;
  readonly factors?: readonly string[];
  readonly interaction?: boolean;
  readonly tukey?: boolean;
  readonly rule?: string;
  readonly bins?: number;
  readonly breaks?: readonly number[];
  readonly time?: string;
  readonly frequency?: number;
  readonly seasonal?: string;
  readonly maxLag?: number;
  readonly model?: string;
  readonly horizon?: number;
  readonly alpha?: number | undefined;
  readonly beta?: number | undefined;
  readonly gamma?: number | undefined;
}

/** Each analysis, with all that a plot of it shows; the contract holds texts to the words that are meant here. */
export const operations = {
  describe: (frame: Frame, { variables = [], categorical = [], groupBy = "", quantiles = [], ...rest }: Options) => ({
    answer: describeColumns(frame, { variables, categorical, groupBy, quantiles, confidence: confidenceOf(rest) }),
  }),
  correlate: (frame: Frame, { variables = [], method, missing, ...rest }: Options) => ({
    answer: correlateColumns(frame, {
      variables,
      method: (method || "pearson") as Method,
      missing: (missing || "pairwise") as "pairwise" | "listwise",
      confidence: confidenceOf(rest),
    }),
  }),
  regress: (frame: Frame, { response = "", predictors = [], categorical = [], noIntercept = false, ...rest }: Options) =>
    regress(frame, { response, predictors, categorical, noIntercept, confidence: confidenceOf(rest) }),
  tTest: (
    frame: Frame,
    { variable = "", group = "", second = "", paired = false, equalVariances = false, mean = 0, ...rest }: Options,
  ) =>
    tTest(frame, {
      ...{ variable, group, second, paired, equalVariances, mean },
      alternative: (rest.alternative || "two_sided") as Alternative,
      confidence: confidenceOf(rest),
    }),
  anova: (frame: Frame, { response = "", factors = [], interaction = false, tukey = false, ...rest }: Options) =>
    anova(frame, { response, factors, interaction, tukey, confidence: confidenceOf(rest) }),
  histogram: (frame: Frame, { variable = "", rule, bins = 0, breaks = [], ...rest }: Options) =>
    countInBins(frame, {
      ...{ variable, bins, breaks },
      rule: (rule || "sturges") as HistogramOptions["rule"],
      confidence: confidenceOf(rest),
    }),
  timeSeries: (
    frame: Frame,
    { variable = "", time = "", frequency, seasonal, maxLag = 0, model, horizon = 0, ...rest }: Options,
  ) =>
    analyseSeries(frame, {
      ...{ variable, time, maxLag, horizon, alpha: rest.alpha, beta: rest.beta, gamma: rest.gamma },
      frequency: frequency || 1,
      seasonal: (seasonal || "additive") as Seasonal,
      model: (model || undefined) as Model | "none" | undefined,
      confidence: confidenceOf(rest),
    }),
} satisfies { [O in Operation]: (frame: Frame, options: Options) => { readonly answer: Answers[O] } };

/** The confidence level of all intervals; 0.95 when none is asked for. */
export function confidenceOf({ confidenceLevel }: Options): number {
  return confidenceLevel || 0.95;
}
