/** The return on a model's investment: its cash flow here, the arithmetic by the calculation service. */
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import { dayOf, laterDay } from "#mesh/calendar-day.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { type CallContext, currentContext, runWithContext } from "#mesh/context.ts";
import { failedPrecondition } from "#mesh/errors.ts";
import { expectedGain, fullGain, type Hypothesis, type Model } from "./model.ts";

/** One case of what may come. Amounts in minor units. */
export interface RoiCase {
  readonly gain: number;
  readonly netGain: number;
  readonly roi: number;
  readonly annualRoi: number | undefined;
  readonly paybackMonths: number | undefined;
}

/** Both cases. */
export interface Roi {
  readonly months: number;
  readonly expected: RoiCase;
  readonly full: RoiCase;
}

/** Months that a cash flow has at most: a century. */
const maxMonths = 1200;

/**
 * What comes in at the end of each month, the first being that of `start`: each hypothesis brings its amount in the month of its due day,
 * or in the first where that has passed. Those beyond a century come at its end.
 */
export function cashFlow(hypotheses: readonly Hypothesis[], amount: (one: Hypothesis) => number, start: string): number[] {
  const gains: number[] = [];
  for (const one of hypotheses) {
    const month = Math.min(monthNumber(laterDay(one.dueDate, start)) - monthNumber(start), maxMonths - 1);
    gains[month] = (gains[month] ?? 0) + amount(one);
  }
  return Array.from(gains, (gain) => gain ?? 0);
}

/**
 * Asks the calculation service.
 *
 * @throws FAILED_PRECONDITION (NO_INVESTMENT, NO_HYPOTHESES), and what the call throws: UNAVAILABLE while that service is away.
 */
export async function roiOf(mesh: MeshClient, model: Model): Promise<Roi> {
  const { investment, hypotheses, id } = model;
  if (investment === 0)
    throw failedPrecondition("NO_INVESTMENT", `model ${id} says of no investment: a return on nothing has no rate`);
  if (hypotheses.length === 0)
    throw failedPrecondition("NO_HYPOTHESES", `model ${id} has no hypothesis that would bring anything`);
  const client = mesh.client(CalculationService);
  const start = dayOf(model.createTime);
  const caseOf = async (amount: (one: Hypothesis) => number): Promise<RoiCase> => {
    const flow = cashFlow(hypotheses, amount, start);
    const request = { initialCost: String(investment), gains: flow.map(String) };
    // As the service: a person's API key for value models need not be one for calculations.
    const answer = await inNobodysName(() => client.calculateReturnOnInvestment(request));
    const gain = flow.reduce((sum, one) => sum + one, 0);
    const { roi, roiPerPeriod, payback } = answer;
    const annualRoi = roiPerPeriod === undefined ? undefined : (1 + roiPerPeriod) ** 12 - 1;
    return { gain, netGain: gain - investment, roi, annualRoi, paybackMonths: payback?.periods };
  };
  const [expected, full] = await Promise.all([caseOf(expectedGain), caseOf(fullGain)]);
  return { months: cashFlow(hypotheses, fullGain, start).length, expected, full };
}

function monthNumber(day: string): number {
  return Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7)) - 1;
}

function inNobodysName<T>(work: () => Promise<T>): Promise<T> {
  const context = currentContext();
  if (context === undefined) return work();
  const nobody: CallContext = { ...context, principal: undefined };
  return runWithContext(nobody, work);
}
