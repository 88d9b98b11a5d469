/** Linear regression. Pure. */
import { designOf, type Term } from "./design.ts";
import { fProbability, tProbability, tQuantile } from "./distributions.ts";
import { columnOf, completeRows, type Frame, missingOf, numberColumn, valuesAt } from "./frame.ts";
import { type Fit, leastSquares } from "./least-squares.ts";
import { centralSum, meanOf, quantilesOf, quartiles } from "./moments.ts";
import { tooFew, wrongField } from "./refusal.ts";
import { around, finite, type Interval, type Missing, type Quantile, type TestResult } from "./results.ts";
import { shapiroWilk } from "./shapiro-wilk.ts";

/** What to regress. */
export interface RegressOptions {
  readonly response: string;
  readonly predictors: readonly string[];
  readonly categorical: readonly string[];
  readonly noIntercept: boolean;
  readonly confidence: number;
}

/** The answer. */
export interface Regression {
  coefficients: Coefficient[];
  count: number;
  residualDegreesOfFreedom: number;
  residualStandardError?: number;
  rSquared?: number;
  adjustedRSquared?: number;
  test?: TestResult;
  logLikelihood?: number;
  aic?: number;
  bic?: number;
  residuals: Quantile[];
  normalityTest?: TestResult;
  factors: { name: string; levels: string[] }[];
  missing: Missing;
}

/** One term. */
export interface Coefficient {
  name: string;
  predictor: string;
  level: string;
  aliased: boolean;
  estimate?: number;
  standardError?: number;
  interval?: Interval;
  test?: TestResult;
}

/** A regression with what a plot of it shows. */
export interface FittedRegression {
  readonly answer: Regression;
  readonly terms: readonly Term[];
  readonly response: Float64Array;
  readonly fitted: Float64Array;
}

/** Regresses the response on the predictors. */
export function regress(frame: Frame, options: RegressOptions): FittedRegression {
  const { confidence, categorical, noIntercept } = options;
  const response = numberColumn(frame, options.response, "response");
  const others = frame.columns.map(({ name }) => name).filter((name) => name !== response.name);
  const names = options.predictors.length > 0 ? options.predictors : others;
  if (names.includes(response.name)) throw wrongField("predictors", `expected others than the response ${response.name}`);
  const predictors = names.map((name, at) => columnOf(frame, name, `predictors[${at}]`));
  const rows = completeRows([response, ...predictors], frame.rowCount);
  if (rows.length < 2) throw tooFew("rows with the response and all predictors", 2, rows.length);
  const y = valuesAt(response, rows);
  const { terms, factors } = designOf(predictors, rows, { intercept: !noIntercept, categorical });
  if (terms.length === 0) throw wrongField("predictors", "expected one at least, without an intercept");
  const fit = leastSquares(
    terms.map(({ values }) => values),
    y,
  );
  const normalityTest = shapiroWilk(fit.residuals);
  const answer = {
    coefficients: coefficientsOf(terms, fit, confidence),
    count: rows.length,
    ...goodness(fit, y, !noIntercept),
    residuals: quantilesOf(fit.residuals, quartiles),
    ...(normalityTest === undefined ? {} : { normalityTest }),
    factors: factors.map(({ name, levels }) => ({ name, levels: [...levels] })),
    missing: missingOf("listwise", frame.rowCount, rows.length, [response, ...predictors]),
  };
  return { answer, terms, response: y, fitted: fit.fitted };
}

/** The coefficients of a fit. */
export function coefficientsOf(terms: readonly Omit<Term, "values">[], fit: Fit, confidence: number): Coefficient[] {
  const df = fit.residuals.length - fit.rank;
  const deviation = Math.sqrt(sumOfSquares(fit.residuals) / df);
  const quantile = df > 0 ? tQuantile((1 + confidence) / 2, df) : Number.NaN;
  return terms.map(({ name, predictor, level }, at) => {
    const estimate = fit.coefficients[at] as number;
    const named = { name, predictor, level, aliased: Number.isNaN(estimate) };
    if (named.aliased) return named;
    if (df === 0) return { ...named, estimate };
    const standardError = deviation * Math.sqrt(fit.leverages[at] as number);
    const t = estimate / standardError;
    const known = { ...named, estimate, standardError, interval: around(estimate, quantile * standardError) };
    // A perfect fit has no error to compare with.
    if (!Number.isFinite(t)) return known;
    return { ...known, test: { name: "t", statistic: t, degreesOfFreedom: [df], pValue: tProbability(t, df) } };
  });
}

function goodness(fit: Fit, y: Float64Array, intercept: boolean) {
  const n = y.length;
  const df = n - fit.rank;
  const residual = sumOfSquares(fit.residuals);
  const center = intercept ? meanOf(fit.fitted) : 0;
  const explained = centralSum(fit.fitted, center, 2);
  const freedom = fit.rank - (intercept ? 1 : 0);
  const rSquared = explained / (explained + residual);
  const f = explained / freedom / (residual / df);
  const k = fit.rank + 1;
  const logLikelihood = (-n / 2) * (Math.log(2 * Math.PI) + 1 + Math.log(residual / n));
  return {
    residualDegreesOfFreedom: df,
    ...finite("residualStandardError", Math.sqrt(residual / df)),
    ...finite("rSquared", rSquared),
    ...finite("adjustedRSquared", 1 - ((1 - rSquared) * (n - (intercept ? 1 : 0))) / df),
    ...finite("logLikelihood", logLikelihood),
    ...finite("aic", 2 * k - 2 * logLikelihood),
    ...finite("bic", Math.log(n) * k - 2 * logLikelihood),
    ...(Number.isFinite(f)
      ? { test: { name: "F", statistic: f, degreesOfFreedom: [freedom, df], pValue: fProbability(f, freedom, df) } }
      : {}),
  };
}

function sumOfSquares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
