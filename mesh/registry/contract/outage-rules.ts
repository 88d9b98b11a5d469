/** The rules of the registry's contract for when the registry is away, forgets, or answers badly. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { openConsul } from "../consul.ts";
import { until } from "./peers.ts";
import { isPassing, type Stage } from "./stage.ts";

/** Defines the rules over the stage of the suite that calls it. */
export function outageRules(stage: () => Stage): void {
  it("registers again within 5 s after it was deregistered behind its back", async () => {
    const registry = stage().open();
    const { registration, service } = await stage().serving();
    const { last } = stage().watched(registry, service);
    stage().cleanup.use(await registry.register(registration));
    await until(() => isPassing(last()), 3000);
    await fetch(`${stage().server.address}/v1/agent/service/deregister/${registration.id}`, { method: "PUT" });
    const deadline = Date.now() + 5000;
    let answered = 404;
    while (answered === 404 && Date.now() < deadline) {
      answered = (await fetch(`${stage().server.address}/v1/agent/service/${registration.id}`)).status;
    }
    assert.equal(answered, 200);
    await until(() => isPassing(last()), 1000);
  });

  it("keeps the last set through an outage while its age grows, and registers again with a server that forgot all", async () => {
    const registry = stage().open();
    const { registration, service } = await stage().serving();
    const { last, states, watch } = stage().watched(registry, service);
    stage().cleanup.use(await registry.register(registration));
    await until(() => isPassing(last()), 3000);
    assert.equal(registry.status().connected, true);
    const published = states.length;
    await stage().server.kill();
    await until(() => !registry.status().connected, 5000);
    const age = watch.ageMs();
    await until(() => watch.ageMs() > age + 1000, 3000);
    assert.equal(states.length, published);
    await stage().server.restart();
    await until(() => registry.status().connected && watch.ageMs() < 1000, 10_000);
    await until(() => isPassing(last()), 5000);
    assert.ok(
      states.every((state, at) => at === 0 || state.length === 1),
      "the set was empty in between",
    );
  });

  it("registers once a server that was away comes back, and gives up with CANCELLED when told to", async () => {
    const { registration, service } = await stage().serving();
    const registry = stage().open();
    await stage().server.kill();
    const given = new AbortController();
    const refused = registry.register({ ...registration, id: `${service}-b` }, given.signal);
    const kept = registry.register(registration);
    given.abort();
    await assert.rejects(refused, (error) => error instanceof ConnectError && error.code === Code.Canceled);
    await stage().server.restart();
    stage().cleanup.use(await kept);
    const { last } = stage().watched(registry, service);
    await until(() => isPassing(last()), 3000);
  });

  it("closes within 2 s while the server hangs", async () => {
    const registry = openConsul({ address: stage().proxy.address, log: pino({ level: "silent" }) });
    const { registration, service } = await stage().serving();
    await registry.register(registration);
    const watch = registry.watchService(service, () => undefined);
    await watch.first;
    stage().proxy.mode = "hang";
    const startedAt = Date.now();
    await registry[Symbol.asyncDispose]();
    assert.ok(Date.now() - startedAt < 2000);
    await fetch(`${stage().server.address}/v1/agent/service/deregister/${registration.id}`, { method: "PUT" });
  });

  for (const mode of ["status 500", "not JSON", "cut off", "hang", "a JSON object"] as const) {
    it(`keeps the last set while the registry answers so: ${mode}; and recovers`, async () => {
      const registry = stage().open({ address: stage().proxy.address, waitMs: 200 });
      const { registration, service } = await stage().serving();
      const { last, states } = stage().watched(registry, service);
      await until(() => states.length === 1, 3000);
      stage().proxy.mode = mode;
      await until(() => !registry.status().connected, 5000);
      assert.deepEqual(states, [[]]);
      const other = openConsul({ address: stage().server.address, log: pino({ level: "silent" }) });
      stage().cleanup.use(other);
      stage().cleanup.use(await other.register(registration));
      stage().proxy.mode = "pass";
      await until(() => isPassing(last()), 12_000);
    });
  }

  for (const index of ["0", "1", "-5", "soon", undefined]) {
    it(`goes on watching when the index turns into ${index}`, async () => {
      const registry = stage().open({ address: stage().proxy.address });
      const { registration, service } = await stage().serving();
      const { last, states } = stage().watched(registry, service);
      stage().proxy.index = { value: index };
      await until(() => states.length === 1, 3000);
      stage().cleanup.use(await registry.register(registration));
      await until(() => isPassing(last()), 3000);
    });
  }

  it("does not hammer a registry whose index never blocks: at most 30 queries in the first 2 s", async () => {
    stage().proxy.index = { value: undefined };
    const registry = stage().open({ address: stage().proxy.address });
    const from = stage().proxy.paths.length;
    const { watch } = stage().watched(registry, "hammered");
    await watch.first;
    const startedAt = Date.now();
    await until(() => Date.now() - startedAt > 2000, 3000);
    assert.ok(stage().proxy.paths.length - from <= 30, `${stage().proxy.paths.length - from} queries`);
  });

  it("starts from the snapshot while the registry is away, and follows the registry when it is there", async () => {
    const snapshotFile = join(stage().folder, "snapshot.json");
    const { registration, service } = await stage().serving();
    const owner = stage().open();
    stage().cleanup.use(await owner.register(registration));
    const earlier = openConsul({ address: stage().proxy.address, snapshotFile, log: pino({ level: "silent" }) });
    const seen = earlier.watchService(service, () => undefined);
    await seen.first;
    await earlier[Symbol.asyncDispose]();
    assert.match(await readFile(snapshotFile, "utf8"), new RegExp(service));

    stage().proxy.mode = "refuse";
    const registry = stage().open({ address: stage().proxy.address, snapshotFile });
    const { watch, states, last } = stage().watched(registry, service);
    await watch.first;
    assert.deepEqual(
      states.map((state) => state.map(({ id, port }) => ({ id, port }))),
      [[{ id: registration.id, port: registration.port }]],
    );
    assert.ok(watch.ageMs() < 60_000);
    assert.equal(registry.status().connected, false);
    stage().proxy.mode = "pass";
    await until(() => registry.status().connected, 8000);
    const second = await stage().serving();
    stage().cleanup.use(await owner.register({ ...second.registration, service }));
    await until(() => last()?.length === 2, 3000);
  });
}
