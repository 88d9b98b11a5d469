/** The acquirer, which charges cards. Every call is idempotent by its key: the same one again has the same outcome. */

/** A charge to make. */
export interface ChargeRequest {
  /** The idempotency key, by which the charge is known even when no answer ever came. */
  readonly key: string;
  /** In minor units. */
  readonly amount: number;
  readonly currency: string;
  /** The card's token. */
  readonly method: string;
  /** False: only reserve it. */
  readonly capture: boolean;
  readonly description: string;
}

/** A charge that was asked for. */
export interface Charge extends ChargeRequest {
  /** "" when no answer is known. */
  readonly id: string;
}

/**
 * An acquirer. Refusals are FAILED_PRECONDITION with a reason such as CARD_DECLINED. An answer that does not come is UNAVAILABLE or
 * DEADLINE_EXCEEDED; the same call again finds out what became of it.
 */
export interface Provider {
  /** Charges, or reserves, and answers with the charge's id. */
  charge(request: ChargeRequest, signal: AbortSignal): Promise<string>;
  /** Takes what was reserved, or a part of it; the rest is free. */
  capture(charge: Charge, amount: number, key: string, signal: AbortSignal): Promise<void>;
  /**
   * Sees to it that nothing of a charge remains: what was reserved is free, what was taken is given back, and what was asked for without
   * an answer never takes place.
   */
  cancel(charge: Charge, key: string, signal: AbortSignal): Promise<void>;
  /** Gives back a part of what was taken. */
  refund(charge: Charge, amount: number, key: string, signal: AbortSignal): Promise<void>;
}
