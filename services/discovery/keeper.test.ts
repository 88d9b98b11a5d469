import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { openConsul } from "#mesh/registry/consul.ts";
import type { Instance } from "#mesh/registry/registry.ts";
import { type MortalAgent, mortalAgent, startProgram, until } from "./discovery.fixture.ts";
import { OutsideKeeper } from "./keeper.ts";
import { type Outside, outsideId } from "./outside.ts";

const log = pino({ level: "silent" });

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
      await until(async () => (await registry.getKey(`heddle/discovery/outside/${outsideId(outside)}`)) !== undefined, 25_000);
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
    for (const [id, text] of [
      ["a", "{"],
      ["b", "null"],
      ["c", "{}"],
      ["d", JSON.stringify(outside)],
    ]) {
      await registry.setKey(`heddle/discovery/outside/${id}`, text ?? "");
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
