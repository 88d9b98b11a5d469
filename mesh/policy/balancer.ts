/**
 * Which endpoint takes the next attempt. Power of two choices over peak-EWMA latency times load (Finagle's, with kratos' forced
 * pick of a quiet host), or round robin; both with weights, over the passing instances, over all when too few pass.
 */
import { admits, type Breaker } from "./breaker.ts";
import type { EndpointSignal } from "./classify.ts";

/** What an endpoint is to the balancer. Endpoint objects of the client implement it. */
export interface Candidate {
  /** Unique among the candidates, for example `127.0.0.1:7001`. */
  readonly id: string;
  /** Consul's weight, 0 or more; 0 is picked only when all are 0. */
  readonly weight: number;
  /** Whether the registry (and client health checking) says that it serves. */
  readonly passing: boolean;
  readonly load: Load;
  /** The endpoint's breaker; undefined for none. */
  readonly breaker: Breaker | undefined;
}

/** What is known of an endpoint's speed. Changed by started() and done() alone. */
export interface Load {
  /** Peak-EWMA of the latency, in milliseconds, as of `stamp`; 0 when nothing was measured. */
  ewmaMs: number;
  stamp: number;
  inflight: number;
  pickedAt: number;
}

/** Names of the policies that exist. */
export type BalancerPolicy = "p2c" | "round_robin";

/** What one pick goes by. */
export interface PickOptions {
  /** Milliseconds. */
  readonly now: number;
  /** Numbers uniform in [0, 1). */
  readonly random: () => number;
  /** Ids that this call has tried already: left out when another exists. */
  readonly tried?: ReadonlySet<string> | undefined;
  /** True: open breakers are no reason to leave an endpoint out, but forced ones are. Default false. */
  readonly lastResort?: boolean;
}

/** A policy with its state. */
export interface Balancer {
  /** The endpoint, or undefined when there is none or the breakers of all are open. The caller then calls started() and done(). */
  pick<C extends Candidate>(candidates: readonly C[], options: PickOptions): C | undefined;
}

/** A balancer. Default p2c, since it keeps away from slow and busy endpoints with no tuning. */
export function createBalancer(policy: BalancerPolicy = "p2c"): Balancer {
  return policy === "p2c" ? powerOfTwo : new RoundRobin();
}

/** One pick by p2c; undefined as for Balancer.pick. */
export function pick<C extends Candidate>(
  candidates: readonly C[],
  random: () => number,
  now: number,
  tried?: ReadonlySet<string>,
  lastResort = false,
): C | undefined {
  const pool = poolOf(candidates, now, tried, lastResort);
  if (pool.length < 2) return pool[0];
  const first = draw(pool, random(), undefined);
  const second = draw(pool, random(), first);
  const [better, worse] = costOf(second.load, now) < costOf(first.load, now) ? [second, first] : [first, second];
  // A host that was slow once would keep its bad average for ever if nobody asked it again.
  return now - worse.load.pickedAt > quietMs ? worse : better;
}

/** Nothing known yet; `now` in milliseconds. */
export function newLoad(now: number): Load {
  return { ewmaMs: 0, stamp: now, inflight: 0, pickedAt: now };
}

/** An attempt was sent to the endpoint. */
export function started(load: Load, now: number): void {
  load.inflight++;
  load.pickedAt = now;
}

/** The attempt ended after `elapsedMs` (to the first response, for streams); `signal` from the table in classify.ts. */
export function done(load: Load, now: number, elapsedMs: number, signal: EndpointSignal): void {
  load.inflight = Math.max(0, load.inflight - 1);
  if (signal === "ignored" || signal === "drain") return;
  // An endpoint that fails fast must not look like the fastest one.
  const failed = signal === "failure" || signal === "connect-failure" || signal === "load";
  observe(load, now, failed ? Math.max(elapsedMs, failureMs) : elapsedMs);
}

/** Milliseconds in which an old latency loses all but 1/e of its say. */
const decayMs = 10_000;
/** Milliseconds after which the loser of a draw is picked all the same. kratos' number. */
const quietMs = 3_000;
/** Milliseconds that a failure counts as, at least. */
const failureMs = 1_000;
/** Cost of an endpoint that was never measured but has calls on their way: more than any real latency. */
const unmeasured = 1e9;
/** Share of passing candidates below which the registry is not believed: Envoy's panic threshold. */
const panicShare = 0.5;

const powerOfTwo: Balancer = {
  pick: (candidates, { random, now, tried, lastResort }) => pick(candidates, random, now, tried, lastResort),
};

/** Smooth weighted round robin (nginx's): in turn, heavier ones more often but never in a burst. */
class RoundRobin implements Balancer {
  #credit = new Map<string, number>();

  pick<C extends Candidate>(candidates: readonly C[], { now, tried, lastResort = false }: PickOptions): C | undefined {
    const pool = poolOf(candidates, now, tried, lastResort);
    // Only who left is forgotten: who is merely left out of this pick keeps its turn.
    const credit = new Map(candidates.map(({ id }) => [id, this.#credit.get(id) ?? 0]));
    let best: C | undefined;
    let total = 0;
    for (const candidate of pool) {
      const weight = shareOf(candidate);
      total += weight;
      credit.set(candidate.id, (credit.get(candidate.id) ?? 0) + weight);
      if (best === undefined || (credit.get(candidate.id) ?? 0) > (credit.get(best.id) ?? 0)) best = candidate;
    }
    if (best !== undefined) credit.set(best.id, (credit.get(best.id) ?? 0) - total);
    this.#credit = credit;
    return best;
  }
}

/** Who may be picked: passing (all in a panic), breaker not open, of some weight if any is, not tried if another is left. */
function poolOf<C extends Candidate>(
  candidates: readonly C[],
  now: number,
  tried: ReadonlySet<string> | undefined,
  lastResort: boolean,
): readonly C[] {
  let passing = 0;
  for (const candidate of candidates) if (candidate.passing) passing++;
  const panic = passing < candidates.length * panicShare;
  const open: C[] = [];
  let weighted = 0;
  for (const candidate of candidates) {
    if (!panic && !candidate.passing) continue;
    if (candidate.breaker !== undefined && !leaves(candidate.breaker, now, lastResort)) continue;
    open.push(candidate);
    if (candidate.weight > 0) weighted++;
  }
  const pool = weighted === 0 || weighted === open.length ? open : open.filter(({ weight }) => weight > 0);
  if (tried === undefined || tried.size === 0) return pool;
  const fresh = pool.filter(({ id }) => !tried.has(id));
  return fresh.length === 0 ? pool : fresh;
}

function leaves(breaker: Breaker, now: number, lastResort: boolean): boolean {
  return admits(breaker, now) || (lastResort && breaker.state.name !== "FORCED_OPEN");
}

/** One of the pool but `other`, drawn by weight; `random` uniform in [0, 1). The pool has one at least besides `other`. */
function draw<C extends Candidate>(pool: readonly C[], random: number, other: C | undefined): C {
  let total = 0;
  for (const candidate of pool) if (candidate !== other) total += shareOf(candidate);
  let left = random * total;
  let last: C | undefined;
  for (const candidate of pool) {
    if (candidate === other) continue;
    last = candidate;
    left -= shareOf(candidate);
    if (left < 0) break;
  }
  if (last === undefined) throw new RangeError("draw() from an empty pool");
  return last;
}

/** A candidate's weight within a pool, in which all weigh something or all nothing. */
function shareOf({ weight }: Candidate): number {
  return weight > 0 ? weight : 1;
}

function costOf(load: Load, now: number): number {
  if (load.ewmaMs === 0) return load.inflight === 0 ? 0 : unmeasured + load.inflight;
  return load.ewmaMs * Math.exp(-Math.max(0, now - load.stamp) / decayMs) * (load.inflight + 1);
}

/** Peak-EWMA: up at once, down by the decay (Finagle). */
function observe(load: Load, now: number, sampleMs: number): void {
  const keep = Math.exp(-Math.max(0, now - load.stamp) / decayMs);
  const sample = Math.max(sampleMs, minimumMs);
  load.ewmaMs = sample > load.ewmaMs ? sample : load.ewmaMs * keep + sample * (1 - keep);
  load.stamp = now;
}

/** Milliseconds that a sample counts as, at least: 0 would read as "never measured". */
const minimumMs = 0.01;
