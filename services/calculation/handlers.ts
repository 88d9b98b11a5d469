/** The contract's methods: a request to a question, its answer from a worker thread, and back. */
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import type { RunMonteCarloRequest } from "#gen/calculation/v1/montecarlo_pb.ts";
import type { Charts } from "#mesh/chart/charts.ts";
import { invalidArgument } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import {
  exactly,
  modeOf,
  moneyOf,
  outcomeMessage,
  paybackMessage,
  ratesMessage,
  returnsMessage,
  summaryMessage,
} from "./answers.ts";
import { type ChartNames, monteCarloChart, sensitivityCharts, stacked } from "./chart-of.ts";
import { decimalOf, decimalOfDouble } from "./decimal.ts";
import { type Progress, simulateAll } from "./monte-carlo.ts";
import type { Pool } from "./pool.ts";
import { Refusal } from "./refusal.ts";
import {
  checkCurrency,
  datedFlows,
  investmentOf,
  monteCarloQuestion,
  periodicFlows,
  questionOf,
  sensitivityQuestion,
} from "./requests.ts";
import { standardErrorOf } from "./spread.ts";
import type { Summary } from "./statistics.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly pool: Pool;
  readonly charts: Charts;
  /** How long a simulation may keep threads, in milliseconds. */
  readonly simulationLimitMs: number;
}

/** The contract and its methods. */
export function calculationHandlers({ pool, charts, simulationLimitMs }: HandlerParts): Implementation {
  return implement(CalculationService, {
    evaluate: (request, { signal }) =>
      answered(async () => outcomeMessage(await pool.run("evaluate", questionOf(request), { signal }), request)),

    calculateNetPresentValue: (request, { signal }) =>
      answered(async () => {
        checkCurrency(request.currencyCode);
        const { firstPeriod } = request;
        const question = { amounts: request.amounts.map(decimalOf), rate: decimalOfDouble(request.rate), firstPeriod };
        const value = await pool.run("presentValue", question, { signal });
        return { netPresentValue: moneyOf(value, request), exact: exactly(value), roundingMode: modeOf(request) };
      }),

    calculateInternalRateOfReturn: (request, { signal }) =>
      answered(async () => ({ rateOfReturn: ratesMessage(await pool.run("ratesOfReturn", periodicFlows(request), { signal })) })),

    calculateDatedRateOfReturn: (request, { signal }) =>
      answered(async () => ({ rateOfReturn: ratesMessage(await pool.run("ratesOfReturn", datedFlows(request), { signal })) })),

    calculateReturnOnInvestment: (request, { signal }) =>
      answered(async () => returnsMessage(await pool.run("returns", investmentOf(request), { signal }), request)),

    calculatePayback: (request, { signal }) =>
      answered(async () => {
        const { simple, discounted } = await pool.run("paybacks", investmentOf(request), { signal });
        const messages = { simple: paybackMessage(simple, request), discounted: paybackMessage(discounted, request) };
        return { ...messages, roundingMode: modeOf(request) };
      }),

    analyzeSensitivity: (request, { signal }) =>
      answered(async () => {
        const { baseOutcome, bars, rows } = await pool.run("sensitivity", sensitivityQuestion(request), { signal });
        return {
          baseOutcome,
          bars: bars.map((bar) => ({ ...bar })),
          rows: rows.map(({ rowValue, outcomes }) => ({ rowValue, outcomes: [...outcomes] })),
        };
      }),

    drawSensitivity: (request, { signal }) =>
      answered(async () => {
        const question = sensitivityQuestion(request);
        const names = namesOf(request);
        const shown = sensitivityCharts(await pool.run("sensitivity", question, { signal }), question.table, names);
        const pictures: string[] = [];
        for (const chart of shown) pictures.push(await charts.render(chart, signal));
        return picture(stacked(pictures, names));
      }),

    runMonteCarlo: (request, { signal }) =>
      answered(async () => {
        const { summary, seed } = await simulated(request, signal);
        return { result: summaryMessage(summary, seed) };
      }),

    async *streamMonteCarlo(request, { signal }) {
      try {
        const question = monteCarloQuestion(request);
        for await (const progress of simulateAll(pool, question, { signal, limitMs: simulationLimitMs })) {
          yield { ...progressMessage(progress, question.iterations), ...resultOf(progress, question.seed) };
        }
      } catch (error) {
        throw refused(error);
      }
    },

    drawMonteCarlo: (request, { signal }) =>
      answered(async () => {
        const { summary } = await simulated(request, signal);
        return picture(await charts.render(monteCarloChart(summary, namesOf(request)), signal));
      }),
  });

  async function simulated(request: RunMonteCarloRequest, signal: AbortSignal): Promise<{ summary: Summary; seed: bigint }> {
    const question = monteCarloQuestion(request);
    for await (const { summary } of simulateAll(pool, question, { signal, limitMs: simulationLimitMs })) {
      if (summary !== undefined) return { summary, seed: question.seed };
    }
    throw new Error("a simulation ended without a summary");
  }
}

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw refused(error);
  }
}

function refused(error: unknown): unknown {
  return error instanceof Refusal ? invalidArgument([{ field: error.field, description: error.message }]) : error;
}

function progressMessage({ completed, spread }: Progress, iterations: number) {
  const standardError = standardErrorOf(spread);
  return {
    completedIterations: BigInt(completed),
    totalIterations: BigInt(iterations),
    ...(spread.count === 0 ? {} : { mean: spread.mean }),
    ...(standardError === undefined ? {} : { standardError }),
  };
}

function resultOf({ summary }: Progress, seed: bigint) {
  return summary === undefined ? {} : { result: summaryMessage(summary, seed) };
}

function namesOf(request: { readonly outcomeName: string; readonly width: number; readonly height: number }): ChartNames {
  return { outcome: request.outcomeName || "outcome", width: request.width || 800, height: request.height || 400 };
}

function picture(svg: string) {
  return { contentType: "image/svg+xml", data: new TextEncoder().encode(svg) };
}
