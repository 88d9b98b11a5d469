import assert from "node:assert/strict";
import { createLogger } from "#mesh/telemetry/log.ts";
import { until } from "../../e2e/until.ts";
import { Collector, type CollectorOptions } from "./collector.ts";
import { ByteBudget } from "./fetch-text.ts";
import { answering, callsText, callsType, fakeInstance } from "./metrics.fixture.ts";
import { vocabularyLimits } from "./vocabulary.ts";

const log = createLogger({ service: "metrics", instance: "test", level: "silent" });

function collect(options: Partial<CollectorOptions> = {}): Collector {
  const fetch = { timeoutMs: 2000, maxBytes: 1_000_000, budget: new ByteBudget(10_000_000) };
  return new Collector({ intervalMs: 50, fetch, maxSamples: 1000, maxInstances: 500, log, clock: Date.now, ...options });
}

/** An instance whose calls of a method grow when they are told to. */
function counting(service: string, instance: string) {
  const state = { calls: 3, answers: 0 };
  const listener = answering(() => {
    state.answers++;
    const start = `process_start_time_seconds ${Date.now() / 1000 - 1000}\n`.replace(/\d{3}\.\d+/, "000");
    return `${start}# TYPE x_total counter\nx_total ${state.calls}\n# TYPE y gauge\ny 2\n${callsType}${callsText("a.v1.A/Do", "OK", [state.calls, 0, 0])}`;
  });
  return fakeInstance(service, instance, listener).then((fake) => Object.assign(fake, { state }));
}

describe("Collector", () => {
  it("adds up over instances what was counted since they were first asked, and closes it once", async () => {
    await using scope = new AsyncDisposableStack();
    const collector = scope.use(collect());
    const some = [scope.use(await counting("a", "a-1")), scope.use(await counting("a", "a-2"))];
    collector.follow(some.map(({ target }) => target));
    await until("the first answers", () => collector.probes.every(({ state }) => state === "up"));
    for (const { state } of some) state.calls += 10;
    const seen = some.map(({ state }) => state.answers);
    await until("two more answers", () => some.every(({ state }, at) => state.answers > (seen[at] ?? 0) + 1));
    const end = Date.now() + 1;
    const window = collector.closeWindow(end);
    assert.equal(window?.end, end);
    const [service, ...others] = window?.services ?? [];
    assert.deepEqual(others, []);
    assert.equal(service?.up, 2);
    assert.deepEqual(service?.calls, [
      { method: "a.v1.A/Do", bounds: [0.1, 1], buckets: [[0, 20]], sum: 5, outcomes: [["OK", 20]] },
    ]);
    assert.deepEqual(service?.measures, [
      { name: "x_total", kind: "counter", value: 20, max: undefined },
      { name: "y", kind: "gauge", value: 4, max: 2 },
    ]);
    assert.deepEqual(collector.closeWindow(end + 1)?.services[0]?.calls ?? [], []);
    assert.equal(collector.closeWindow(end + 1), undefined);
  });

  it("counts what an instance did while the registry did not know it, once", async () => {
    await using scope = new AsyncDisposableStack();
    const collector = scope.use(collect());
    const fake = scope.use(await counting("a", "a-1"));
    collector.follow([fake.target]);
    await until("an answer", () => collector.probes[0]?.state === "up");
    collector.follow([]);
    assert.deepEqual(collector.probes, []);
    fake.state.calls += 7;
    collector.follow([fake.target]);
    await until("an answer", () => collector.probes[0]?.state === "up");
    assert.deepEqual(collector.closeWindow(Date.now() + 1)?.services[0]?.calls[0]?.outcomes, [["OK", 7]]);
  });

  it("goes on with the others while one fails, and keeps what it counted for its next answer", async () => {
    await using scope = new AsyncDisposableStack();
    const collector = scope.use(collect());
    const good = scope.use(await counting("a", "a-1"));
    let text: string | undefined = "# TYPE x_total counter\nx_total 1\n";
    const moody = scope.use(
      await fakeInstance(
        "b",
        "b-1",
        answering(() => text ?? "rubbish\n"),
      ),
    );
    collector.follow([good.target, moody.target]);
    await until("the first answers", () => collector.probes.every(({ state }) => state === "up"));
    text = undefined;
    const probe = () => collector.probes.find(({ target }) => target.service === "b");
    await until("two failures", () => (probe()?.failures ?? 0) >= 2);
    assert.equal(probe()?.state, "malformed");
    assert.equal(collector.probes.find(({ target }) => target.service === "a")?.state, "up");
    text = "# TYPE x_total counter\nx_total 5\n";
    await until("an answer", () => probe()?.state === "up");
    const window = collector.closeWindow(Date.now() + 1);
    assert.equal(window?.services.find(({ service }) => service === "b")?.measures[0]?.value, 4);
  });

  it("leaves instances beyond its limit out, by id, and says how many", () => {
    using collector = collect({ maxInstances: 2, intervalMs: 60_000 });
    const target = (instance: string) => ({ instance, service: "s", host: undefined, port: undefined });
    collector.follow(["c", "a", "b"].map(target));
    assert.deepEqual([collector.probes.map((probe) => probe.target.instance), collector.leftOut], [["a", "b"], 1]);
    collector.follow(["c", "b"].map(target));
    assert.deepEqual([collector.probes.map((probe) => probe.target.instance), collector.leftOut], [["b", "c"], 0]);
  });

  it("begins a service's vocabulary anew when its instances filled it, and goes on", async () => {
    await using scope = new AsyncDisposableStack();
    const collector = scope.use(collect({ vocabulary: { ...vocabularyLimits, maxEntries: 100 } }));
    let answers = 0;
    // Each answer brings ten series that were never there.
    const text = () =>
      `# TYPE n_total counter\nn_total ${++answers}\n${Array.from({ length: 10 }, (_, at) => `x{a="${answers}-${at}"} 1\n`).join("")}`;
    const fake = scope.use(await fakeInstance("s", "s-1", answering(text)));
    collector.follow([fake.target]);
    let grown = 0;
    await until("a hundred answers", () => {
      grown += collector.closeWindow(Date.now())?.services[0]?.measures[0]?.value ?? 0;
      return answers > 40;
    });
    assert.ok(grown > answers / 2, `${grown} of ${answers} were counted`);
  });
});
