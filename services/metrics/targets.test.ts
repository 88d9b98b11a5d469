import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type WatchServicesResponse, WatchServicesResponseSchema } from "#gen/discovery/v1/discovery_pb.ts";
import { unavailable } from "#mesh/errors.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { until } from "../../e2e/until.ts";
import { fixedTargets, type Target } from "./target.ts";
import { followTargets } from "./targets.ts";

const log = createLogger({ service: "metrics", instance: "test", level: "silent" });

/** A discovery that says each of the scripts in turn, then ends as it says. */
function scripted(...scripts: readonly (readonly (object | Error)[])[]) {
  let turn = 0;
  return {
    async *watchServices(_: object, options?: { signal?: AbortSignal }): AsyncGenerator<WatchServicesResponse> {
      for (const step of scripts[turn++] ?? []) {
        if (step instanceof Error) throw step;
        yield create(WatchServicesResponseSchema, step);
      }
      if (turn >= scripts.length)
        await new Promise((resolve) => options?.signal?.addEventListener("abort", resolve, { once: true }));
    },
  };
}

const service = (name: string, ...ports: readonly string[]) => ({
  name,
  instances: ports.map((port, at) => ({
    id: `${name}-${at}`,
    service: name,
    address: "10.0.0.1",
    port: 1,
    contracts: ["a.v1.A"],
    meta: port === "" ? {} : { admin: port },
  })),
});

async function followed(discovery: ReturnType<typeof scripted>, last: (targets: readonly Target[]) => boolean) {
  const seen: (readonly Target[])[] = [];
  await using targets = followTargets({ discovery, log, clock: () => 5, onChange: (set) => void seen.push(set) });
  await until("the last set", () => last(seen.at(-1) ?? []));
  return {
    seen: seen.map((set) => set.map(({ instance, port }) => `${instance}:${port}`)),
    heardAt: targets.heardAt,
    problem: targets.problem,
  };
}

describe("followTargets", () => {
  it("takes the whole set, then changes and removals", async () => {
    const discovery = scripted([
      { services: [service("a", "1", "2"), service("b", "3")], complete: true },
      { services: [service("a", "1")] },
      { removed: ["b"] },
    ]);
    const { seen, heardAt, problem } = await followed(discovery, ({ length }) => length === 1);
    assert.deepEqual(seen, [["a-0:1", "a-1:2", "b-0:3"], ["a-0:1", "b-0:3"], ["a-0:1"]]);
    assert.deepEqual([heardAt, problem], [5, undefined]);
  });

  it("keeps the last set while discovery is away, and takes the next whole one", async () => {
    const discovery = scripted(
      [{ services: [service("a", "1")], complete: true }, unavailable("away")],
      [unavailable("away")],
      [{ services: [service("b", "2")], complete: true }],
    );
    const { seen } = await followed(discovery, (set) => set[0]?.service === "b");
    assert.deepEqual(seen, [["a-0:1"], ["b-0:2"]]);
  });

  it("names what is wrong while discovery was never there", async () => {
    await using targets = followTargets({
      discovery: scripted([unavailable("away")], []),
      log,
      clock: () => 5,
      onChange: () => {},
    });
    assert.equal(targets.problem, "discovery was not heard of yet");
    await until("the problem", () => targets.problem === "away");
    assert.equal(targets.heardAt, undefined);
  });

  it("takes a process without a good admin port without an address, and leaves Consul and outside programs without one out", async () => {
    const outside = { id: "o", service: "o", address: "10.0.0.1", port: 1, meta: {}, outside: true };
    const services = [
      service("a", "", "x", "70000"),
      { name: "o", instances: [outside, { ...outside, id: "p", meta: { admin: "9" } }] },
      { name: "consul", instances: [{ ...outside, id: "consul", outside: false }] },
    ];
    const { seen } = await followed(scripted([{ services, complete: true }]), ({ length }) => length > 0);
    assert.deepEqual(seen, [["a-0:undefined", "a-1:undefined", "a-2:undefined", "p:9"]]);
  });
});

describe("fixedTargets", () => {
  it("takes service=host:port, also of IPv6", () => {
    assert.deepEqual(fixedTargets(["gateway=127.0.0.1:9080", "x=[::1]:1"]), [
      { instance: "gateway@127.0.0.1:9080", service: "gateway", host: "127.0.0.1", port: 9080 },
      { instance: "x@[::1]:1", service: "x", host: "::1", port: 1 },
    ]);
  });

  for (const entry of ["gateway", "gateway=127.0.0.1", "=127.0.0.1:1", "g=h:70000", "g=http://h:1"]) {
    it(`refuses ${entry}`, () => {
      assert.throws(
        () => fixedTargets([entry]),
        new Error(`METRICS_TARGETS: expected service=host:port, got ${JSON.stringify(entry)}`),
      );
    });
  }
});
