import assert from "node:assert/strict";
import fc from "fast-check";
import { emptyReading, readExposition } from "./exposition.ts";
import { type Known, tellGrowth } from "./growth.ts";
import { callsText, callsType } from "./metrics.fixture.ts";
import { FormatError } from "./sample-key.ts";
import { Vocabulary } from "./vocabulary.ts";
import { CallTally } from "./window.ts";

const limits = { maxSamples: 1000, maxNew: 2000 };

/** One instance, which is read again and again. */
class Instance {
  readonly #vocabulary = new Vocabulary();
  readonly #reading = emptyReading();
  #known: Known | undefined;

  /** What the text adds to what was there before. */
  read(text: string, whole = false) {
    readExposition(text, this.#vocabulary, limits, this.#reading);
    const counters: Record<string, number> = {};
    const tally = new CallTally();
    tellGrowth(this.#vocabulary, this.#known, this.#reading, whole, {
      counter: (measure, by) => {
        const name = this.#vocabulary.measures[measure]?.name ?? "";
        counters[name] = (counters[name] ?? 0) + by;
      },
      calls: ({ method, outcome }, bounds, buckets, sum) => tally.add(method, outcome, bounds, buckets, sum),
    });
    this.#known = { values: this.#reading.values.slice(), startTime: this.#reading.startTime };
    return { counters, calls: tally.rows() };
  }
}

const counter = (...values: readonly number[]) =>
  `# TYPE x_total counter\n${values.map((value, at) => `x_total{a="${at}"} ${value}\n`).join("")}`;
const nothing = { counters: {}, calls: [] };

describe("tellGrowth", () => {
  it("counts nothing of the first text, and all of it when the process is young", () => {
    assert.deepEqual(new Instance().read(counter(5)), nothing);
    assert.deepEqual(new Instance().read(counter(5), true), { counters: { x_total: 5 }, calls: [] });
  });

  for (const [title, before, after, expected] of [
    ["5 to 7 is 2", [5], [7], 2],
    ["5 to 5 is nothing", [5], [5], undefined],
    ["5 to 3 is a new begin, and 3", [5], [3], 3],
    ["5 to 0 is nothing", [5], [0], undefined],
    ["a series that was not there counts whole", [5], [5, 4], 4],
    ["a series that is not there any more counts nothing", [5, 4], [6], 1],
    ["each series counts for itself", [5, 9], [7, 1], 3],
  ] as const) {
    it(`a counter: ${title}`, () => {
      const instance = new Instance();
      instance.read(counter(...before));
      assert.equal(instance.read(counter(...after)).counters.x_total, expected);
    });
  }

  it("a counter that passed its old value under another start of the process counts whole", () => {
    const instance = new Instance();
    const start = (seconds: number) => `process_start_time_seconds ${seconds}\n`;
    instance.read(start(1000) + counter(5));
    assert.deepEqual(instance.read(start(1000.4) + counter(7)).counters, { x_total: 2 });
    assert.deepEqual(instance.read(start(1060) + counter(9)).counters, { x_total: 9 });
  });

  const text = (...buckets: readonly [number, number, number]) => callsType + callsText("a.v1.A/Do", "OK", buckets);
  const row = (buckets: readonly (readonly [number, number])[], calls: number) => ({
    ...{ method: "a.v1.A/Do", bounds: [0.1, 1], buckets, sum: calls * 0.25, outcomes: [["OK", calls]] },
  });

  it("a histogram counts each bucket's own growth", () => {
    const instance = new Instance();
    instance.read(text(1, 1, 1));
    const { calls, counters } = instance.read(text(1, 4, 3));
    assert.deepEqual(calls, [
      row(
        [
          [1, 3],
          [2, 2],
        ],
        5,
      ),
    ]);
    assert.deepEqual(counters, {});
  });

  it("a histogram of which one bucket became less was begun anew, also when it has more calls than before", () => {
    const instance = new Instance();
    instance.read(text(3, 0, 0));
    assert.deepEqual(instance.read(text(0, 4, 0)).calls, [row([[1, 4]], 4)]);
  });

  it("a method's first calls count whole, when the text before was of the same process", () => {
    const instance = new Instance();
    instance.read(counter(1));
    assert.deepEqual(instance.read(counter(1) + text(2, 0, 0)).calls, [row([[0, 2]], 2)]);
  });

  it("an instance with fewer buckets than another of its service has a layout of its own", () => {
    const vocabulary = new Vocabulary();
    const reading = emptyReading();
    const layouts: (readonly number[])[] = [];
    const coarse = text(2, 0, 0).replace(/.*le="0.1".*\n/, "");
    for (const some of [text(2, 0, 0), coarse]) {
      readExposition(some, vocabulary, limits, reading);
      const sink = { counter: () => {}, calls: (_: unknown, bounds: readonly number[]) => void layouts.push(bounds) };
      tellGrowth(vocabulary, undefined, reading, true, sink);
    }
    assert.deepEqual(layouts, [[0.1, 1], [1]]);
  });

  it("health checks and reflection are not counted, nor their times as measures", () => {
    const health = callsType + callsText("grpc.health.v1.Health/Check", "OK", [5, 0, 0]);
    assert.deepEqual(new Instance().read(health, true), nothing);
  });

  it("requests over HTTP count by method and route, and end by their status", () => {
    const http = callsText("x", "y", [1, 0, 0])
      .replaceAll("grpc_server_call", "http_server_request")
      .replaceAll(
        'grpc_method="x",grpc_status="y"',
        'http_request_method="GET",http_route="/a/{b}",http_response_status_code="404"',
      );
    const [found] = new Instance().read(`# TYPE http_server_request_duration_seconds histogram\n${http}`, true).calls;
    assert.deepEqual([found?.method, found?.outcomes], ["GET /a/{b}", [["404", 1]]]);
  });

  for (const [title, broken, message] of [
    ["no bucket of all", text(1, 1, 1).replace(/.*\+Inf.*\n/, ""), /has no bucket with le="\+Inf"/],
    ["no number", text(1, 1, 1).replace(/.*_count.*\n/, ""), /has no _count/],
    [
      "a bucket of all that is not the number",
      text(1, 1, 1).replace('le="+Inf"} 3', 'le="+Inf"} 4'),
      /has 4 in the bucket of all/,
    ],
    [
      "buckets that do not count what lies below",
      text(3, 1, 1).replace('le="1"} 4', 'le="1"} 2'),
      /counts less than the one before/,
    ],
    ["a bucket with more than all", text(1, 1, 1).replace('le="1"} 2', 'le="1"} 9'), /counts more than all/],
  ] as const) {
    it(`refuses a histogram of calls with ${title}`, () => {
      assert.throws(
        () => new Instance().read(broken),
        (error) => error instanceof FormatError && message.test(error.message),
      );
    });
  }

  it("loses no call and counts none twice, whenever processes restart between two readings", () => {
    const steps = fc.array(fc.record({ restart: fc.boolean(), calls: fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5)) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(steps, (some) => {
        const instance = new Instance();
        const shown: [number, number, number] = [0, 0, 0];
        const expected = [0, 0, 0];
        const found = [0, 0, 0];
        let start = 1000;
        instance.read(`process_start_time_seconds ${start}\n${text(...shown)}`);
        for (const { restart, calls } of some) {
          if (restart) {
            start += 100;
            shown.fill(0);
          }
          for (const [at, count] of calls.entries()) {
            shown[at] = (shown[at] ?? 0) + count;
            expected[at] = (expected[at] ?? 0) + count;
          }
          const { calls: rows } = instance.read(`process_start_time_seconds ${start}\n${text(...shown)}`);
          for (const [place, count] of rows.flatMap(({ buckets }) => buckets)) found[place] = (found[place] ?? 0) + count;
        }
        assert.deepEqual(found, expected);
      }),
    );
  });
});
