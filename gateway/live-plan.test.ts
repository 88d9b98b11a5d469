import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import pino from "pino";
import { ContractError, filesOf } from "./contracts.ts";
import { outcome, startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { type MadeService, madeImage } from "./fixtures/made-contract.ts";
import { followContracts, type LivePlan } from "./live-plan.ts";
import { compilePlan } from "./plan.ts";
import { ChangingContracts, type ContractFiles } from "./sources/source.ts";

const get = (path: string) => ({ pattern: { case: "get" as const, value: path } });
const good: MadeService = { name: "a.v1.A", methods: { Get: get("/v1/a") } };
const better: MadeService = { name: "a.v1.A", methods: { Get: get("/v1/a"), List: get("/v1/as"), Plain: undefined } };
const conflicting: MadeService = { name: "a.v1.A", methods: { Get: get("/v1/{name}"), Other: get("/v1/{count}") } };

/** A source that a test changes. */
class Source extends ChangingContracts {
  readonly #floor: ContractFiles;
  constructor(first: ContractFiles) {
    super(first);
    this.#floor = first;
  }
  get floor(): ContractFiles {
    return this.#floor;
  }
  become(...services: readonly MadeService[]): void {
    this.publish(() => files(...services));
  }
  fail(reason: string): void {
    this.publish(() => {
      throw new ContractError([reason]);
    });
  }
  [Symbol.dispose](): void {}
}

function files(...services: readonly MadeService[]): ContractFiles {
  return { origin: "test", files: filesOf(madeImage(...services)), services: undefined };
}

function follow(source: Source, now = { ms: 0 }): LivePlan & { readonly lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const plan = followContracts({
    contracts: source,
    compile: (contracts) => compilePlan(contracts, []),
    log,
    clock: () => now.ms,
  });
  return {
    get current() {
      return plan.current;
    },
    report: () => plan.report(),
    lines,
  };
}

const pathsOf = ({ current }: LivePlan) => current.routes.map(({ template }) => template.text);

describe("gateway/live-plan", () => {
  it("swaps a good change in, and leaves the plan before it as it was", () => {
    const now = { ms: 1000 };
    const source = new Source(files(good));
    const live = follow(source, now);
    const before = live.current;
    now.ms = 2000;
    source.become(better);
    assert.deepEqual(pathsOf(live), ["/v1/a", "/v1/as", "/a.v1.A/Plain"]);
    assert.deepEqual(
      before.routes.map(({ template }) => template.text),
      ["/v1/a"],
    );
    const { version, ...report } = live.report();
    assert.deepEqual(report, { source: "test", loaded_at: "1970-01-01T00:00:02.000Z" });
    assert.notEqual(version, before.contracts.version);
  });

  it("refuses a conflicting change whole, says why once, and takes the next good one", () => {
    const now = { ms: 1000 };
    const source = new Source(files(good));
    const live = follow(source, now);
    now.ms = 2000;
    source.become(conflicting, { name: "b.v1.B", methods: { Get: get("/v1/b") } });
    source.become(conflicting, { name: "b.v1.B", methods: { Get: get("/v1/b") } });
    assert.deepEqual(pathsOf(live), ["/v1/a"]);
    const { refused, loaded_at } = live.report();
    assert.equal(
      refused?.reason,
      'a.v1.A.Get and a.v1.A.Other both map GET "/v1/{name}" and "/v1/{count}" (both /v1/*): one request cannot reach two methods',
    );
    assert.deepEqual([refused?.at, loaded_at], ["1970-01-01T00:00:02.000Z", "1970-01-01T00:00:01.000Z"]);
    assert.deepEqual(
      live.lines.map(({ msg }) => msg),
      ["refused new contracts, the old ones stay"],
    );
    source.become(better);
    assert.equal(live.report().refused, undefined);
    assert.equal(pathsOf(live).length, 3);
  });

  it("forgets a refusal when the source goes back to what holds", () => {
    const source = new Source(files(good));
    const live = follow(source);
    const before = live.current;
    source.fail("no image");
    assert.equal(live.report().refused?.reason, "no image");
    source.become(good);
    assert.equal(live.report().refused, undefined);
    assert.equal(live.current, before);
  });

  it("does not start over a floor that conflicts, but starts on it when only what was told on top does", () => {
    assert.throws(() => follow(new Source(files(conflicting))), ContractError);
    const source = new Source(files(good));
    source.become(conflicting);
    const live = follow(source);
    assert.deepEqual(pathsOf(live), ["/v1/a"]);
    assert.match(live.report().refused?.reason ?? "", /both map GET/);
  });
});

describe("gateway: contracts that change under it", () => {
  let gateway: TestGateway;
  let source: Source;
  const stream: MadeService = { name: "a.v1.A", methods: { Watch: get("/v1/watch") }, streams: ["Watch"] };
  const releases: (() => void)[] = [];

  before(async () => {
    source = new Source(files(stream));
    gateway = await startTestGateway({
      contracts: source,
      transport: () => ({
        unary: async (method, _signal, _timeout, _header, input) => ({
          stream: false,
          service: method.parent,
          method,
          header: new Headers(),
          trailer: new Headers(),
          message: create(method.output, { name: (input as { name?: string }).name } as never) as never,
        }),
        async stream(method) {
          const message = async function* () {
            yield create(method.output, { name: "first", count: 1 } as never);
            await new Promise<void>((resolve) => releases.push(resolve));
            yield create(method.output, { name: "last", count: 2 } as never);
          };
          const header = new Headers();
          return { stream: true, service: method.parent, method, header, trailer: new Headers(), message: message() };
        },
      }),
    });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  it("a stream that began on the old plan ends on it", async () => {
    const running = gateway.send("GET /v1/watch");
    while (releases.length === 0) await new Promise((resolve) => setImmediate(resolve));
    source.become({ name: "b.v1.B", methods: { Get: get("/v1/b") } });
    assert.equal(outcome(await gateway.send("GET /v1/watch")), '404 the path "/v1/watch" does not exist');
    assert.equal((await gateway.send("GET /v1/b?name=x")).text, '{"name":"x"}');
    releases[0]?.();
    const { status, text } = await running;
    assert.deepEqual([status, text], [200, '{"name":"first","count":1}\n{"name":"last","count":2}\n']);
  });

  it("GET /health tells which contracts hold, and why the last change was refused", async () => {
    source.become(conflicting);
    const { json } = await gateway.send("GET /health");
    const { status, contracts } = json as { status: string; contracts: { source: string; refused?: { reason: string } } };
    assert.deepEqual([status, contracts.source], ["DEGRADED", "test"]);
    assert.match(contracts.refused?.reason ?? "", /^a\.v1\.A\.Get and a\.v1\.A\.Other both map GET/);
    assert.equal((await gateway.send("GET /v1/b")).status, 200);
  });

  it("3 s of requests with a swap each 200 ms: none fails", async () => {
    const common: MadeService = { name: "c.v1.C", methods: { Get: get("/v1/c/{name}") } };
    source.become(common, good);
    const until = Date.now() + 3000;
    let swaps = 0;
    const swapping = setInterval(() => source.become(common, swaps++ % 2 === 0 ? better : good), 200);
    const statuses = new Map<number, number>();
    const worker = async (name: string) => {
      while (Date.now() < until) {
        const { status, text } = await gateway.send(`GET /v1/c/${name}`);
        assert.equal(text, `{"name":"${name}"}`);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(["a", "b", "c", "d"].map(worker)).finally(() => clearInterval(swapping));
    assert.deepEqual([...statuses.keys()], [200]);
    assert.ok(swaps >= 10, `${swaps} swaps`);
  });
});
