import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./ports.ts";
import type { InstanceSpec, ProcessSpec } from "./process-spec.ts";
import { isRunning } from "./process-table.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";

describe("supervisor", () => {
  let folder = "";
  let running: Supervisor | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "heddle-supervisor-"));
  });

  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(folder, { recursive: true });
  });

  const journal = () =>
    existsSync(join(folder, "journal")) ? readFileSync(join(folder, "journal"), "utf8").trim().split("\n") : [];

  async function fake(name: string, needs: readonly string[], more: Partial<ProcessSpec> = {}): Promise<ProcessSpec> {
    const [port = 0, adminPort = 0] = await freePorts("127.0.0.1", 2);
    return {
      name,
      entry: join(import.meta.dirname, "../fixtures/service.ts"),
      needs,
      port,
      adminPort,
      portVariable: `HEDDLE_${name.toUpperCase()}_PORT`,
      readiness: { on: "admin", path: "/readyz" },
      memoryBytes: undefined,
      kind: "service",
      discovered: true,
      ...more,
    };
  }

  function supervise(
    specs: readonly ProcessSpec[],
    modes: Readonly<Record<string, string>> = {},
    more: Partial<SupervisorOptions> = {},
  ) {
    const environment = (spec: InstanceSpec) => ({
      ...process.env,
      HEDDLE_ADMIN_PORT: String(spec.adminPort),
      FAKE_JOURNAL: join(folder, "journal"),
      FAKE_NAME: spec.instance,
      FAKE_MODE: modes[spec.name] ?? "",
    });
    const untilDiscovered = async () => {};
    running = new Supervisor({ specs, host: "127.0.0.1", cwd: folder, logs: folder, environment, untilDiscovered, ...more });
    return running;
  }

  const stateOf = (supervisor: Supervisor, instance: string) =>
    supervisor.processes.find(({ spec }) => spec.instance === instance)?.state.kind;

  it("starts what is needed first and stops in the reverse order: c needs b needs a", async () => {
    const supervisor = supervise([await fake("c", ["b"]), await fake("b", ["a"]), await fake("a", [])]);
    await supervisor.start();
    await supervisor.stop();
    assert.deepEqual(journal(), ["a-1 started", "b-1 started", "c-1 started", "c-1 stopped", "b-1 stopped", "a-1 stopped"]);
  });

  it("starts a killed process again at once", async () => {
    const supervisor = supervise([await fake("a", [])]);
    await supervisor.start();
    const [child] = supervisor.processes;
    const pid = child?.pid ?? 0;
    process.kill(pid, "SIGKILL");
    await until(() => child?.state.kind === "ready" && child.pid !== pid);
    assert.equal(child?.restarts, 1);
    assert.match(readFileSync(join(folder, "a-1.log"), "utf8"), /it was ended by SIGKILL: starts again now/);
  });

  it("gives a start up after a process ended three times before it was ready, and says why", async () => {
    const supervisor = supervise([await fake("a", []), await fake("b", ["a"])], { a: "crash" });
    const log = join(folder, "a-1.log");
    await assert.rejects(supervisor.start(), { message: `a-1 does not start: it ended with code 3 (log: ${log})` });
    await supervisor.stop();
    assert.deepEqual(
      supervisor.processes.map(({ state }) => state.kind),
      ["stopped", "stopped"],
    );
    assert.deepEqual(journal(), []);
  });

  it("starts nothing when a port is taken, and names port, owner and variable", async () => {
    const [first, second] = [await fake("a", []), await fake("b", [])];
    const holder = createServer().listen(second.port, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const supervisor = supervise([first, second]);
    try {
      await assert.rejects(supervisor.start(), (error: Error) => {
        const start = `port ${second.port}, which b wants, is taken by `;
        const end = `(pid ${process.pid}): end that, or choose another port with HEDDLE_B_PORT`;
        return error.message.startsWith(start) && error.message.endsWith(end);
      });
    } finally {
      holder.close();
    }
    assert.deepEqual(
      supervisor.processes.map(({ state }) => state.kind),
      ["waiting", "waiting"],
    );
  });

  it("kills a process that does not end within the grace time", async () => {
    const supervisor = supervise([await fake("a", [])], { a: "stubborn" }, { graceMs: 100 });
    await supervisor.start();
    const pid = supervisor.processes[0]?.pid ?? 0;
    await supervisor.stop();
    assert.equal(isRunning(pid), false);
    assert.match(readFileSync(join(folder, "a-1.log"), "utf8"), /did not end within 100 ms of SIGTERM: killed/);
  });

  it("scales from 1 to 3 on free ports and back to 1, the latest first", async () => {
    const supervisor = supervise([await fake("a", [])]);
    await supervisor.start();
    await supervisor.scale("a", 3, () => {});
    assert.deepEqual(
      supervisor.status(0).map(({ name, state }) => [name, state]),
      [
        ["a-1", "ready"],
        ["a-2", "ready"],
        ["a-3", "ready"],
      ],
    );
    assert.equal(new Set(supervisor.status(0).map(({ port }) => port)).size, 3);
    await supervisor.scale("a", 1, () => {});
    assert.deepEqual(
      supervisor.status(0).map(({ name }) => name),
      ["a-1"],
    );
  });

  it("refuses a scale of 1.5, of -1 and of an unknown service", async () => {
    const supervisor = supervise([await fake("a", [])]);
    await assert.rejects(
      supervisor.scale("a", 1.5, () => {}),
      { message: "scale a: expected a whole number from 0 to 20, got 1.5" },
    );
    await assert.rejects(
      supervisor.scale("a", -1, () => {}),
      { message: "scale a: expected a whole number from 0 to 20, got -1" },
    );
    await assert.rejects(
      supervisor.scale("x", 1, () => {}),
      { message: "x is not among what runs: a" },
    );
  });

  it("restarts two instances one after the other, waiting for each to be found", async () => {
    const found: string[] = [];
    const untilDiscovered = async (spec: InstanceSpec) => void found.push(spec.instance);
    const supervisor = supervise([await fake("a", [])], {}, { untilDiscovered });
    await supervisor.start();
    await supervisor.scale("a", 2, () => {});
    const steps: string[] = [];
    found.length = 0;
    await supervisor.restart("a", (step) => steps.push(step));
    assert.deepEqual(steps, ["a-1 is stopped", "a-1 is ready", "a-2 is stopped", "a-2 is ready"]);
    assert.deepEqual(found, ["a-1", "a-2"]);
  });

  it("covers the restart of a single instance by one that stands in, and keeps its port", async () => {
    const spec = await fake("a", []);
    const supervisor = supervise([spec]);
    await supervisor.start();
    await supervisor.restart("a", () => {});
    assert.deepEqual(journal(), ["a-1 started", "a-2 started", "a-1 stopped", "a-1 started", "a-2 stopped"]);
    assert.deepEqual(
      supervisor.status(0).map(({ name, port }) => [name, port]),
      [["a-1", spec.port]],
    );
  });

  it("restarts what its clients do not find by the registry in place", async () => {
    const supervisor = supervise([await fake("gateway", [], { discovered: false })]);
    await supervisor.start();
    await supervisor.restart("gateway", () => {});
    assert.deepEqual(journal(), ["gateway-1 started", "gateway-1 stopped", "gateway-1 started"]);
  });

  it("restarts a process that holds more memory than its limit, with a line in its log", async () => {
    const supervisor = supervise([await fake("a", [], { memoryBytes: 256 * 2 ** 20 })], { a: "greedy" });
    await supervisor.start();
    const log = join(folder, "a-1.log");
    await until(() => existsSync(log) && readFileSync(log, "utf8").includes("more than its limit of 256 MiB: restarted"));
    await until(() => stateOf(supervisor, "a-1") === "ready" && journal().includes("a-1 stopped"));
    assert.ok(supervisor.status(0).every(({ memoryRestarts }) => memoryRestarts >= 1));
  }).timeout(60_000);

  it("leaves a process that holds more than its limit for a moment alone", async () => {
    const supervisor = supervise([await fake("a", [], { memoryBytes: 256 * 2 ** 20 })], { a: "burst" });
    await supervisor.start();
    const pid = supervisor.processes[0]?.pid;
    const memory = () => supervisor.processes[0]?.memory() ?? 0;
    await until(() => memory() > 256 * 2 ** 20);
    await until(() => memory() < 200 * 2 ** 20);
    assert.deepEqual(
      supervisor.status(0).map(({ pid, memoryRestarts }) => [pid, memoryRestarts]),
      [[pid, 0]],
    );
    assert.deepEqual(journal(), ["a-1 started"]);
  }).timeout(60_000);
});

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); await sleep(20)) assert.ok(Date.now() < end, "waited 20 s in vain");
}
