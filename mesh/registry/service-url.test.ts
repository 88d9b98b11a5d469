import assert from "node:assert/strict";
import { fakeRegistry } from "#mesh/client/registry.fixture.ts";
import { instanceUrl, isHealthy, serviceUrls, serviceUrlVariable } from "./service-url.ts";

describe("the URL of a service", () => {
  it("is that of each instance which is not critical, sorted, by the registry", async () => {
    const registry = fakeRegistry();
    registry.publish("auth", [
      ["b", 7002],
      ["a", 7001, "warning"],
      ["c", 7003, "critical"],
    ]);
    const env = { AUTH_SERVICE_URL: "http://elsewhere:1" };
    const urls = ["http://127.0.0.1:7001", "http://127.0.0.1:7002"];
    assert.deepEqual(await serviceUrls("auth", { registry, env }), { urls, source: "registry" });
  });

  it("is what <SERVICE>_SERVICE_URL says when no instance is well, and unknown when that is empty too", async () => {
    const registry = fakeRegistry();
    registry.publish("price-list", [["c", 7003, "critical"]]);
    const env = { PRICE_LIST_SERVICE_URL: "https://prices.example:8443", AUTH_SERVICE_URL: "" };
    const urls = ["https://prices.example:8443"];
    assert.deepEqual(await serviceUrls("price-list", { registry, env }), { urls, source: "environment" });
    assert.equal(await serviceUrls("auth", { registry, env }), undefined);
  });

  it("is asked of the environment when the registry does not answer in time", async () => {
    const registry = fakeRegistry();
    const silent = {
      ...registry,
      watchService: () => ({ ageMs: () => 0, first: new Promise<void>(() => {}), [Symbol.dispose]() {} }),
    };
    const env = { AUTH_SERVICE_URL: "http://elsewhere:1" };
    const found = await serviceUrls("auth", { registry: silent, env, patienceMs: 5 });
    assert.deepEqual(found, { urls: ["http://elsewhere:1"], source: "environment" });
  });

  it("has brackets around an IPv6 address, and https where meta.protocol says so", () => {
    assert.equal(instanceUrl({ address: "::1", port: 80, meta: {} }), "http://[::1]:80");
    assert.equal(instanceUrl({ address: "legacy", port: 443, meta: { protocol: "https" } }), "https://legacy:443");
    assert.equal(serviceUrlVariable("value-architect"), "VALUE_ARCHITECT_SERVICE_URL");
  });

  it("tells a healthy service by an instance that passes", async () => {
    const registry = fakeRegistry();
    registry.publish("auth", [
      ["a", 7001, "critical"],
      ["b", 7002],
    ]);
    registry.publish("ledger", [["a", 7003, "critical"]]);
    assert.deepEqual([await isHealthy("auth", registry), await isHealthy("ledger", registry)], [true, false]);
  });
});
