/** What calls to the same service share: breakers, the retry throttle, the retry budget. */
import {
  type Breaker,
  type BreakerStateName,
  createBreaker,
  reconfigureBreaker,
  resetBreaker,
  viewBreaker,
} from "../policy/breaker.ts";
import { RetryBudget, RetryThrottle, type RetryThrottling } from "../policy/budget.ts";
import type { Outcome } from "../policy/classify.ts";
import type { Pushback } from "../policy/retry.ts";
import type { MethodConfig } from "../policy/service-config.ts";
import type { ServiceEndpoints } from "./endpoints.ts";

/** One breaker, for the admin API, the gateway's /health and the CLI. */
export interface BreakerView {
  /** The service's name in the registry. */
  readonly service: string;
  /** The endpoint's id when the breaker guards one endpoint alone. */
  readonly endpoint: string | undefined;
  readonly state: BreakerStateName;
  /** A share from 0 to 1 of `calls`. */
  readonly failureRate: number;
  /** Calls in the breaker's window. */
  readonly calls: number;
  /** Milliseconds since the epoch; undefined unless the state is OPEN. */
  readonly openUntil: number | undefined;
  /** The contract, or contract/method, whose calls the breaker guards; undefined for an endpoint's. */
  readonly contract?: string | undefined;
}

/** The guards of one process. */
export class Guards {
  readonly #breakers = new Map<string, { readonly service: string; readonly breaker: Breaker }>();
  readonly #throttles = new Map<string, { readonly throttle: RetryThrottle; settings: RetryThrottling | undefined }>();
  readonly #budgets = new Map<string, RetryBudget>();

  /** The breaker that guards a method, with the settings that hold now. */
  breaker(service: string, config: MethodConfig, contract: string): Breaker {
    const key = config.breakerKey === "" ? contract : config.breakerKey;
    const present = this.#breakers.get(key)?.breaker;
    if (present === undefined) {
      const breaker = createBreaker(config.breaker);
      this.#breakers.set(key, { service, breaker });
      return breaker;
    }
    if (present.settings !== config.breaker) reconfigureBreaker(present, config.breaker);
    return present;
  }

  /** The token bucket of a contract (retryThrottling of its service config). */
  throttle(contract: string, settings: RetryThrottling | undefined): RetryThrottle {
    const present = this.#throttles.get(contract);
    if (present === undefined) {
      const throttle = new RetryThrottle(settings);
      this.#throttles.set(contract, { throttle, settings });
      return throttle;
    }
    if (present.settings !== settings) {
      present.settings = settings;
      present.throttle.reconfigure(settings);
    }
    return present.throttle;
  }

  /** The bound on all retries to a service together. */
  budget(service: string): RetryBudget {
    const present = this.#budgets.get(service);
    if (present !== undefined) return present;
    const budget = new RetryBudget();
    this.#budgets.set(service, budget);
    return budget;
  }

  /** Every breaker known so far, those of contracts first, then those of `services`' endpoints. */
  views(services: Iterable<ServiceEndpoints>, now: number): readonly BreakerView[] {
    const views: BreakerView[] = [];
    for (const [contract, { service, breaker }] of this.#breakers) views.push(viewOf(service, undefined, breaker, now, contract));
    for (const service of services) {
      for (const { id, breaker } of service.all) views.push(viewOf(service.name, id, breaker, now, undefined));
    }
    return views;
  }

  /** Closes the breakers of a service (with its endpoints') or of a contract. False when there is none by that name. */
  reset(name: string, services: Iterable<ServiceEndpoints>): boolean {
    const names = new Set<string>([name]);
    let found = false;
    for (const [key, { service, breaker }] of this.#breakers) {
      const contract = key.split("/")[0];
      if (service !== name && contract !== name && key !== name) continue;
      resetBreaker(breaker);
      names.add(service);
      found = true;
    }
    for (const service of services) {
      if (!names.has(service.name)) continue;
      for (const { breaker } of service.all) resetBreaker(breaker);
      found = true;
    }
    return found;
  }

  /** Closes the breakers over a service's contracts, since the instances that opened them have gone. */
  recovered(name: string): void {
    for (const { service, breaker } of this.#breakers.values()) {
      if (service === name && breaker.settings.enabled) resetBreaker(breaker);
    }
  }
}

/** What the end of an attempt does to the token bucket (gRFC A6): a server that says not to retry costs a token as well. */
export function chargeThrottle(throttle: RetryThrottle, token: Outcome["token"], listed: boolean, pushback: Pushback): void {
  const failed = token === "failure" || (token === "failure-if-listed" && listed);
  if (token === "success") throttle.success();
  else if (failed || (token !== "none" && pushback.kind === "stop")) throttle.failure();
}

function viewOf(
  service: string,
  endpoint: string | undefined,
  breaker: Breaker,
  now: number,
  contract: string | undefined,
): BreakerView {
  const { state, failureRate, calls, openUntil } = viewBreaker(breaker, now);
  return { service, endpoint, state, failureRate, calls, openUntil, contract };
}
