/** A bounded queue from one writer that never waits to one reader that may be slow. */

/**
 * What is put in comes out in order. Open until end(), fail(), an overflow, or the reader's return(); what was put in before end() still
 * comes out, a failure comes at once.
 */
export class Mailbox<T> implements AsyncIterable<T>, AsyncIterator<T, undefined> {
  readonly #size: number;
  readonly #overflow: () => Error;
  readonly #onClose: () => void;
  readonly #waiting: T[] = [];
  #reader: PromiseWithResolvers<IteratorResult<T, undefined>> | undefined;
  #closed: { readonly error: Error | undefined } | undefined;

  /** `overflow` makes the error for a reader that is more than `size` items behind; `onClose` is called once, when the box closes. */
  constructor(size: number, overflow: () => Error, onClose: () => void) {
    this.#size = size;
    this.#overflow = overflow;
    this.#onClose = onClose;
  }

  put(item: T): void {
    if (this.#closed !== undefined) return;
    if (this.#reader !== undefined) {
      this.#reader.resolve({ done: false, value: item });
      this.#reader = undefined;
    } else if (this.#waiting.length >= this.#size) this.fail(this.#overflow());
    else this.#waiting.push(item);
  }

  end(): void {
    this.#close(undefined);
  }

  fail(error: Error): void {
    if (this.#closed === undefined) this.#waiting.length = 0;
    this.#close(error);
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    const item = this.#waiting.shift();
    if (item !== undefined) return { done: false, value: item };
    if (this.#closed !== undefined) {
      const { error } = this.#closed;
      // Once is enough: after that the iteration is over.
      this.#closed = { error: undefined };
      if (error !== undefined) throw error;
      return { done: true, value: undefined };
    }
    this.#reader ??= Promise.withResolvers();
    return this.#reader.promise;
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.#waiting.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(error: Error | undefined): void {
    if (this.#closed !== undefined) return;
    this.#closed = { error };
    if (this.#reader !== undefined && error !== undefined) {
      this.#closed = { error: undefined };
      this.#reader.reject(error);
    } else this.#reader?.resolve({ done: true, value: undefined });
    this.#reader = undefined;
    this.#onClose();
  }
}
