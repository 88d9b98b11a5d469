import assert from "node:assert/strict";
import { forceOpen } from "../policy/breaker.ts";
import { Pick } from "./endpoint.ts";
import { ServiceEndpoints } from "./endpoints.ts";

const none: ReadonlySet<string> = new Set();

function endpoints(...ids: readonly string[]): ServiceEndpoints & Disposable {
  const service = new ServiceEndpoints({ name: "echo", connection: {}, clock: () => 0, random: Math.random });
  service.update(ids.map((id) => ({ id, address: "127.0.0.1:1", weight: 1, status: "passing" })));
  return Object.assign(service, { [Symbol.dispose]: () => service.destroy() });
}

function picked(service: ServiceEndpoints, tried: ReadonlySet<string>): string {
  const pick = service.pick(0, tried);
  assert.ok(pick instanceof Pick);
  pick.done("ignored", 0);
  return pick.endpoint.id;
}

describe("ServiceEndpoints", () => {
  it("picks what a call has not tried, and again what it has when nothing else is left", () => {
    using service = endpoints("a", "b");
    for (let i = 0; i < 20; i++) assert.equal(picked(service, new Set(["a"])), "b");
    assert.ok(["a", "b"].includes(picked(service, new Set(["a", "b"]))));
  });

  it("keeps an endpoint's breaker and load across updates by its id, and starts anew for a new id at the same address", () => {
    using service = endpoints("a");
    const [before] = service.all;
    service.update([{ id: "a", address: "127.0.0.1:1", weight: 5, status: "warning" }]);
    const [after] = service.all;
    assert.equal(before, after);
    assert.deepEqual([after?.weight, after?.passing], [5, true]);
    service.update([{ id: "a2", address: "127.0.0.1:1", weight: 1, status: "passing" }]);
    const [renamed] = service.all;
    assert.notEqual(renamed, before);
    assert.equal(before?.connection.state, "closed");
  });

  it("counts an attempt exactly once, however often done() is called", () => {
    using service = endpoints("a");
    const [one, two] = [service.pick(0, none), service.pick(0, none)];
    assert.ok(one instanceof Pick && two instanceof Pick);
    assert.equal(one.endpoint.load.inflight, 2);
    one.done("success", 0);
    one.done("success", 0);
    assert.equal(one.endpoint.load.inflight, 1);
  });

  it("says that it is empty before and after there are instances", () => {
    using service = endpoints();
    assert.deepEqual(service.pick(0, none), { kind: "empty", until: undefined });
  });

  it("uses the only endpoint although 5 failures in a row opened its breaker, and closes that at the first success", () => {
    using service = endpoints("a");
    const pickOne = () => {
      const pick = service.pick(0, none);
      assert.ok(pick instanceof Pick);
      return pick;
    };
    for (let i = 0; i < 5; i++) pickOne().done("failure", 0);
    const [endpoint] = service.all;
    assert.equal(endpoint?.breaker.state.name, "OPEN");
    pickOne().done("failure", 0);
    assert.equal(endpoint?.breaker.state.name, "OPEN");
    pickOne().done("success", 0);
    assert.equal(endpoint?.breaker.state.name, "CLOSED");
  });

  it("says 'breakers' once the only endpoint's was forced open", () => {
    using service = endpoints("a");
    for (const { breaker } of service.all) forceOpen(breaker);
    assert.deepEqual(service.pick(0, none), { kind: "breakers", until: undefined });
  });
});
