/** Wraps an async iterable without losing what generators promise: every step is seen, and the source is told of the end. */

/** What to do on the way of a stream. Exactly one of `done` and `failed` runs, once. */
export interface StreamSteps<T> {
  /** Runs each step of the source: inside a context, against a clock. Default: as it stands. */
  around?<R>(step: () => Promise<R>, kind: "next" | "return"): Promise<R>;
  /** Looks at each item, or throws. */
  each?(item: T): T;
  /** The source ended, or the reader wanted no more. */
  done?(): void;
  /** The source or a step threw. */
  failed?(error: unknown): void;
}

/** `source`, with `steps` on the way. The reader's early end reaches the source's `finally` blocks. */
export function mapStream<T>(source: AsyncIterable<T>, steps: StreamSteps<T>): AsyncIterable<T> {
  return { [Symbol.asyncIterator]: () => iterate(source[Symbol.asyncIterator](), steps) };
}

function iterate<T>(source: AsyncIterator<T>, steps: StreamSteps<T>): AsyncIterator<T> {
  const around = steps.around ?? (<R>(step: () => Promise<R>) => step());
  let open = true;
  const fail = (error: unknown): never => {
    if (open) {
      open = false;
      steps.failed?.(error);
      // The source may be stuck in the very step that failed, so its end is asked for and not waited for.
      around(async () => source.return?.(), "return").catch(() => undefined);
    }
    throw error;
  };
  return {
    async next() {
      try {
        const result = await around(() => source.next(), "next");
        if (result.done !== true) return { done: false, value: steps.each?.(result.value) ?? result.value };
        if (open) steps.done?.();
        open = false;
        return result;
      } catch (error) {
        return fail(error);
      }
    },
    async return(value) {
      if (open) steps.done?.();
      open = false;
      await around(async () => source.return?.(value), "return");
      return { done: true, value };
    },
    async throw(error) {
      return fail(error);
    },
  };
}
