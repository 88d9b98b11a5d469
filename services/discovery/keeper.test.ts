import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { openConsul } from "#mesh/registry/consul.ts";
import type { Instance } from "#mesh/registry/registry.ts";
import { type MortalAgent, mortalAgent, startProgram, until } from "./discovery.fixture.ts";
import { OutsideKeeper } from "./keeper.ts";
import { type Outside, outsideId, outsideText } from "./outside.ts";

const log = pino({ level: "silent" });
const store = "heddle/discovery/";

function program(port: number, more: Partial<Outside> = {}): Outside {
  const check = { kind: "http", path: "/", port: 0 } as const;
  const rest = { contracts: [], version: "", tags: [], meta: {}, adminPort: 0, check, intervalMs: 1000, timeoutMs: 500 };
  return { service: "tariff", address: "127.0.0.1", port, protocol: "http", ...rest, ...more };
}

describe("the keeper of outside programs", () => {
  let agent: MortalAgent;
  let cleanup: AsyncDisposableStack;
  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    agent = cleanup.use(await mortalAgent());
  });
  afterEach(() => cleanup.disposeAsync());

  const open = () => cleanup.use(openConsul({ address: agent.address, log }));
  const keep = (max = 10) => cleanup.use(new OutsideKeeper({ registry: open(), log, max }));
  /** What somebody else sees of the service. */
  function seen(service = "tariff") {
    let last: readonly Instance[] = [];
    cleanup.use(open().watchService(service, (instances) => (last = instances)));
    return () => last.map(({ id, status }) => `${id} ${status}`).join(" ");
  }

  it("registers a program that passes once it was checked, through the end of the keeper and into the next one", async () => {
    const outside = program(cleanup.use(await startProgram()).port);
    const id = outsideId(outside);
    const tariff = seen();
    const first = new OutsideKeeper({ registry: open(), log, max: 10 });
    await first.put(outside);
    await until(() => tariff() === `${id} passing`);
    await first[Symbol.asyncDispose]();
    const second = keep();
    await until(() => second.get(id) !== undefined);
    assert.deepEqual(second.get(id), outside);
    assert.equal(tariff(), `${id} passing`);
    await second.remove(id);
    await until(() => tariff() === "");
  });

  for (const memory of ["kept", "lost"] as const) {
    it(`has a program registered again after the agent was restarted with its memory ${memory}`, async () => {
      const outside = program(cleanup.use(await startProgram()).port);
      const tariff = seen();
      const keeper = keep();
      await keeper.put(outside);
      await until(() => tariff() === `${outsideId(outside)} passing`);
      await agent.stop();
      await agent.restart(memory);
      const registry = open();
      await until(async () => (await registry.getKey(`${store}outside/${outsideId(outside)}`)) !== undefined, 25_000);
      const other = keep();
      await until(() => other.get(outsideId(outside)) !== undefined);
      const again = seen();
      await until(() => again() === `${outsideId(outside)} passing`);
      await keeper.remove(outsideId(outside));
      await until(() => again() === "");
    }).timeout(60_000);
  }

  it("replaces a program that is registered again, and keeps the new form when the agent forgets it", async () => {
    const outside = program(cleanup.use(await startProgram()).port);
    const id = outsideId(outside);
    const keeper = keep();
    const registry = open();
    let tags: readonly string[] | undefined;
    cleanup.use(registry.watchService("tariff", (instances) => (tags = instances[0]?.tags)));
    await keeper.put({ ...outside, tags: ["blue"] });
    await keeper.put({ ...outside, tags: ["green"] });
    await until(() => tags?.join() === "green");
    await registry.deregister(id);
    await until(() => tags === undefined);
    await until(() => tags?.join() === "green");
    assert.equal(keeper.get(id)?.tags.join(), "green");
  });

  it("takes up at every keeper what one of them registered, and lets it go", async () => {
    const outside = program(cleanup.use(await startProgram()).port);
    const id = outsideId(outside);
    const [one, two] = [keep(), keep()];
    const tariff = seen();
    await one.put(outside);
    await until(() => two.get(id) !== undefined && tariff() === `${id} passing`);
    await two.remove(id);
    await until(() => one.get(id) === undefined && tariff() === "");
  });

  it("does not bring back what was removed from a store that another keeper is writing again", async () => {
    const registry = open();
    const outside = program(1);
    const id = outsideId(outside);
    await registry.setKey(`${store}outside/${id}`, outsideText(outside));
    const keeper = keep();
    await until(() => keeper.get(id) !== undefined);
    await registry.deleteKey(`${store}outside/${id}`);
    await until(() => keeper.get(id) === undefined);
    await registry.setKey(`${store}kept`, "1");
    await keeper.put(program(2));
    assert.equal(await registry.getKey(`${store}outside/${id}`), undefined);
  });

  it("leaves it to the keeper that writes a store again to say when it is whole", async () => {
    const registry = open();
    const [first, second, third] = [program(1), program(2), program(3)];
    await registry.setKey(`${store}outside/${outsideId(first)}`, outsideText(first));
    const keeper = keep();
    await until(() => keeper.get(outsideId(first)) !== undefined);
    const put = keeper.put(third);
    await registry.setKey(`${store}outside/${outsideId(second)}`, outsideText(second));
    await registry.setKey(`${store}kept`, "by the other keeper");
    await put;
    assert.equal(await registry.getKey(`${store}kept`), "by the other keeper");
    assert.deepEqual(
      [first, second, third].map((one) => keeper.get(outsideId(one))),
      [first, second, third],
    );
  });

  it("says so itself when the other keeper does not", async () => {
    const registry = open();
    await registry.setKey(`${store}outside/${outsideId(program(1))}`, outsideText(program(1)));
    keep();
    await until(async () => (await registry.getKey(`${store}kept`)) === "1");
  });

  it("does not say so while the store still changes, however long that takes", async () => {
    const registry = open();
    keep();
    for (const end = Date.now() + 7000; Date.now() < end; ) await registry.setKey(`${store}outside/x`, String(Date.now()));
    assert.equal(await registry.getKey(`${store}kept`), undefined);
  });

  it("refuses the program beyond the limit, not one that is registered again", async () => {
    const keeper = keep(1);
    await keeper.put(program(1));
    await keeper.put(program(1, { tags: ["again"] }));
    await assert.rejects(
      keeper.put(program(2)),
      (error) => error instanceof ConnectError && error.code === Code.ResourceExhausted,
    );
  });

  it("answers UNAVAILABLE while the agent is away, and keeps nothing of it", async () => {
    const keeper = keep();
    await agent.stop();
    await assert.rejects(keeper.put(program(1)), (error) => error instanceof ConnectError && error.code === Code.Unavailable);
    assert.equal(keeper.get(outsideId(program(1))), undefined);
  });

  it("passes over what it cannot read in the store", async () => {
    const registry = open();
    const outside = program(1);
    await registry.setKey(`${store}kept`, "1");
    for (const [id, text] of [
      ["a", "{"],
      ["b", "null"],
      ["c", "{}"],
      ["d", JSON.stringify(outside)],
    ]) {
      await registry.setKey(`${store}outside/${id}`, text ?? "");
    }
    const keeper = keep();
    await keeper.put(outside);
    assert.deepEqual(
      ["a", "b", "c", "d"].map((id) => keeper.get(id)),
      [undefined, undefined, undefined, undefined],
    );
    assert.deepEqual(keeper.get(outsideId(outside)), outside);
  });
});
