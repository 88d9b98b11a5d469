/** Work in slices: what takes long must not make everybody else wait. */
import { performance } from "node:perf_hooks";

/** How long one slice may take, in milliseconds; a request notices a wait of a few of them, and nobody 10 ms. */
const sliceMs = 10;

/** Runs work that yields where it can be interrupted, and lets others run after every 10 ms of it. */
export async function inSlices<T>(work: Generator<void, T>): Promise<T> {
  let until = performance.now() + sliceMs;
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    if (performance.now() < until) continue;
    await new Promise((resolve) => setImmediate(resolve));
    until = performance.now() + sliceMs;
  }
}

/** Runs such work at a stretch. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
