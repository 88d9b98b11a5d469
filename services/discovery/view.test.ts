import assert from "node:assert/strict";
import { fakeRegistry } from "#mesh/client/registry.fixture.ts";
import { type Change, ServiceView } from "./view.ts";

/** What a change says, short: name=ids with their status, or -name. */
function told({ services, removed, complete }: Change): string {
  const states = services.map(
    ({ name, instances }) => `${name}=${instances.map(({ id, status }) => `${id}:${status}`).join(",")}`,
  );
  return `${complete ? "all " : ""}${[...states, ...removed.map((name) => `-${name}`)].join(" ")}`;
}

/** A registry whose catalog can lose a name, which Consul's does with the last instance. */
function registryWith() {
  const inner = fakeRegistry();
  let listener: (services: ReadonlyMap<string, readonly string[]>) => void = () => {};
  const registry = {
    ...inner,
    watchCatalog(taken: typeof listener) {
      listener = taken;
      return inner.watchCatalog(taken);
    },
  };
  return {
    registry,
    publish: inner.publish.bind(inner),
    list: (...names: string[]) => listener(new Map(names.map((name) => [name, []]))),
  };
}

describe("the view of the registry", () => {
  it("answers with UNAVAILABLE until the registry has named its services and their instances, and without it after", async function () {
    this.timeout(10_000);
    const { registry, publish } = registryWith();
    using view = new ServiceView(registry);
    await assert.rejects(view.ready(), /the registry has not answered since the start/);
    publish("auth", [["a", 1]]);
    await view.ready();
    assert.deepEqual(
      view.services().map(({ name }) => name),
      ["auth"],
    );
  });

  it("tells a follower all services first, then each that changes, whole, and the name of one that is gone", async () => {
    const { registry, publish, list } = registryWith();
    publish("auth", [["a", 1]]);
    publish("ledger", [["l", 2]]);
    using view = new ServiceView(registry);
    const end = new AbortController();
    const changes = view.follow("", end.signal);
    const next = async () => told((await changes.next()).value as Change);
    assert.equal(await next(), "all auth=a:passing ledger=l:passing");
    publish("ledger", [
      ["l", 2, "critical"],
      ["m", 3],
    ]);
    assert.equal(await next(), "ledger=l:critical,m:passing");
    publish("queue", [["q", 4]]);
    assert.equal(await next(), "queue=q:passing");
    list("auth", "queue");
    assert.equal(await next(), "-ledger");
    end.abort();
    assert.equal((await changes.next()).done, true);
  });

  it("tells a follower of one service of that alone, from before it exists", async () => {
    const { registry, publish } = registryWith();
    publish("auth", [["a", 1]]);
    using view = new ServiceView(registry);
    const end = new AbortController();
    const changes = view.follow("recipe", end.signal);
    const next = async () => told((await changes.next()).value as Change);
    assert.equal(await next(), "all ");
    publish("auth", [["a", 1, "critical"]]);
    publish("recipe", [["r", 5]]);
    assert.equal(await next(), "recipe=r:passing");
    end.abort();
    await changes.return(undefined);
  });

  it("tells a follower that reads slowly the latest of each service, once", async () => {
    const { registry, publish } = registryWith();
    publish("auth", [["a", 1]]);
    using view = new ServiceView(registry);
    const changes = view.follow("", new AbortController().signal);
    await changes.next();
    for (const status of ["critical", "warning", "passing", "critical"] as const) publish("auth", [["a", 1, status]]);
    publish("queue", [["q", 4]]);
    await view.ready();
    assert.equal(told((await changes.next()).value as Change), "auth=a:critical queue=q:passing");
    await changes.return(undefined);
  });

  it("ends what follows it when it is disposed", async () => {
    const { registry, publish } = registryWith();
    publish("auth", [["a", 1]]);
    const view = new ServiceView(registry);
    const changes = view.follow("", new AbortController().signal);
    await changes.next();
    const last = changes.next();
    view[Symbol.dispose]();
    assert.equal((await last).done, true);
  });
});
