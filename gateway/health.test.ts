import assert from "node:assert/strict";
import type { Instance, InstanceStatus, Registry } from "#mesh/registry/registry.ts";
import { type HealthReport, watchMesh } from "./health.ts";

/** A registry that publishes what the test says. */
function fakeRegistry() {
  let catalog: (services: ReadonlyMap<string, readonly string[]>) => void = () => {};
  const services = new Map<string, (instances: readonly Instance[]) => void>();
  let watches = 0;
  let connected = true;
  const watch = () => {
    watches++;
    return { ageMs: () => 0, first: Promise.resolve(), [Symbol.dispose]: () => void watches-- };
  };
  const registry = {
    watchCatalog(listener: typeof catalog) {
      catalog = listener;
      return watch();
    },
    watchService(name: string, listener: (instances: readonly Instance[]) => void) {
      services.set(name, listener);
      return watch();
    },
    status: () => ({ address: "http://127.0.0.1:8500", connected, ageMs: connected ? 5 : Number.POSITIVE_INFINITY }),
  } as unknown as Registry;
  return {
    registry,
    catalog: (names: Record<string, string[]>) => catalog(new Map(Object.entries(names))),
    instances: (name: string, ...statuses: InstanceStatus[]) =>
      services.get(name)?.(statuses.map((status, index) => instance(name, index, status))),
    disconnect: () => {
      connected = false;
    },
    watches: () => watches,
  };
}

function instance(service: string, index: number, status: InstanceStatus): Instance {
  const tags = ["grpc", `${service}.v1.Service`];
  return {
    id: `${service}-${index}`,
    service,
    address: "127.0.0.1",
    port: 7000 + index,
    tags,
    meta: { version: "1" },
    weight: 1,
    status,
  };
}

const open = { service: "a", endpoint: undefined, state: "OPEN", failureRate: 0.5, calls: 20, openUntil: 0 } as const;

function outline({ status, services, missing_contracts }: HealthReport) {
  return [
    status,
    Object.fromEntries(Object.entries(services).map(([name, service]) => [name, service.status])),
    missing_contracts,
  ];
}

describe("gateway/health", () => {
  it("tells every service's status from its instances", () => {
    const fake = fakeRegistry();
    using view = watchMesh({ registry: fake.registry, contracts: () => ["a.v1.Service"], breakers: () => [] });
    assert.deepEqual(outline(view.health(false)), ["DEGRADED", {}, ["a.v1.Service"]]);
    fake.catalog({ consul: [], a: ["grpc", "a.v1.Service"], b: ["grpc"] });
    fake.instances("a", "passing");
    fake.instances("b", "passing", "critical");
    assert.deepEqual(outline(view.health(false)), ["DEGRADED", { a: "UP", b: "DEGRADED" }, []]);
    fake.instances("b", "passing", "passing");
    assert.deepEqual(outline(view.health(false)), ["UP", { a: "UP", b: "UP" }, []]);
    fake.instances("a", "critical");
    assert.deepEqual(outline(view.health(false)), ["DEGRADED", { a: "DOWN", b: "UP" }, ["a.v1.Service"]]);
    assert.deepEqual(view.health(false).services.b?.instances[1], {
      id: "b-1",
      address: "127.0.0.1:7001",
      status: "passing",
      version: "1",
    });
  });

  it("keeps showing a service that left", () => {
    const fake = fakeRegistry();
    using view = watchMesh({ registry: fake.registry, contracts: () => [], breakers: () => [] });
    fake.catalog({ a: [] });
    fake.instances("a", "passing");
    fake.catalog({});
    fake.instances("a");
    assert.deepEqual(outline(view.health(false)), ["DEGRADED", { a: "DOWN" }, []]);
  });

  it("is DEGRADED without the registry, and DOWN only when the gateway ends", () => {
    const fake = fakeRegistry();
    using view = watchMesh({ registry: fake.registry, contracts: () => [], breakers: () => [open] });
    fake.disconnect();
    const report = view.health(false);
    assert.equal(report.status, "DEGRADED");
    assert.deepEqual(report.registry, { address: "http://127.0.0.1:8500", connected: false, age_ms: null });
    assert.deepEqual(report.circuit_breakers, [
      { service: "a", endpoint: undefined, state: "OPEN", failure_rate: 0.5, calls: 20, open_until: "1970-01-01T00:00:00.000Z" },
    ]);
    assert.equal(view.health(true).status, "DOWN");
  });

  it("is UP where there is no registry", () => {
    using view = watchMesh({ registry: undefined, contracts: () => ["a"], breakers: () => [] });
    assert.deepEqual(outline(view.health(false)), ["UP", {}, []]);
  });

  it("ends all its watches", () => {
    const fake = fakeRegistry();
    const view = watchMesh({ registry: fake.registry, contracts: () => [], breakers: () => [] });
    fake.catalog({ a: [], b: [] });
    assert.equal(fake.watches(), 3);
    view[Symbol.dispose]();
    assert.equal(fake.watches(), 0);
  });
});
