/** Asks every instance once in each interval, and adds up what they did since. */
import { runWithoutContext } from "#mesh/context.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { FetchLimits } from "./fetch-text.ts";
import { type LastAnswer, Probe } from "./probe.ts";
import type { Target } from "./target.ts";
import { Vocabulary, type VocabularyLimits, vocabularyLimits } from "./vocabulary.ts";
import { CallTally, type MeasureRow, type ServiceWindow, type Window } from "./window.ts";

/** What a collector works with. */
export interface CollectorOptions {
  /** Milliseconds. */
  readonly intervalMs: number;
  readonly fetch: FetchLimits;
  readonly maxSamples: number;
  readonly maxInstances: number;
  readonly log: Logger;
  readonly clock: () => number;
  /** Default vocabularyLimits. */
  readonly vocabulary?: VocabularyLimits;
}

/** Everything of one service. */
class Followed {
  readonly name: string;
  readonly probes = new Map<string, Probe>();
  /** The last answers of instances that are gone: a registry that lost its memory names them again. */
  readonly gone = new Map<string, LastAnswer>();
  vocabulary: Vocabulary;
  tally = new CallTally();
  grown = new Map<string, number>();

  constructor(name: string, limits: VocabularyLimits) {
    this.name = name;
    this.vocabulary = new Vocabulary(limits);
  }
}

/** New lines that one answer may bring, beside an instance's first. */
const maxNew = 2000;

/** How long the last answer of an instance that is gone is kept, in milliseconds. */
const goneMs = 300_000;

/** The part of an interval over which instances are spread, so that their answers come within it. */
const spread = 0.8;

/** Collects until disposed. */
export class Collector implements Disposable {
  readonly #options: CollectorOptions;
  readonly #services = new Map<string, Followed>();
  readonly #timers = new Map<Probe, NodeJS.Timeout>();
  readonly #stop = new AbortController();
  readonly #since: number;
  #windowStart: number;
  #known = false;
  /** Instances beyond the limit. */
  leftOut = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#since = options.clock();
    this.#windowStart = this.#since;
  }

  /** All instances, by service and id. */
  get probes(): readonly Probe[] {
    return [...this.#services.values()].flatMap(({ probes }) => [...probes.values()]);
  }

  /** What was left out of a service because there is too much of it. */
  truncated(service: string): readonly string[] {
    return [...(this.#services.get(service)?.vocabulary.truncated ?? [])];
  }

  /** Collects from these instances from now on, and from no others. Those beyond the limit, by id, are left out. */
  follow(targets: readonly Target[]): void {
    const { maxInstances, vocabulary = vocabularyLimits } = this.#options;
    const sorted = targets.toSorted((a, b) => (a.instance < b.instance ? -1 : 1));
    const taken = sorted.slice(0, maxInstances);
    this.leftOut = sorted.length - taken.length;
    const wanted = new Map(taken.map((target) => [`${target.service}/${target.instance}`, target]));
    for (const service of this.#services.values()) {
      for (const [id, probe] of service.probes) {
        const target = wanted.get(`${service.name}/${id}`);
        // An instance that moved is another one.
        if (target !== undefined && target.host === probe.target.host && target.port === probe.target.port) continue;
        this.#drop(service, probe);
      }
    }
    for (const target of wanted.values()) {
      const service = this.#services.get(target.service) ?? new Followed(target.service, vocabulary);
      this.#services.set(target.service, service);
      if (!service.probes.has(target.instance)) this.#add(service, target);
    }
    this.#known = true;
  }

  /** What happened since the last window was closed, as the window that ends at `end`; undefined when that is not after the last. */
  closeWindow(end: number): Window | undefined {
    const start = this.#windowStart;
    if (end <= start) return undefined;
    this.#windowStart = end;
    const services = [...this.#services.values()].flatMap((service) => closed(service, start, end));
    for (const [name, { probes, gone }] of this.#services) {
      for (const [id, { at }] of gone) if (at < end - goneMs) gone.delete(id);
      if (probes.size === 0 && gone.size === 0) this.#services.delete(name);
    }
    return { start, end, services };
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #add(service: Followed, target: Target): void {
    const probe = new Probe(target, service.gone.get(target.instance));
    service.gone.delete(target.instance);
    service.probes.set(target.instance, probe);
    // The first set of many is spread from the start; one that joins later is asked at once, since it may not live long.
    this.#schedule(service, probe, this.#known ? 0 : this.#phaseOf(target.instance) / 4);
  }

  #drop(service: Followed, probe: Probe): void {
    service.probes.delete(probe.target.instance);
    if (probe.last !== undefined) service.gone.set(probe.target.instance, probe.last);
    clearTimeout(this.#timers.get(probe));
    this.#timers.delete(probe);
  }

  #schedule(service: Followed, probe: Probe, inMs: number): void {
    const timer = runWithoutContext(() => setTimeout(() => void this.#ask(service, probe), inMs));
    this.#timers.set(probe, timer.unref());
  }

  async #ask(service: Followed, probe: Probe): Promise<void> {
    const { clock, fetch, maxSamples, intervalMs, log, vocabulary = vocabularyLimits } = this.#options;
    const parts = { clock, fetch, reading: { maxSamples, maxNew }, since: this.#since };
    const { state } = probe;
    const good = await probe.ask(parts, () => service.vocabulary, sinkOf(service), this.#stop.signal);
    if (this.#stop.signal.aborted) return;
    if (!good && state !== probe.state) {
      const { instance, service: name } = probe.target;
      log.info({ of: instance, target: name, problem: probe.problem }, "an instance does not answer well");
    }
    // Begun anew with the next answers: the growth of this service is lost for one interval.
    if (service.vocabulary.full) service.vocabulary = new Vocabulary(vocabulary);
    if (service.probes.get(probe.target.instance) !== probe) return;
    const phase = this.#phaseOf(probe.target.instance);
    const now = clock();
    const waitMs = intervalMs - ((((now - phase) % intervalMs) + intervalMs) % intervalMs);
    // A timer that was a little early is not to ask twice.
    this.#schedule(service, probe, waitMs < intervalMs / 20 ? waitMs + intervalMs : waitMs);
  }

  /** When in the interval an instance is asked, in milliseconds: always at the same time, and evenly spread. */
  #phaseOf(instance: string): number {
    let hash = 0x811c9dc5;
    for (let at = 0; at < instance.length; at++) hash = Math.imul(hash ^ instance.charCodeAt(at), 0x01000193);
    return Math.floor(((hash >>> 0) / 2 ** 32) * spread * this.#options.intervalMs);
  }
}

function sinkOf(service: Followed) {
  return {
    counter: (measure: number, by: number) => {
      const name = service.vocabulary.measures[measure]?.name ?? "";
      service.grown.set(name, (service.grown.get(name) ?? 0) + by);
    },
    calls: (series: { method: string; outcome: string }, bounds: readonly number[], buckets: Float64Array, sum: number) =>
      service.tally.add(series.method, series.outcome, bounds, buckets, sum),
  };
}

/** The service's window; none when no instance answered in it. */
function closed(service: Followed, start: number, end: number): ServiceWindow[] {
  const answers = [...service.probes.values()].flatMap(({ last }) => (last !== undefined && last.at >= start ? [last] : []));
  const calls = service.tally.rows();
  const { grown } = service;
  if (answers.length === 0 && calls.length === 0) return [];
  service.tally = new CallTally();
  service.grown = new Map();
  const seconds = (end - start) / 1000;
  return [
    { service: service.name, seconds, up: answers.length, calls, measures: measuresOf(service.vocabulary, grown, answers) },
  ];
}

function measuresOf({ measures }: Vocabulary, grown: ReadonlyMap<string, number>, answers: readonly LastAnswer[]): MeasureRow[] {
  return measures.flatMap(({ name, kind }, at): MeasureRow[] => {
    if (kind === "counter") return [{ name, kind, value: grown.get(name) ?? 0, max: undefined }];
    let [value, max] = [0, Number.NEGATIVE_INFINITY];
    for (const { gaugeSums, gaugeMaxima, vocabulary } of answers) {
      const [sum, greatest] = [gaugeSums[at] ?? Number.NaN, gaugeMaxima[at] ?? Number.NaN];
      if (vocabulary.measures !== measures || Number.isNaN(sum)) continue;
      value += sum;
      max = Math.max(max, greatest);
    }
    return max === Number.NEGATIVE_INFINITY ? [] : [{ name, kind, value, max }];
  });
}
