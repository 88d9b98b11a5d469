import assert from "node:assert/strict";
import pino from "pino";
import { ContractError } from "../contracts.ts";
import { until } from "../fixtures/harness.ts";
import { madeImage, startReflecting } from "../fixtures/made-contract.ts";
import { openReflectionSource } from "./reflection-source.ts";
import type { ContractSource } from "./source.ts";
import { fixedTargets, type Target, type TargetInstance } from "./targets.ts";

const log = pino({ level: "silent" });
const fast = { initialBackoffMs: 5, maxBackoffMs: 5, backoffMultiplier: 1 };
const image = (name: string, ...methods: string[]) =>
  madeImage({ name, methods: Object.fromEntries(methods.map((method) => [method, undefined])) });

/** Targets that a test sets. */
function targets() {
  let listener: (target: Target) => void = () => {};
  return {
    watch: (next: (target: Target) => void) => {
      listener = next;
      return { [Symbol.dispose]() {} };
    },
    set: (name: string, ...instances: readonly TargetInstance[]) => listener({ name, contracts: undefined, instances }),
  };
}

const at = (port: number, id: string, version = "1"): TargetInstance => ({ id, address: `127.0.0.1:${port}`, version });

function methodsOf({ current }: ContractSource): string {
  return current.files
    .flatMap(({ service }) => service.flatMap(({ name, method }) => method.map((one) => `${name}/${one.name}`)))
    .join(" ");
}

describe("gateway/sources/reflection-source", () => {
  it("learns services as they come, and keeps what one told when it has gone", async () => {
    await using a = await startReflecting(image("a.v1.A", "Get"));
    await using b = await startReflecting(image("b.v1.B", "Get"));
    const { watch, set } = targets();
    using source = await openReflectionSource({ targets: watch, log, patienceMs: 1 });
    assert.equal(methodsOf(source), "");
    set("a", at(a.port, "a-1"));
    await until(() => methodsOf(source) === "A/Get");
    set("b", at(b.port, "b-1"));
    await until(() => methodsOf(source) === "A/Get B/Get");
    set("a");
    assert.equal(methodsOf(source), "A/Get B/Get");
    assert.deepEqual([...(source.current.services ?? [])], ["a.v1.A", "b.v1.B"]);
  });

  it("stays with the old version for as long as one instance of it lives", async () => {
    await using old = await startReflecting(image("a.v1.A", "Get"));
    await using young = await startReflecting(image("a.v1.A", "Get", "Put"));
    const { watch, set } = targets();
    using source = await openReflectionSource({ targets: watch, log, patienceMs: 1 });
    set("a", at(old.port, "z-old"));
    await until(() => methodsOf(source) === "A/Get");
    const [before, askedBefore] = [old.asked.length, young.asked.length];
    set("a", at(young.port, "a-new", "2"), at(old.port, "z-old"));
    await until(() => old.asked.length > before);
    assert.equal(methodsOf(source), "A/Get");
    assert.equal(young.asked.length, askedBefore);
    set("a", at(young.port, "a-new", "2"));
    await until(() => methodsOf(source) === "A/Get A/Put");
  });

  it("does not ask again while the instances stay", async () => {
    await using a = await startReflecting(image("a.v1.A", "Get"));
    const { watch, set } = targets();
    using source = await openReflectionSource({ targets: watch, log, patienceMs: 1 });
    set("a", at(a.port, "a-1"));
    await until(() => methodsOf(source) === "A/Get");
    const asked = a.asked.length;
    set("a", at(a.port, "a-1"));
    set("a", at(a.port, "a-1"));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(a.asked.length, asked);
  });

  it("asks the next instance when one does not answer, and all again after a pause", async () => {
    await using a = await startReflecting(image("a.v1.A", "Get"));
    const gone = await startReflecting(image("a.v1.A", "Get"));
    await gone[Symbol.asyncDispose]();
    const { watch, set } = targets();
    using source = await openReflectionSource({ targets: watch, log, patienceMs: 1, backoff: fast });
    set("a", at(gone.port, "a-0"), at(a.port, "a-1"));
    await until(() => methodsOf(source) === "A/Get");
    set("b", at(gone.port, "b-1"));
    await using b = await startReflecting(image("b.v1.B", "Get"), { port: gone.port });
    await until(() => methodsOf(source) === "A/Get B/Get");
    assert.ok(b.asked.length > 0);
  });

  it("refuses services that contradict each other as a whole, until they agree", async () => {
    await using a = await startReflecting(image("a.v1.A", "Get"));
    await using other = await startReflecting(image("a.v1.Other", "Get"));
    const { watch, set } = targets();
    using source = await openReflectionSource({ targets: watch, log, patienceMs: 1 });
    const told: string[] = [];
    source.subscribe((next) => told.push(next instanceof ContractError ? next.mistakes.join() : methodsOf(source)));
    set("a", at(a.port, "a-1"));
    await until(() => told.length === 1);
    set("other", at(other.port, "other-1"));
    await until(() => told.length === 2);
    assert.match(told[1] ?? "", /^a\.v1\.Request is defined in "a\/v1\/a\.proto" of a and, otherwise, in .* of other/);
    assert.equal(methodsOf(source), "A/Get");
  });

  it("waits at its opening for those that are known at once, and asks fixed servers what they serve", async () => {
    await using a = await startReflecting(image("a.v1.A", "Get"));
    const served: string[] = [];
    const address = `127.0.0.1:${a.port}`;
    using source = await openReflectionSource({
      targets: fixedTargets(new Map(), [address]),
      log,
      onServices: ({ name }, services) => served.push(name, ...services),
    });
    assert.equal(methodsOf(source), "A/Get");
    assert.deepEqual(served, [address, "a.v1.A"]);
  });
});
