/** Gauges over the client's state: breakers, endpoints, and how old what the registry said is. */
import type { Meter, ObservableCallback, ObservableGauge } from "@opentelemetry/api";
import type { BreakerStateName } from "../policy/breaker.ts";
import type { Directory } from "./directory.ts";
import type { Guards } from "./guards.ts";

/** Registers the gauges; disposing takes them back. */
export function observeClient(meter: Meter, directory: Directory, guards: Guards, clock: () => number): Disposable {
  const breakers = meter.createObservableGauge("heddle.client.breaker.state", {
    description: "0 closed, 1 half open, 2 open, 3 forced open, 4 disabled",
  });
  const endpoints = meter.createObservableGauge("heddle.client.endpoints", {
    description: "Endpoints by state of their connection",
  });
  const ages = meter.createObservableGauge("heddle.client.discovery.age", {
    unit: "s",
    description: "Time since the registry confirmed the instances of a service",
  });
  const callbacks: readonly (readonly [ObservableGauge, ObservableCallback])[] = [
    [
      breakers,
      (result) => {
        for (const { service, endpoint, contract, state } of guards.views(directory.services, clock())) {
          result.observe(stateNumbers[state], { service, endpoint: endpoint ?? "", contract: contract ?? "" });
        }
      },
    ],
    [
      endpoints,
      (result) => {
        for (const service of directory.services) {
          const counts = new Map<string, number>();
          for (const { connection } of service.all) counts.set(connection.state, (counts.get(connection.state) ?? 0) + 1);
          for (const [state, count] of counts) result.observe(count, { service: service.name, state });
        }
      },
    ],
    [
      ages,
      (result) => {
        for (const [service, ageMs] of directory.ages()) if (Number.isFinite(ageMs)) result.observe(ageMs / 1000, { service });
      },
    ],
  ];
  for (const [gauge, callback] of callbacks) gauge.addCallback(callback);
  return {
    [Symbol.dispose]() {
      for (const [gauge, callback] of callbacks) gauge.removeCallback(callback);
    },
  };
}

const stateNumbers: Readonly<Record<BreakerStateName, number>> = {
  CLOSED: 0,
  HALF_OPEN: 1,
  OPEN: 2,
  FORCED_OPEN: 3,
  DISABLED: 4,
};
