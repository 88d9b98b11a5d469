/**
 * The plan that holds now, and how it follows its contracts: a change is compiled aside, swapped in when it is good, and refused
 * whole when it is not; the plan before it then stays.
 */
import type { Logger } from "#mesh/telemetry/log.ts";
import { ContractError, type Contracts, contractsOf } from "./contracts.ts";
import type { Plan } from "./plan.ts";
import type { ContractFiles, ContractSource } from "./sources/source.ts";

/** What `GET /health` and `heddle status` tell of the contracts. */
export interface ContractsReport {
  /** Where the contracts come from: `image contracts.binpb`. */
  readonly source: string;
  /** The same for the same contracts. */
  readonly version: string;
  /** When they were swapped in, in RFC 3339. */
  readonly loaded_at: string;
  /** The last change, when it was refused; gone as soon as one is taken. */
  readonly refused?: { readonly reason: string; readonly at: string };
}

/** The plan of the moment. */
export interface LivePlan {
  readonly current: Plan;
  report(): ContractsReport;
}

/** What to follow, and how to compile it. */
export interface LivePlanOptions {
  /** Contracts that stay as they are, or a source of changing ones. */
  readonly contracts: Contracts | ContractSource;
  /** @throws ContractError for contracts that cannot be served. */
  compile(contracts: Contracts): Plan;
  readonly log: Logger;
  readonly clock: () => number;
}

/**
 * Compiles the first plan and follows the source from then on.
 *
 * @throws ContractError when the first contracts cannot be served, unless it is only what running services told of themselves.
 */
export function followContracts(options: LivePlanOptions): LivePlan {
  return new FollowedPlan(options);
}

class FollowedPlan implements LivePlan {
  readonly #options: LivePlanOptions;
  #current: Plan;
  #loadedAt: number;
  #refused: { readonly reason: string; readonly at: number } | undefined;

  constructor(options: LivePlanOptions) {
    const { contracts, compile, clock } = options;
    this.#options = options;
    this.#loadedAt = clock();
    this.#current = compile(isSource(contracts) ? contractsOf(contracts.floor) : contracts);
    if (!isSource(contracts)) return;
    if (contracts.current !== contracts.floor) this.#onChange(contracts.current);
    contracts.subscribe((next) => this.#onChange(next));
  }

  get current(): Plan {
    return this.#current;
  }

  report(): ContractsReport {
    const { origin, version } = this.#current.contracts;
    const refused = this.#refused && { reason: this.#refused.reason, at: new Date(this.#refused.at).toISOString() };
    return {
      source: origin,
      version,
      loaded_at: new Date(this.#loadedAt).toISOString(),
      ...(refused === undefined ? {} : { refused }),
    };
  }

  #onChange(next: ContractFiles | ContractError): void {
    const { compile, clock, log } = this.#options;
    try {
      if (next instanceof ContractError) throw next;
      const contracts = contractsOf(next);
      const before = this.#current.contracts.version;
      const same = contracts.version === before;
      if (same && this.#refused === undefined) return;
      if (!same) this.#current = compile(contracts);
      this.#loadedAt = clock();
      this.#refused = undefined;
      log.info({ source: next.origin, version: contracts.version, before, routes: this.#current.routes.length }, "new contracts");
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      const reason = error.mistakes.join("\n");
      // Sources tell again what is still wrong; it is logged once.
      if (reason !== this.#refused?.reason) {
        log.error(
          { version: this.#current.contracts.version, mistakes: error.mistakes },
          "refused new contracts, the old ones stay",
        );
      }
      this.#refused = { reason, at: clock() };
    }
  }
}

function isSource(contracts: Contracts | ContractSource): contracts is ContractSource {
  return "subscribe" in contracts;
}
