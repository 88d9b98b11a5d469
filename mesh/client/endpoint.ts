/** One instance of a service as its callers see it: connection, breaker and speed, kept for as long as the instance exists. */
import { Connection, type ConnectionOptions } from "../net/connection.ts";
import { type Candidate, done, type Load, newLoad, started } from "../policy/balancer.ts";
import {
  admit,
  type Breaker,
  type BreakerOutcome,
  type BreakerSettings,
  createBreaker,
  type Permit,
  resetBreaker,
} from "../policy/breaker.ts";
import type { EndpointSignal } from "../policy/classify.ts";
import type { InstanceStatus } from "../registry/registry.ts";

/** What is known of an instance. */
export interface EndpointInfo {
  /** The instance's id; its address when it came from a static list. */
  readonly id: string;
  /** host:port. */
  readonly address: string;
  readonly weight: number;
  readonly status: InstanceStatus;
}

/** An instance that can be picked. */
export class Endpoint implements Candidate {
  readonly id: string;
  readonly address: string;
  readonly load: Load;
  readonly breaker: Breaker;
  readonly connection: Connection;
  #weight: number;
  #passing: boolean;
  #connectFailed = false;

  constructor(info: EndpointInfo, breaker: BreakerSettings, now: number, options: ConnectionOptions, onState: () => void) {
    this.id = info.id;
    this.address = info.address;
    this.#weight = info.weight;
    this.#passing = info.status !== "critical";
    this.load = newLoad(now);
    this.breaker = createBreaker(breaker);
    this.connection = new Connection(info.address, {
      ...options,
      onState: (connection) => {
        // What opened the breaker was that nobody could connect, and now somebody could.
        if (connection.state === "ready" && this.#connectFailed) {
          this.#connectFailed = false;
          resetBreaker(this.breaker);
        }
        onState();
      },
    });
  }

  get weight(): number {
    return this.#weight;
  }

  /** Passing or warning in the registry. */
  get passing(): boolean {
    return this.#passing;
  }

  /** Takes what the registry says now. An instance that has recovered is tried again at once. */
  update(info: EndpointInfo): void {
    const passing = info.status !== "critical";
    if (passing && !this.#passing) this.connection.resetBackoff();
    this.#passing = passing;
    this.#weight = info.weight;
  }

  /** Picks it; as a last resort also without its breaker's leave. Undefined when the breaker says no after all. */
  take(now: number, lastResort: boolean): Pick | undefined {
    const permit = admit(this.breaker, now);
    if (!permit.admitted && !lastResort) return undefined;
    started(this.load, now);
    return new Pick(this, permit.admitted ? permit : undefined, now);
  }

  /** Called by its picks alone. */
  learn(signal: EndpointSignal): void {
    if (signal === "connect-failure") this.#connectFailed = true;
    if (signal === "success") this.#connectFailed = false;
  }
}

/** One attempt's claim on an endpoint. done() is owed exactly once. */
export class Pick {
  readonly endpoint: Endpoint;
  /** Undefined for a pick of last resort, which the breaker did not admit. */
  readonly #permit: Permit | undefined;
  readonly #start: number;
  #answeredAfter: number | undefined;
  #open = true;

  constructor(endpoint: Endpoint, permit: Permit | undefined, now: number) {
    this.endpoint = endpoint;
    this.#permit = permit;
    this.#start = now;
  }

  /** The first response of a stream came: that is its latency, and a probe of the breaker need not wait for the stream's end. */
  answered(now: number): void {
    this.#answeredAfter ??= now - this.#start;
    this.#settle("success", now);
  }

  /** The attempt is over; `signal` from the table in classify.ts. Later calls do nothing. */
  done(signal: EndpointSignal, now: number): void {
    if (!this.#open) return;
    this.#open = false;
    done(this.endpoint.load, now, this.#answeredAfter ?? now - this.#start, signal);
    this.#settle(breakerOutcomes[signal], now);
    this.endpoint.learn(signal);
  }

  /** A success that the breaker did not expect proves it wrong; a failure is what it said. */
  #settle(outcome: BreakerOutcome, now: number): void {
    if (this.#permit !== undefined) this.#permit.settle(outcome, now);
    else if (outcome === "success" && this.endpoint.breaker.state.name !== "FORCED_OPEN") resetBreaker(this.endpoint.breaker);
  }
}

const breakerOutcomes: Readonly<Record<EndpointSignal, BreakerOutcome>> = {
  success: "success",
  failure: "failure",
  "connect-failure": "failure",
  slow: "slow",
  load: "ignored",
  drain: "ignored",
  ignored: "ignored",
};
