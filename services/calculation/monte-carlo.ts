/** A simulation from its question to its figures: its blocks go to the threads, and come together in their order. */
import type { Distribution } from "./distribution.ts";
import type { ModelText } from "./model.ts";
import type { Pool } from "./pool.ts";
import { blockSize } from "./simulation.ts";
import { nothing, type Spread, together } from "./spread.ts";
import type { Summary, SummaryWanted } from "./statistics.ts";

/** What to simulate. */
export interface MonteCarloQuestion extends ModelText {
  /** In order of the inputs. */
  readonly distributions: readonly Distribution[];
  readonly iterations: number;
  readonly seed: bigint;
  readonly wanted: SummaryWanted;
}

/** How far a simulation is. The last has the summary. */
export interface Progress {
  /** Those from the first on without a gap, so that the same number means the same outcomes. */
  readonly completed: number;
  readonly spread: Spread;
  readonly summary?: Summary;
}

/** How often progress is told, in milliseconds. */
const tellMs = 100;

/**
 * Simulates, and tells how far it is: at most once in 100 ms, and only the latest to a reader who is slow. Ends its work when the reader
 * leaves.
 *
 * @throws Refusal and all that a pool's run throws.
 */
export async function* simulateAll(
  pool: Pool,
  { expression, inputs, constants, distributions, iterations, seed, wanted }: MonteCarloQuestion,
  { signal, limitMs }: { readonly signal: AbortSignal; readonly limitMs: number },
): AsyncGenerator<Progress, void, undefined> {
  const left = new AbortController();
  const options = { signal: AbortSignal.any([signal, left.signal]), budget: { leftMs: limitMs } };
  try {
    const program = await pool.run("readModel", { expression, inputs, constants }, options);
    const outcomes = new Float64Array(iterations);
    const blocks = Math.ceil(iterations / blockSize);
    const spreads: (Spread | undefined)[] = Array.from({ length: blocks });
    let next = 0;
    const worker = async () => {
      for (let index = next++; index < blocks; index = next++) {
        const size = Math.min(blockSize, iterations - index * blockSize);
        const done = await pool.run("simulate", { program, distributions, seed, index, size }, options);
        outcomes.set(done.outcomes, index * blockSize);
        spreads[index] = done.spread;
      }
    };
    let working = true;
    const all = Promise.all(Array.from({ length: Math.min(blocks, pool.threads) }, worker)).finally(() => {
      working = false;
    });
    all.catch(() => left.abort());
    let merged = 0;
    let spread = nothing;
    while (working) {
      await oneOf(all, tellMs);
      const before = merged;
      for (let one = spreads[merged]; one !== undefined; one = spreads[++merged]) spread = together(spread, one);
      if (working && merged > before) yield { completed: merged * blockSize, spread };
    }
    await all;
    const summary = await pool.run("summarise", { outcomes, wanted }, { ...options, transfer: [outcomes.buffer] });
    yield { completed: iterations, spread, summary };
  } finally {
    left.abort();
  }
}

/** Settles as `work` does, or after a while. */
async function oneOf(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
