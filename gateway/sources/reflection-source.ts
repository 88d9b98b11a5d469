/**
 * Contracts from gRPC reflection of running services. A service is asked again whenever its instances change. What one has told
 * stays after its last instance has gone: its paths then answer 503 and not 404.
 *
 * While a rollout is under way, the instance that was asked last is asked again for as long as it lives, then one of the same
 * version: a method becomes a path once no old instance is left that would not know it.
 */
import { ConnectError } from "@connectrpc/connect";
import { type BackoffPolicy, backoffMs } from "#mesh/policy/retry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { type Reflected, reflect } from "./reflect.ts";
import { ChangingContracts, type ContractFiles, type ContractSource } from "./source.ts";
import type { Target, TargetInstance, WatchTargets } from "./targets.ts";
import { unionOf } from "./union.ts";

/** Whom to ask, and how. */
export interface ReflectionSourceOptions {
  readonly targets: WatchTargets;
  readonly log: Logger;
  /** Milliseconds for one server to answer. Default 5000. */
  readonly timeoutMs?: number;
  /** Milliseconds that the opening waits for first answers. Default 2000; what comes later is a change. */
  readonly patienceMs?: number;
  /** Delays before a service that did not answer is asked again. Default 1 s x 2 up to 30 s. */
  readonly backoff?: BackoffPolicy;
  /** Told which services a target has, each time that it has answered. */
  readonly onServices?: (target: Target, services: readonly string[]) => void;
}

/** Starts to ask. Settles when all targets that are known at once have answered or failed, at the latest after `patienceMs`. */
export async function openReflectionSource(options: ReflectionSourceOptions): Promise<ContractSource> {
  const source = new ReflectionSource(options);
  await source.open();
  return source;
}

/** A target and what it told. */
interface Known {
  target: Target;
  /** The instance that answered last. */
  asked: TargetInstance | undefined;
  reflected: Reflected | undefined;
  running: boolean;
  /** Bumped by each change: an answer to an older one is not the last word. */
  round: number;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

const origin = "reflection";
const nothing: ContractFiles = { origin, files: [], services: new Set() };

class ReflectionSource extends ChangingContracts {
  readonly #options: Required<Pick<ReflectionSourceOptions, "timeoutMs" | "patienceMs" | "backoff">> & ReflectionSourceOptions;
  readonly #known = new Map<string, Known>();
  readonly #closing = new AbortController();
  #watching: Disposable | undefined;
  #onSettled: () => void = () => {};

  constructor(options: ReflectionSourceOptions) {
    super(nothing);
    this.#options = { timeoutMs: 5000, patienceMs: 2000, backoff, ...options };
  }

  get floor(): ContractFiles {
    return nothing;
  }

  async open(): Promise<void> {
    const { patienceMs, targets } = this.#options;
    const first = Promise.withResolvers<void>();
    const timer = setTimeout(first.resolve, patienceMs);
    this.#onSettled = () => {
      if ([...this.#known.values()].every(({ running }) => !running)) first.resolve();
    };
    this.#watching = targets((target) => this.#onTarget(target));
    await first.promise;
    clearTimeout(timer);
    this.#onSettled = () => {};
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#watching?.[Symbol.dispose]();
    for (const { timer } of this.#known.values()) clearTimeout(timer);
  }

  #onTarget(target: Target): void {
    const known = this.#known.get(target.name) ?? fresh(target);
    const changed = known.round === 0 || keyOf(known.target) !== keyOf(target);
    known.target = target;
    this.#known.set(target.name, known);
    // Without an instance there is nobody to ask, and what is known stays.
    if (!changed || target.instances.length === 0) return;
    known.round++;
    known.failures = 0;
    void this.#ask(known);
  }

  async #ask(known: Known): Promise<void> {
    clearTimeout(known.timer);
    if (known.running) return;
    known.running = true;
    let round: number;
    do {
      round = known.round;
      await this.#askOnce(known);
    } while (round !== known.round && !this.#closing.signal.aborted);
    known.running = false;
    this.#onSettled();
  }

  async #askOnce(known: Known): Promise<void> {
    const { target } = known;
    const { log, timeoutMs, onServices } = this.#options;
    let failure: unknown;
    for (const instance of inOrder(target.instances, known.asked)) {
      try {
        const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]);
        const reflected = await reflect(instance.address, target.contracts, signal);
        if (this.#closing.signal.aborted) return;
        Object.assign(known, { asked: instance, reflected, failures: 0 });
        onServices?.(target, reflected.services);
        this.publish(() => unionOf(this.#parts(), origin));
        return;
      } catch (error) {
        failure = error;
        if (this.#closing.signal.aborted) return;
      }
    }
    known.failures++;
    const delay = backoffMs(this.#options.backoff, known.failures, 0.5);
    known.timer = setTimeout(() => void this.#ask(known), delay).unref();
    const reason = ConnectError.from(failure).rawMessage;
    log[known.failures === 1 ? "warn" : "debug"]({ service: target.name, reason }, "no contracts by reflection");
  }

  #parts(): ContractFiles[] {
    return [...this.#known.values()].flatMap(({ target, reflected }) =>
      reflected === undefined ? [] : [{ ...reflected, origin: target.name, services: new Set(reflected.services) }],
    );
  }
}

const backoff: BackoffPolicy = { initialBackoffMs: 1000, maxBackoffMs: 30_000, backoffMultiplier: 2 };

function fresh(target: Target): Known {
  return { target, asked: undefined, reflected: undefined, running: false, round: 0, failures: 0, timer: undefined };
}

function keyOf({ contracts, instances }: Target): string {
  return JSON.stringify([contracts, instances]);
}

/** The one that was asked last, then those of its version, then the others. */
function inOrder(instances: readonly TargetInstance[], last: TargetInstance | undefined): TargetInstance[] {
  const rank = ({ id, version }: TargetInstance) => (id === last?.id ? 0 : version === last?.version ? 1 : 2);
  return instances.toSorted((a, b) => rank(a) - rank(b));
}
