/** The one contract of every registry: the same suite runs over the embedded agent and over a real Consul. */
import assert from "node:assert/strict";
import { outageRules } from "./contract/outage-rules.ts";
import { outsideRules } from "./contract/outside-rules.ts";
import { until } from "./contract/peers.ts";
import { type ContractServer, isPassing, Stage } from "./contract/stage.ts";

/** Defines the suite over the server that `start` starts; it is started once and shared by all rules. */
export function registryContract(name: string, start: (context: Mocha.Context) => Promise<ContractServer>): void {
  describe(`a registry over ${name}`, function () {
    this.timeout(60_000);
    let opened: Stage | undefined;
    const stage = (): Stage => {
      assert.ok(opened !== undefined);
      return opened;
    };

    before(async function () {
      opened = await Stage.open(await start(this));
    });
    afterEach(() => opened?.endRule());
    after(() => opened?.[Symbol.asyncDispose]());

    it("publishes a registered instance whole, passing, within 1 s", async () => {
      const registry = stage().open();
      const { registration, service } = await stage().serving();
      const { last } = stage().watched(registry, service);
      stage().cleanup.use(await registry.register(registration));
      const { address, port, tags, meta } = registration;
      await until(() => last()?.length === 1, 1000);
      assert.deepEqual(last(), [{ id: `${service}-a`, service, address, port, tags, meta, weight: 1, status: "passing" }]);
    });

    it("publishes the empty list for a service that nobody registered, and Infinity as age before that", async () => {
      const { watch, states } = stage().watched(stage().open(), "nobody");
      assert.equal(watch.ageMs(), Number.POSITIVE_INFINITY);
      await watch.first;
      assert.deepEqual(states, [[]]);
      assert.ok(watch.ageMs() < 5000);
    });

    it("removes what a process left behind that died on the same port", async () => {
      const registry = stage().open();
      const { registration, service } = await stage().serving();
      const other = await stage().serving();
      const { last } = stage().watched(registry, service);
      // Registered by nobody who lives: the process was killed.
      const body = JSON.stringify({ ID: `${service}-dead`, Name: service, Address: "127.0.0.1", Port: registration.port });
      await fetch(`${stage().server.address}/v1/agent/service/register`, { method: "PUT", body });
      await until(() => last()?.length === 1, 2000);
      stage().cleanup.use(await registry.register({ ...other.registration, service }));
      stage().cleanup.use(await registry.register(registration));
      await until(() => last()?.length === 2, 2000);
      assert.deepEqual(
        last()?.map(({ id }) => id),
        [registration.id, other.registration.id],
      );
    });

    it("publishes the empty list within 1 s after the last registration was disposed", async () => {
      const registry = stage().open();
      const { registration, service } = await stage().serving();
      const { last } = stage().watched(registry, service);
      const handle = await registry.register(registration);
      await until(() => isPassing(last()), 3000);
      await handle[Symbol.asyncDispose]();
      await until(() => last()?.length === 0, 1000);
    });

    it("turns critical on NOT_SERVING and passing again on SERVING", async () => {
      const registry = stage().open();
      const { registration, service, health } = await stage().serving();
      const { last } = stage().watched(registry, service);
      stage().cleanup.use(await registry.register(registration));
      await until(() => isPassing(last()), 3000);
      health.status = "NOT_SERVING";
      await until(() => last()?.[0]?.status === "critical", 4000);
      health.status = "SERVING";
      await until(() => isPassing(last()), 4000);
    });

    it("turns critical when the process is killed", async () => {
      const registry = stage().open();
      const { registration, service, health } = await stage().serving();
      const { last } = stage().watched(registry, service);
      stage().cleanup.use(await registry.register(registration));
      await until(() => isPassing(last()) && health.checks > 0, 5000);
      await health.kill();
      await until(() => last()?.[0]?.status === "critical", 4000);
    });

    for (const key of ["heddle/service-config/auth.v1.AuthService", "heddle/odd ä%2F+&?=#key"]) {
      it(`sets, watches and deletes the key ${JSON.stringify(key)}`, async () => {
        const registry = stage().open();
        const values: (string | undefined)[] = [];
        const watch = stage().cleanup.use(registry.watchKey(key, (value) => values.push(value)));
        await watch.first;
        await registry.setKey(key, '{"a":"ä"}');
        await until(() => values.length === 2, 2000);
        assert.equal(await registry.getKey(key), '{"a":"ä"}');
        await registry.setKey(key, "");
        await until(() => values.length === 3, 2000);
        assert.equal(await registry.getKey(key), "");
        await registry.deleteKey(key);
        await until(() => values.length === 4, 2000);
        assert.deepEqual(values, [undefined, '{"a":"ä"}', "", undefined]);
        assert.equal(await registry.getKey(key), undefined);
      });
    }

    it("does not publish a key again when another key changes or the same value is set", async () => {
      const registry = stage().open();
      const values: (string | undefined)[] = [];
      await registry.setKey("heddle/quiet", "1");
      const watch = stage().cleanup.use(registry.watchKey("heddle/quiet", (value) => values.push(value)));
      await watch.first;
      await registry.setKey("heddle/other", "2");
      await registry.setKey("heddle/quiet", "1");
      await registry.setKey("heddle/quiet", "3");
      await until(() => values.length > 1, 2000);
      assert.deepEqual(values, ["1", "3"]);
    });

    it("publishes the catalog with the union of the instances' tags", async () => {
      const registry = stage().open();
      const one = await stage().serving();
      const two = await stage().serving();
      let catalog: ReadonlyMap<string, readonly string[]> = new Map();
      stage().cleanup.use(registry.watchCatalog((services) => (catalog = services)));
      stage().cleanup.use(await registry.register({ ...one.registration, tags: ["grpc", "b.v1.B"] }));
      stage().cleanup.use(await registry.register({ ...two.registration, service: one.service, tags: ["grpc", "a.v1.A"] }));
      await until(() => catalog.get(one.service)?.length === 3, 3000);
      assert.deepEqual(catalog.get(one.service), ["a.v1.A", "b.v1.B", "grpc"]);
    });

    it("tells a second watch the state that the first one knows, and shares one query", async () => {
      const registry = stage().open({ address: stage().proxy.address });
      const first = stage().watched(registry, "shared");
      await first.watch.first;
      const queries = () => stage().proxy.paths.filter((path) => path.startsWith("/v1/health/service/shared")).length;
      await until(() => queries() === 2, 2000);
      const second = stage().watched(registry, "shared");
      assert.deepEqual(second.states, []);
      await second.watch.first;
      await until(() => second.states.length === 1, 1000);
      assert.equal(queries(), 2);
    });

    it("stops its query with its last watch", async () => {
      const registry = stage().open({ address: stage().proxy.address });
      const { watch } = stage().watched(registry, "stopped");
      await watch.first;
      await until(() => stage().proxy.open() > 0, 2000);
      watch[Symbol.dispose]();
      await until(() => stage().proxy.open() === 0, 2000);
    });

    outageRules(stage);
    outsideRules(stage);
  });
}
