/** The part of the registry's contract about instances that are other programs: their checks, their stay, and lists of keys. */
import assert from "node:assert/strict";
import { pino } from "pino";
import { openConsul } from "../consul.ts";
import type { Registration } from "../registry.ts";
import { HttpProgram, until } from "./peers.ts";
import { isPassing, type Stage } from "./stage.ts";

/** Defines the rules over the server of `stage`. */
export function outsideRules(stage: () => Stage): void {
  async function httpProgram() {
    const program = stage().cleanup.use(await HttpProgram.start());
    const { registration, service } = await stage().serving();
    const outside: Registration = {
      ...registration,
      port: program.port,
      check: { kind: "http", url: `http://127.0.0.1:${program.port}/healthz?full=1` },
      initialStatus: "critical",
      deregisterAfterMs: 0,
      outlives: true,
    };
    return { program, service, registration: outside };
  }

  /** The registration's handle, and the registration itself, end with the rule. */
  async function register(registration: Registration) {
    const registry = stage().open();
    stage().cleanup.defer(() => registry.deregister(registration.id));
    return { registry, handle: stage().cleanup.use(await registry.register(registration)) };
  }

  it("checks a program by GET: 204 passes, 429 is a warning, 500 and a dead program are critical", async () => {
    const { program, service, registration } = await httpProgram();
    const { registry } = await register(registration);
    const { last } = stage().watched(registry, service);
    await until(() => isPassing(last()), 4000);
    assert.deepEqual([...program.requests], ["GET /healthz?full=1"]);
    program.status = 429;
    await until(() => last()?.[0]?.status === "warning", 4000);
    program.status = 500;
    await until(() => last()?.[0]?.status === "critical", 4000);
    program.status = 204;
    await until(() => isPassing(last()), 4000);
    await program[Symbol.asyncDispose]();
    await until(() => last()?.[0]?.status === "critical", 4000);
  });

  it("begins with the initial status that the registration names", async () => {
    const { program, service, registration } = await httpProgram();
    await program[Symbol.asyncDispose]();
    const { registry } = await register(registration);
    const { states, last } = stage().watched(registry, service);
    await until(() => last()?.length === 1, 2000);
    assert.deepEqual([...new Set(states.flat().map(({ status }) => status))], ["critical"]);
  });

  it("asks grpc.health.v1 for the service that the check names", async () => {
    const { registration, service } = await stage().serving();
    const { registry } = await register({ ...registration, check: { kind: "grpc", service: "demo.v1.DemoService" } });
    const { last } = stage().watched(registry, service);
    await until(() => isPassing(last()), 4000);
  });

  it("keeps an instance that outlives its handle, through the end of its registry too, until it is deregistered", async () => {
    const { service, registration } = await httpProgram();
    const owner = openConsul({ address: stage().server.address, log: pino({ level: "silent" }) });
    await owner.register(registration);
    const registry = stage().open();
    const { last } = stage().watched(registry, service);
    await until(() => isPassing(last()), 4000);
    await owner[Symbol.asyncDispose]();
    const second = await stage().serving();
    stage().cleanup.use(await registry.register({ ...second.registration, service }));
    await until(() => last()?.length === 2, 2000);
    await registry.deregister(registration.id);
    await until(() => last()?.length === 1, 2000);
    // A second time there is nothing to do.
    await registry.deregister(registration.id);
  });

  it("registers an instance that outlives its handle again at a server that forgot it", async () => {
    const { service, registration } = await httpProgram();
    const { registry } = await register(registration);
    const { last } = stage().watched(registry, service);
    await until(() => isPassing(last()), 4000);
    await fetch(`${stage().server.address}/v1/agent/service/deregister/${registration.id}`, { method: "PUT" });
    // The watch may see both changes as one, so the agent is asked.
    const deadline = Date.now() + 6000;
    let answered = 404;
    while (answered === 404 && Date.now() < deadline) {
      answered = (await fetch(`${stage().server.address}/v1/agent/service/${registration.id}`)).status;
    }
    assert.equal(answered, 200);
    await until(() => isPassing(last()), 6000);
  });

  it("publishes the keys under a prefix with their values, at every change, and none when there are none", async () => {
    const registry = stage().open();
    const seen: (readonly (readonly [string, string])[])[] = [];
    const watch = stage().cleanup.use(registry.watchKeys("heddle/many/", (values) => seen.push([...values])));
    await watch.first;
    await registry.setKey("heddle/many/b", "2");
    await until(() => seen.length === 2, 2000);
    await registry.setKey("heddle/manyother", "x");
    await registry.setKey("heddle/many/a ä", "");
    await until(() => seen.length === 3, 2000);
    await registry.deleteKey("heddle/many/b");
    await until(() => seen.length === 4, 2000);
    await registry.deleteKey("heddle/many/a ä");
    await until(() => seen.length === 5, 2000);
    const [both, one] = [
      [
        ["heddle/many/a ä", ""],
        ["heddle/many/b", "2"],
      ],
      [["heddle/many/a ä", ""]],
    ];
    assert.deepEqual(seen, [[], [["heddle/many/b", "2"]], both, one, []]);
    await registry.deleteKey("heddle/manyother");
  });
}
