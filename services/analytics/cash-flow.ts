/** What came in and went out. Pure; the contract has the formulas. */
import { type Change, changeOf, ratioOf } from "./change.ts";
import type { CurrencyFacts, Facts } from "./facts.ts";

/** The cash flow in one currency. */
export interface CashFlow {
  readonly currency: string;
  readonly income: bigint;
  readonly expense: bigint;
  readonly net: bigint;
  readonly savingsRate: number | undefined;
  readonly buckets: readonly CashFlowBucket[];
  readonly incomeChange: Change | undefined;
  readonly expenseChange: Change | undefined;
  readonly netChange: Change | undefined;
  readonly count: number;
}

/** A bucket of it. */
export interface CashFlowBucket {
  readonly label: string;
  readonly startTime: number;
  readonly income: bigint;
  readonly expense: bigint;
  readonly net: bigint;
  readonly cumulativeNet: bigint;
}

/** @param before the facts of the compared period */
export function cashFlowOf(facts: Facts, before: Facts | undefined): CashFlow[] {
  return facts.currencies.map((currency) => {
    const [income, expense] = [currency.income.total(), currency.expense.total()];
    const net = income - expense;
    const past = before?.of(currency.currency);
    const [pastIncome, pastExpense] = [past?.income.total() ?? 0n, past?.expense.total() ?? 0n];
    const change = (value: bigint, previous: bigint) => (before === undefined ? undefined : changeOf(value, previous));
    return {
      currency: currency.currency,
      income,
      expense,
      net,
      savingsRate: ratioOf(net, income),
      buckets: bucketsOf(facts, currency),
      incomeChange: change(income, pastIncome),
      expenseChange: change(expense, pastExpense),
      netChange: change(net, pastIncome - pastExpense),
      count: currency.count,
    };
  });
}

function bucketsOf({ period: { buckets } }: Facts, currency: CurrencyFacts): CashFlowBucket[] {
  const incomes = currency.income.byBucket(buckets.length);
  const expenses = currency.expense.byBucket(buckets.length);
  let cumulativeNet = 0n;
  return buckets.map(({ label, from }, index) => {
    const [income = 0n, expense = 0n] = [incomes[index], expenses[index]];
    cumulativeNet += income - expense;
    return { label, startTime: from, income, expense, net: income - expense, cumulativeNet };
  });
}
