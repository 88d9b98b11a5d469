/** What comes from a client, between the event that brings it and the step that takes it, with the client held back meanwhile. */

/** The tap of a source. */
export interface Tap {
  /** Stops the source soon; a few more items may still come. */
  pause(): void;
  /** Lets the source go on, since somebody waits for an item. */
  resume(): void;
  /** Nobody will take anything any more. */
  close(): void;
}

/** A queue with one reader. It holds what one event brings and no more, since the source is paused while anything waits. */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #tap: Tap;
  readonly #queue: T[] = [];
  #end: { readonly error: unknown } | undefined;
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined;
  #paused: boolean;

  /** @param paused whether the source stands still until the first item is asked for */
  constructor(tap: Tap, paused: boolean) {
    this.#tap = tap;
    this.#paused = paused;
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
    if (this.#paused) return;
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
    if (this.#queue.length > 0) return { done: false, value: this.#queue.shift() as T };
    if (this.#end !== undefined) return this.#last();
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    if (this.#paused) {
      this.#paused = false;
      this.#tap.resume();
    }
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
