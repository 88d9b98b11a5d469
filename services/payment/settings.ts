/** The environment that the payment service reads, beside what every process does. */
import { duration, integer, optionalUrl, secret } from "#mesh/config.ts";

const largest = 1_000_000_000_000_000;

/** By the names that the code uses. */
export const settings = {
  /** The acquirer's base URL, in Stripe's form; unset: a simulated one on the service's own database. */
  providerUrl: optionalUrl("PAYMENT_PROVIDER_URL", "http:", "https:"),
  /** Sent to the acquirer as `Authorization: Bearer`. */
  providerKey: secret("PAYMENT_PROVIDER_KEY", ""),
  /** How long the acquirer may take to answer before it is asked again, under the same key. */
  providerTimeoutMs: duration("PAYMENT_PROVIDER_TIMEOUT", "5s"),
  /** How late the simulated acquirer's late answers come: `tok_late`, `tok_late_decline`. */
  simulatedLatenessMs: duration("PAYMENT_SIMULATED_LATENESS", "8s"),
  /** How long an authorized payment waits to be captured. */
  authorizationMs: duration("PAYMENT_AUTHORIZATION_LIFE", "7d"),
  /** The most that one payment may be, in minor units. 0: no limit, for this and all that follow. */
  riskMaxAmount: integer("PAYMENT_RISK_MAX_AMOUNT", 0, largest, 100_000_000),
  /** Payments of a user in 10 minutes. */
  riskMaxPayments: integer("PAYMENT_RISK_MAX_PAYMENTS", 0, 1_000_000, 60),
  /** The sum of a user's payments of one currency in 24 hours, in minor units. */
  riskMaxDailyAmount: integer("PAYMENT_RISK_MAX_DAILY_AMOUNT", 0, largest, 500_000_000),
  /** Declined payments of a user in an hour, from which on all are. */
  riskMaxDeclines: integer("PAYMENT_RISK_MAX_DECLINES", 0, 1_000_000, 10),
};
