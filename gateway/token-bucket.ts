/** A token bucket: `perSecond` tokens flow in, at most `burst` of them stay. */

/** What one token is counted as: thousandths, so that whole milliseconds at a whole rate add up exactly. */
const token = 1000;

/** The bucket of one client. Times are milliseconds. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #full: number;
  #level: number;
  #at: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond;
    this.#full = burst * token;
    this.#level = this.#full;
    this.#at = now;
  }

  /** Takes one token. 0: it was there; otherwise the milliseconds until there is one. */
  take(now: number): number {
    this.#level = Math.min(this.#full, this.#level + Math.max(0, now - this.#at) * this.#perSecond);
    this.#at = Math.max(now, this.#at);
    if (this.#level >= token) {
      this.#level -= token;
      return 0;
    }
    return Math.ceil((token - this.#level) / this.#perSecond);
  }

  /** Whole tokens that are there. */
  get remaining(): number {
    return Math.floor(this.#level / token);
  }

  /** Seconds until the bucket is full again, rounded up. */
  get resetSeconds(): number {
    return Math.ceil((this.#full - this.#level) / this.#perSecond / 1000);
  }
}
