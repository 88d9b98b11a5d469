/** Requests as the domain's values; what a contract's rules cannot say is checked here. */
import { randomBytes } from "node:crypto";
import type { EvaluateRequest } from "#gen/calculation/v1/evaluate_pb.ts";
import { NumberMode } from "#gen/calculation/v1/evaluate_pb.ts";
import type {
  CalculateDatedRateOfReturnRequest,
  CalculateInternalRateOfReturnRequest,
  CalculatePaybackRequest,
} from "#gen/calculation/v1/finance_pb.ts";
import type { RandomInput, RunMonteCarloRequest } from "#gen/calculation/v1/montecarlo_pb.ts";
import type { AnalyzeSensitivityRequest } from "#gen/calculation/v1/sensitivity_pb.ts";
import { minorUnitDigits } from "#mesh/currency.ts";
import { decimalOf, decimalOfDouble } from "./decimal.ts";
import { checkDistribution, type Distribution } from "./distribution.ts";
import type { Question, Variable } from "./evaluate.ts";
import type { Investment } from "./investment.ts";
import type { MonteCarloQuestion } from "./monte-carlo.ts";
import { defaultRange, type Flow, maxSignChanges, type RateRange, signChangesOf } from "./rate-of-return.ts";
import { Refusal } from "./refusal.ts";
import type { SensitivityQuestion } from "./sensitivity.ts";

/** @throws Refusal of `currency_code` for one that ISO 4217 does not have. Empty is fine. */
export function checkCurrency(code: string): void {
  if (code !== "" && !minorUnitDigits.has(code)) {
    throw new Refusal("currency_code", `expected a currency of ISO 4217 such as EUR, got ${JSON.stringify(code)}`);
  }
}

/** @throws Refusal of `number_mode`, `currency_code` or `variables`. */
export function questionOf({ expression, variables, numberMode, unit, currencyCode }: EvaluateRequest): Question {
  checkCurrency(currencyCode);
  const money = currencyCode !== "";
  if (money && numberMode === NumberMode.DOUBLE)
    throw new Refusal("number_mode", "expected decimals: money is never in floating point");
  if (money && unit !== "") throw new Refusal("unit", "an amount of money has no other unit than its currency");
  const entries = Object.entries(variables ?? {}).map(
    ([name, value]) => [name, variableOf(value, `variables.${name.slice(0, 60)}`, 0)] as const,
  );
  const mode = money || numberMode === NumberMode.DECIMAL ? "decimal" : "double";
  return { expression, variables: new Map(entries), mode, unit };
}

function variableOf(value: unknown, field: string, depth: number): Variable {
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return value;
  if (!Array.isArray(value)) throw new Refusal(field, "expected a number, true or false, a text or a list");
  if (depth === 5) throw new Refusal(field, "expected at most 5 lists within each other");
  return value.map((item) => variableOf(item, field, depth + 1));
}

/** One flow a period. @throws Refusal of `amounts` or `max_rate`. */
export function periodicFlows({ amounts, ...range }: CalculateInternalRateOfReturnRequest): FlowsQuestion {
  const flows = amounts.map((amount, time) => ({ time, amount: Number(amount) }));
  return { flows: searchable(flows, "amounts"), range: rangeOf(range) };
}

/** @throws Refusal of `flows` or `max_rate`. */
export function datedFlows({ flows, ...range }: CalculateDatedRateOfReturnRequest): FlowsQuestion {
  const days = flows.map(({ date }, at) => dayOf(date, `flows[${at}].date`));
  const first = days.reduce((least, day) => Math.min(least, day));
  const dated = flows.map(({ amount }, at) => ({ time: ((days[at] ?? 0) - first) / 365, amount: Number(amount) }));
  return { flows: searchable(dated, "flows"), range: rangeOf(range) };
}

/** Flows, and where to look for rates. */
export interface FlowsQuestion {
  readonly flows: readonly Flow[];
  readonly range: RateRange;
}

function searchable(flows: readonly Flow[], field: string): readonly Flow[] {
  const changes = signChangesOf(flows);
  if (changes <= maxSignChanges) return flows;
  throw new Refusal(field, `expected at most ${maxSignChanges} changes of sign, got ${changes}`);
}

function rangeOf(asked: { readonly minRate?: number | undefined; readonly maxRate?: number | undefined }): RateRange {
  const { minRate = defaultRange.minRate, maxRate = defaultRange.maxRate } = asked;
  if (minRate >= maxRate) throw new Refusal("max_rate", "expected it to be above min_rate");
  return { minRate, maxRate };
}

/** Days since 1970. `Date` takes the 31st of February for the 3rd of March. */
function dayOf(date: string, field: string): number {
  const ms = Date.parse(`${date}T00:00:00Z`);
  if (!Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date)) return ms / 86_400_000;
  throw new Refusal(field, `expected a day of the calendar, got ${JSON.stringify(date)}`);
}

/** @throws Refusal of `currency_code`, `initial_cost` or `gains`. */
export function investmentOf(request: Omit<CalculatePaybackRequest, "$typeName" | "$unknown">): Investment {
  checkCurrency(request.currencyCode);
  const cost = decimalOf(request.initialCost);
  if (cost === 0n) throw new Refusal("initial_cost", "expected an amount above 0");
  const flows = [-1, ...request.gains.map(Number)].map((amount, time) => ({ time, amount }));
  searchable(flows, "gains");
  return { cost, gains: request.gains.map(decimalOf), rate: decimalOfDouble(request.discountRate) };
}

/** @throws Refusal of an input. */
export function sensitivityQuestion(request: AnalyzeSensitivityRequest): SensitivityQuestion {
  const { expression, constants, table } = request;
  const spread = request.spread || 0.1;
  const inputs = request.inputs.map(({ name, base, low, high }, at) => {
    const input = { name, base, low: low ?? base - Math.abs(base) * spread, high: high ?? base + Math.abs(base) * spread };
    if (input.low > input.high) throw new Refusal(`inputs[${at}].low`, "expected it to be at most high");
    return input;
  });
  if (table !== undefined && table.rowValues.length * table.columnValues.length > 10_000) {
    throw new Refusal("table", "expected at most 10,000 cells");
  }
  return { expression, constants: new Map(Object.entries(constants)), inputs, table };
}

const defaultPercentiles = [5, 10, 25, 50, 75, 90, 95];

/** @throws Refusal of an input. */
export function monteCarloQuestion(request: RunMonteCarloRequest): MonteCarloQuestion {
  const distributions = request.inputs.map((input, at) => {
    const distribution = distributionOf(input);
    checkDistribution(distribution, `inputs[${at}]`);
    return distribution;
  });
  return {
    expression: request.expression,
    inputs: request.inputs.map(({ name }) => name),
    constants: new Map(Object.entries(request.constants)),
    distributions,
    iterations: request.iterations || 10_000,
    seed: request.seed ?? randomBytes(8).readBigUInt64BE(),
    wanted: {
      percentiles: request.percentiles.length === 0 ? defaultPercentiles : request.percentiles,
      bins: request.bins || 40,
      thresholds: request.thresholds,
    },
  };
}

/** The contract's names are the domain's. */
function distributionOf({ distribution }: RandomInput): Distribution {
  const { case: kind, value } = distribution;
  if (kind === undefined) throw new Refusal("inputs", "expected a distribution");
  const { $typeName, $unknown, ...parameters } = value;
  return { kind, ...parameters } as Distribution;
}
