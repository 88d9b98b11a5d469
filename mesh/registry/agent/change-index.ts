/**
 * The counter behind X-Consul-Index, and those who wait for it. Every change takes the next number and marks the topics that
 * it touched; a blocking query waits until its topic's number is above the one it knows.
 */

/** Marked topics kept apart at most; beyond it all are forgotten, which costs each waiting query one needless answer. */
const maxTopics = 10_000;

/** The number of the last change of each topic. Topics are names such as `service:auth`, `catalog`, `kv:heddle/x`. */
export class ChangeIndex {
  #current: number;
  /** What a topic has that was never marked. */
  #base: number;
  readonly #topics = new Map<string, number>();
  readonly #waiters = new Map<string, Set<() => void>>();

  /** Starts after `last`, the number that an earlier run reached; it must not be below, or clients would miss changes. */
  constructor(last: number) {
    this.#current = last + 1;
    this.#base = this.#current;
  }

  get current(): number {
    return this.#current;
  }

  /** Takes the next number, for a change that touches `topics`. */
  mark(...topics: readonly string[]): number {
    this.#current += 1;
    if (this.#topics.size > maxTopics) this.#forget();
    for (const topic of topics) {
      this.#topics.set(topic, this.#current);
      this.#wake(topic);
    }
    return this.#current;
  }

  /** The number of the last change of `topic`. */
  of(topic: string): number {
    return this.#topics.get(topic) ?? this.#base;
  }

  /**
   * Settles when `topic` is above `index`, after `ms` milliseconds, or when `signal` aborts. An index that is yet to come
   * can only be from another life of the agent: it settles at once, so that the client starts anew.
   */
  async wait(topic: string, index: number, ms: number, signal: AbortSignal): Promise<void> {
    if (this.of(topic) > index || index > this.#current || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const waiters = this.#waiters.get(topic) ?? new Set();
    this.#waiters.set(topic, waiters.add(wake));
    const timer = setTimeout(wake, ms);
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", wake);
    waiters.delete(wake);
    if (waiters.size === 0 && this.#waiters.get(topic) === waiters) this.#waiters.delete(topic);
  }

  #forget(): void {
    this.#topics.clear();
    this.#base = this.#current;
    for (const topic of [...this.#waiters.keys()]) this.#wake(topic);
  }

  #wake(topic: string): void {
    for (const wake of this.#waiters.get(topic) ?? []) wake();
  }
}
