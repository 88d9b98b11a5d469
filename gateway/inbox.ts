/** What comes from a client, between the event that brings it and the step that takes it, with the client held back meanwhile. */

/** The tap of a source. */
export interface Tap {
  /** Stops the source soon; a few more items may still come. */
  pause(): void;
  /** Somebody waits for an item: lets the source go on, if it does not already. */
  resume(): void;
  /** Nobody will take anything any more. */
  close(): void;
}

/** How much an inbox holds. */
export interface InboxOptions<T> {
  /** Whether the source stands still until the first item is asked for. */
  readonly paused: boolean;
  /** Of all that waits: from here on the source is paused. 0: as soon as anything waits. */
  readonly highWater: number;
  /** What an item counts. */
  readonly sizeOf: (item: T) => number;
}

/** A queue with one reader. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #tap: Tap;
  readonly #options: InboxOptions<T>;
  readonly #queue: T[] = [];
  #size = 0;
  #end: { readonly error: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #paused: boolean;

  constructor(tap: Tap, options: InboxOptions<T>) {
    this.#tap = tap;
    this.#options = options;
    this.#paused = options.paused;
  }

  push(item: T): void {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      waiting.resolve({ done: false, value: item });
      return;
    }
    this.#queue.push(item);
    this.#size += this.#options.sizeOf(item);
    if (this.#paused || this.#size < this.#options.highWater) return;
    this.#paused = true;
    this.#tap.pause();
  }

  /** Nothing more comes. With an error the reader gets that at once, in place of what still waits. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (error !== undefined) this.#queue.length = 0;
    this.#waiting?.resolve(this.#last());
    this.#waiting = undefined;
  }

  async next(): Promise<IteratorResult<T>> {
    if (this.#queue.length > 0) {
      const value = this.#queue.shift() as T;
      this.#size -= this.#options.sizeOf(value);
      return { done: false, value };
    }
    if (this.#end !== undefined) return this.#last();
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#paused = false;
    this.#tap.resume();
    return promise;
  }

  async return(): Promise<IteratorResult<T>> {
    this.end();
    this.#queue.length = 0;
    this.#tap.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #last(): Promise<IteratorResult<T>> | IteratorResult<T> {
    const error = this.#end?.error;
    return error === undefined ? { done: true, value: undefined } : Promise.reject(error);
  }
}
