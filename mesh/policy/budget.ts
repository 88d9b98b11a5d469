/**
 * Two bounds on repeated work, both for retries and hedges: the token bucket that a service config asks for (gRFC A6,
 * retryThrottling), and one budget over everything that a client sends, so that a dead backend sees at most 1.2 times the load.
 */
import type { Outcome } from "./classify.ts";
import { SlidingSum } from "./sliding-sum.ts";

/** retryThrottling of a service config, checked. */
export interface RetryThrottling {
  /** Size of the bucket: a whole number from 1 to 1000. */
  readonly maxTokens: number;
  /** What a success puts back; above 0, three decimals count. */
  readonly tokenRatio: number;
}

/** The token bucket of one server name; all calls of a client to that server share it. Starts full. */
export class RetryThrottle {
  #settings: RetryThrottling | undefined;
  #tokens: number;

  /** Without settings the throttle allows everything. */
  constructor(settings: RetryThrottling | undefined) {
    this.#settings = settings;
    this.#tokens = settings?.maxTokens ?? 0;
  }

  /** Tokens in the bucket, for metrics; Infinity without settings. */
  get tokens(): number {
    return this.#settings === undefined ? Number.POSITIVE_INFINITY : this.#tokens;
  }

  /** Whether a retry or hedge may go out now: only above half of maxTokens. Ask after counting the failure. */
  allows(): boolean {
    return this.#settings === undefined || this.#tokens > this.#settings.maxTokens / 2;
  }

  /** A failure that may be retried, or a pushback that says not to retry: one token less. */
  failure(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }

  /** A call that succeeded: tokenRatio more. */
  success(): void {
    if (this.#settings === undefined) return;
    this.#tokens = Math.min(this.#settings.maxTokens, this.#tokens + this.#settings.tokenRatio);
  }

  /**
   * Counts the end of an attempt by its row of the table (gRFC A6): `listed` is whether the retry policy lists its code,
   * `stopped` whether the server's pushback said not to retry.
   */
  count(outcome: Outcome, listed: boolean, stopped: boolean): void {
    if (outcome.token === "success") this.success();
    else if (stopped || outcome.token === "failure" || (outcome.token === "failure-if-listed" && listed)) this.failure();
  }

  /** New settings: the bucket keeps the share that it was filled to. */
  reconfigure(settings: RetryThrottling | undefined): void {
    const share = this.#settings === undefined ? 1 : this.#tokens / this.#settings.maxTokens;
    this.#settings = settings;
    this.#tokens = settings === undefined ? 0 : settings.maxTokens * share;
  }
}

/** Bounds of the overall budget. */
export interface RetryBudgetSettings {
  /** Retries allowed per call in the window. Default 0.2: a layer never sends more than 1.2 times what it was asked for. */
  readonly ratio: number;
  /** Retries allowed per second besides. Default 10, so that a client with few calls can retry at all. */
  readonly perSecond: number;
  /** Milliseconds that the window slides over. Default 10,000. */
  readonly windowMs: number;
}

/** The defaults of RetryBudgetSettings; Finagle's numbers. */
export const defaultRetryBudget: RetryBudgetSettings = { ratio: 0.2, perSecond: 10, windowMs: 10_000 };

/** The overall budget of one client and server name. `now` in milliseconds of any one clock. */
export class RetryBudget {
  readonly #settings: RetryBudgetSettings;
  readonly #calls: SlidingSum;
  readonly #retries: SlidingSum;

  constructor(settings: RetryBudgetSettings = defaultRetryBudget) {
    this.#settings = settings;
    this.#calls = new SlidingSum(settings.windowMs);
    this.#retries = new SlidingSum(settings.windowMs);
  }

  /** Counts one call, at its first attempt. */
  call(now: number): void {
    this.#calls.add(1, now);
  }

  /** Retries and hedges left at `now`; a fraction is not enough for one. For metrics, too. */
  left(now: number): number {
    const { ratio, perSecond, windowMs } = this.#settings;
    return ratio * this.#calls.total(now) + (perSecond * windowMs) / 1000 - this.#retries.total(now);
  }

  /** Whether one more retry or hedge is within the budget. */
  allows(now: number): boolean {
    // 0.29 * 100 calls is 28.999999999999996: a hair must not cost a retry.
    return this.left(now) >= 1 - 1e-9;
  }

  /** Takes one; false, and nothing taken, when none is left. */
  take(now: number): boolean {
    if (!this.allows(now)) return false;
    this.#retries.add(1, now);
    return true;
  }
}
