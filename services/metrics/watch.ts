/** Waits for windows, for a reader that may be slower than they come. */
import type { Recorder } from "./recorder.ts";

/** Yields at once, and after each window; windows that come while the reader is busy count as one. Ends with the recorder. */
export async function* watchWindows(
  recorder: Pick<Recorder, "onWindow" | "closed">,
  signal: AbortSignal,
): AsyncGenerator<undefined> {
  let bell = Promise.withResolvers<void>();
  const ring = () => bell.resolve();
  using _listening = recorder.onWindow(ring);
  signal.addEventListener("abort", ring, { once: true });
  try {
    while (!signal.aborted && !recorder.closed) {
      // Hung up before the look, so that a window during it rings.
      bell = Promise.withResolvers();
      yield undefined;
      if (signal.aborted || recorder.closed) return;
      await bell.promise;
    }
  } finally {
    signal.removeEventListener("abort", ring);
  }
}
