/** The rules by which a payment is refused before any card is charged. Pure. */

/** The limits; 0 means that there is none. Amounts in minor units. */
export interface RiskLimits {
  /** Of one payment. */
  readonly maxAmount: number;
  /** Of a user in 10 minutes, the one in question not counted. */
  readonly maxPayments: number;
  /** Of a user in 24 hours and in one currency, the one in question counted. */
  readonly maxDailyAmount: number;
  /** Of a user in an hour. */
  readonly maxDeclines: number;
}

/** What the rules look at. */
export interface RiskFacts {
  readonly amount: number;
  /** Other payments of the user that began in the last 10 minutes, whatever became of them. */
  readonly paymentsIn10Minutes: number;
  /** The sum of the user's other payments in this currency in the last 24 hours that were not declined, canceled or failed. */
  readonly amountIn24Hours: number;
  /** The user's payments that were declined in the last hour. */
  readonly declinesIn1Hour: number;
}

/** Why a payment is refused: the reason of its failure, and the sentence for the person. */
export interface RiskRefusal {
  readonly reason: "RISK_AMOUNT" | "RISK_DECLINES" | "RISK_VELOCITY" | "RISK_DAILY_AMOUNT";
  readonly message: string;
}

/**
 * The first rule that refuses, in this order; undefined when none does.
 *
 * | rule | refuses when |
 * |---|---|
 * | RISK_AMOUNT | amount > maxAmount |
 * | RISK_DECLINES | declinesIn1Hour >= maxDeclines |
 * | RISK_VELOCITY | paymentsIn10Minutes >= maxPayments |
 * | RISK_DAILY_AMOUNT | amountIn24Hours + amount > maxDailyAmount |
 */
export function riskOf(facts: RiskFacts, limits: RiskLimits): RiskRefusal | undefined {
  const { amount, paymentsIn10Minutes, amountIn24Hours, declinesIn1Hour } = facts;
  if (limits.maxAmount > 0 && amount > limits.maxAmount) {
    return { reason: "RISK_AMOUNT", message: `a payment may be ${limits.maxAmount} at most, in minor units` };
  }
  if (limits.maxDeclines > 0 && declinesIn1Hour >= limits.maxDeclines) {
    return { reason: "RISK_DECLINES", message: `${declinesIn1Hour} payments were declined in the last hour` };
  }
  if (limits.maxPayments > 0 && paymentsIn10Minutes >= limits.maxPayments) {
    return { reason: "RISK_VELOCITY", message: `${paymentsIn10Minutes} payments began in the last 10 minutes` };
  }
  if (limits.maxDailyAmount > 0 && amountIn24Hours + amount > limits.maxDailyAmount) {
    return { reason: "RISK_DAILY_AMOUNT", message: `a day's payments may be ${limits.maxDailyAmount} at most, in minor units` };
  }
  return undefined;
}
