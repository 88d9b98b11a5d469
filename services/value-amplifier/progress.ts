/** What was realised of a model's hypotheses, and how far the model has come. Pure. */

/** A hypothesis of an approved model. Gains in minor units, the due day as in 2027-03-31. */
export interface Hypothesis {
  readonly id: string;
  readonly driver: string;
  readonly unit: string;
  readonly baseline: number;
  readonly target: number;
  readonly dueDate: string;
  readonly fullGain: number;
  readonly expectedGain: number;
}

/** How a hypothesis stands; see realisation.proto. */
export type Verdict = "unmeasured" | "underway" | "confirmed" | "missed" | "refuted";

/** The steps of the chain, from the first to the last. */
export const stages = ["modelled", "approved", "committed", "delivered", "realised", "amplified"] as const;

/** One of them. */
export type Stage = (typeof stages)[number];

/** What the stage follows from. */
export interface Facts {
  /** The latest approved version; 0 for none. */
  readonly version: number;
  readonly signedCommitments: number;
  readonly completedDeliveries: number;
  readonly realisations: number;
  /** Strategies that are running or completed. */
  readonly amplifying: number;
}

/** How much of the way from baseline to target `actual` is: 1 is the target, more is beyond it, below 0 is backwards. */
export function realisedShare({ baseline, target }: Pick<Hypothesis, "baseline" | "target">, actual: number): number {
  // Never -0, which no reader expects.
  return (actual - baseline) / (target - baseline) + 0;
}

/** What that is worth, in minor units. */
export function realisedGain(hypothesis: Hypothesis, actual: number): number {
  return Math.round(realisedShare(hypothesis, actual) * hypothesis.fullGain) + 0;
}

/** How a hypothesis stands on the day `today`, given its realised share, if anything was measured. The due day itself is still in time. */
export function verdictOf({ dueDate }: Pick<Hypothesis, "dueDate">, share: number | undefined, today: string): Verdict {
  if (share === undefined) return "unmeasured";
  if (share >= 1) return "confirmed";
  if (today <= dueDate) return "underway";
  return share > 0 ? "missed" : "refuted";
}

/** The furthest step that a model has reached. */
export function stageOf(facts: Facts): Stage {
  if (facts.amplifying > 0) return "amplified";
  if (facts.realisations > 0) return "realised";
  if (facts.completedDeliveries > 0) return "delivered";
  if (facts.signedCommitments > 0) return "committed";
  return facts.version > 0 ? "approved" : "modelled";
}
