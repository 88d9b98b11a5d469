/** Blocks of a simulation, and what all of them come to. Runs in worker threads. */
import { compile, type Model } from "./compiled-model.ts";
import { type Distribution, sampler } from "./distribution.ts";
import type { Tree } from "./model.ts";
import { uniformsOf } from "./philox.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** How many iterations a block has. It is part of what a seed means. */
export const blockSize = 4096;

/** A block to work out. */
export interface Block {
  /** The tree as JSON, under which it is kept once it runs. */
  readonly program: string;
  readonly distributions: readonly Distribution[];
  readonly seed: bigint;
  readonly index: number;
  /** How many iterations: `blockSize`, but for the last. */
  readonly size: number;
}

/** What a block comes to. */
export interface BlockDone {
  /** In order. */
  readonly outcomes: Float64Array<ArrayBuffer>;
  /** Those that are finite, together. */
  readonly spread: Spread;
}

/** Works out a block. */
export function simulate({ program, distributions, seed, index, size }: Block): BlockDone {
  const model = modelOf(program);
  const uniforms = uniformsOf(seed, index);
  const draws = distributions.map((distribution) => sampler(distribution, uniforms));
  const inputs = new Float64Array(draws.length);
  const outcomes = new Float64Array(size);
  for (let iteration = 0; iteration < size; iteration++) {
    for (let place = 0; place < draws.length; place++) inputs[place] = (draws[place] as () => number)();
    outcomes[iteration] = model(inputs);
  }
  return { outcomes, spread: spreadOf(outcomes) };
}

/** Those that ran last: a thread works on the blocks of several simulations in turns. */
const running = new Map<string, Model>();

function modelOf(program: string): Model {
  const model = running.get(program) ?? compile(JSON.parse(program) as Tree);
  running.delete(program);
  running.set(program, model);
  for (const oldest of running.keys()) {
    if (running.size <= 16) break;
    running.delete(oldest);
  }
  return model;
}
