import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { unavailable } from "#mesh/errors.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { historyOf, type Question } from "./history.ts";
import { addUp, forget, progressOf, type Retention } from "./levels.ts";
import { Recorder } from "./recorder.ts";
import type { CallRow, Window } from "./window.ts";
import { writeWindows } from "./window-store.ts";

const log = createLogger({ service: "metrics", instance: "test", level: "silent" });
const retention: Retention = { collectedMs: 3_600_000, minutesMs: 86_400_000, hoursMs: 864_000_000 };
/** 2026-03-01T00:00:00Z. */
const midnight = 1_772_323_200_000;
const second = 1000;

/** A window of 10 s in which a method was called `calls` times, all between 0.1 and 1 s, one of them in vain. */
function windowAt(start: number, calls: number, more: Partial<CallRow> = {}): Window {
  const row = { method: "a.v1.A/Do", bounds: [0.1, 1], buckets: [[1, calls]] as const, sum: calls / 2, ...more };
  const measures = [
    { name: "x_total", kind: "counter", value: calls * 2, max: undefined },
    { name: "y", kind: "gauge", value: calls, max: calls / 2 },
  ] as const;
  const outcomes = [
    ["OK", calls - 1],
    ["INTERNAL", 1],
  ] as const;
  return {
    start,
    end: start + 10_000,
    services: [{ service: "a", seconds: 10, up: 2, calls: [{ ...row, outcomes }], measures }],
  };
}

const ask = (from: number, to: number, step: number, more: Partial<Question> = {}): Question => ({
  ...{ from, to, step, keptFrom: 0, service: "a", method: "", measure: "" },
  ...more,
});

describe("history", () => {
  let db: Database;

  beforeEach(async () => {
    db = await openDatabase({ url: await testDatabase(), service: "metrics", log });
    await migrate(db, new URL("./migrations/", import.meta.url), log);
  });
  afterEach(() => db[Symbol.asyncDispose]());

  const write = (...windows: readonly Window[]) => writeWindows(db, holder, windows, { ids: new Map() });
  const holder = randomUUID();

  it("reads windows as they were written, and steps without any as unknown", async () => {
    await write(windowAt(midnight, 10), windowAt(midnight + 20 * second, 20));
    const points = await historyOf(db, ask(midnight, midnight + 30 * second, 10 * second), []);
    assert.deepEqual(
      points.map(({ collected, traffic, up }) => [collected, traffic?.calls, traffic?.errors, traffic?.rate, traffic?.mean, up]),
      [
        [10, 10, 1, 1, 0.5, 2],
        [0, undefined, undefined, undefined, undefined, undefined],
        [10, 20, 1, 2, 0.5, 2],
      ],
    );
    assert.deepEqual(
      [points[0]?.traffic?.p50, points[0]?.traffic?.outcomes],
      [
        0.55,
        new Map([
          ["OK", 9],
          ["INTERNAL", 1],
        ]),
      ],
    );
  });

  it("writes a window once, whoever writes it again", async () => {
    await write(windowAt(midnight, 10));
    await write(windowAt(midnight, 10), windowAt(midnight + 10 * second, 5));
    const [point] = await historyOf(db, ask(midnight, midnight + 20 * second, 20 * second), []);
    assert.deepEqual([point?.traffic?.calls, point?.collected], [15, 20]);
  });

  it("adds minutes and hours up to the same numbers as the windows that they are of", async () => {
    // An hour and a half, with a gap and a minute that is not over.
    const starts = Array.from({ length: 545 }, (_, at) => midnight + at * 10 * second).filter((_, at) => at % 7 !== 3);
    const windows = starts.map((start, at) => windowAt(start, (at % 5) + 1));
    for (let at = 0; at < windows.length; at += 50) await write(...windows.slice(at, at + 50));
    const hour = 3_600_000;
    const direct = await historyOf(db, ask(midnight, midnight + 2 * hour, hour), []);
    const measured = await historyOf(db, ask(midnight, midnight + 2 * hour, hour, { measure: "y" }), []);
    await addUp(db);
    await addUp(db);
    assert.deepEqual(
      await progressOf(db),
      new Map([
        [0, windows.at(-1)?.end ?? 0],
        [60, midnight + 90 * 60 * second],
        [3600, midnight + hour],
      ]),
    );
    assert.deepEqual(await historyOf(db, ask(midnight, midnight + 2 * hour, hour), []), direct);
    assert.deepEqual(await historyOf(db, ask(midnight, midnight + 2 * hour, hour, { measure: "y" }), []), measured);
    // Without what they were made of, too.
    await db.query("DELETE FROM calls WHERE level = 0 AND at < $1", [new Date(midnight + hour)]);
    await db.query("DELETE FROM presence WHERE level <> 3600 AND at < $1", [new Date(midnight + hour)]);
    assert.deepEqual(await historyOf(db, ask(midnight, midnight + 2 * hour, hour), []), direct);
    assert.equal(
      direct[0]?.traffic?.calls,
      starts.slice(0, 309).reduce((sum, _, at) => sum + (at % 5) + 1, 0),
    );
  });

  it("reads counters as growth per second and gauges as the mean of their sums, with the greatest", async () => {
    await write(windowAt(midnight, 10), windowAt(midnight + 10 * second, 20));
    const range = [midnight, midnight + 20 * second, 20 * second] as const;
    const [counter] = await historyOf(db, ask(...range, { measure: "x_total" }), []);
    const [gauge] = await historyOf(db, ask(...range, { measure: "y" }), []);
    assert.deepEqual([counter?.value, counter?.max, counter?.traffic], [3, undefined, undefined]);
    assert.deepEqual([gauge?.value, gauge?.max], [15, 10]);
  });

  it("reads one method, and merges layouts of buckets that differ", async () => {
    const other = { method: "a.v1.A/Undo", bounds: [1], buckets: [[0, 10]] as const };
    await write(windowAt(midnight, 10), windowAt(midnight + 10 * second, 10, other));
    const range = [midnight, midnight + 20 * second, 20 * second] as const;
    const [undone] = await historyOf(db, ask(...range, { method: "a.v1.A/Undo" }), []);
    const [both] = await historyOf(db, ask(...range), []);
    assert.deepEqual([undone?.traffic?.calls, undone?.traffic?.p50], [10, 0.5]);
    assert.equal(both?.traffic?.calls, 20);
    assert.ok(Math.abs((both?.traffic?.p50 ?? 0) - 0.526315789) < 1e-6, String(both?.traffic?.p50));
  });

  it("leaves streams out of a service's times, written or not, and none of its calls", async () => {
    const watch = { method: "a.v1.A/Watch", buckets: [[2, 4]] as const, sum: 400 };
    const windows = [
      windowAt(midnight, 4),
      windowAt(midnight + 10 * second, 4, watch),
      windowAt(midnight + 20 * second, 4, watch),
    ];
    await write(...windows.slice(0, 2));
    const streams = new Set(["a.v1.A/Watch"]);
    const range = [midnight, midnight + 30 * second, 30 * second] as const;
    const [all] = await historyOf(db, ask(...range), windows, streams);
    assert.deepEqual([all?.traffic?.calls, all?.traffic?.mean, all?.traffic?.p50], [12, 0.5, 0.55]);
    const [own] = await historyOf(db, ask(...range, { method: "a.v1.A/Watch" }), windows, streams);
    assert.deepEqual([own?.traffic?.calls, own?.traffic?.mean], [8, 100]);
  });

  it("takes windows that are not written yet from memory, and none twice", async () => {
    const windows = [windowAt(midnight, 10), windowAt(midnight + 10 * second, 20)];
    await write(...windows.slice(0, 1));
    const [point] = await historyOf(db, ask(midnight, midnight + 20 * second, 20 * second), windows);
    assert.deepEqual([point?.traffic?.calls, point?.collected], [30, 20]);
    const [only] = await historyOf(db, ask(midnight, midnight + 20 * second, 20 * second, { measure: "y" }), windows);
    assert.equal(only?.value, 15);
  });

  for (const [what, more, message] of [
    ["service", { service: "b" }, /service "b" does not exist/],
    ["method", { method: "a.v1.A/No" }, /method "a.v1.A\/No" does not exist/],
    ["measure", { measure: "z" }, /measure "z" does not exist/],
  ] as const) {
    it(`says that a ${what} of which nothing was ever kept does not exist`, async () => {
      await write(windowAt(midnight, 10));
      await assert.rejects(historyOf(db, ask(midnight, midnight + 10 * second, 10 * second, more), []), message);
    });
  }

  it("forgets each level after its own time", async () => {
    await write(windowAt(midnight, 10), windowAt(midnight + 60 * second, 10), windowAt(midnight + 3_600_000, 10));
    await addUp(db);
    const left = async () => {
      const rows = await db.query<{ level: number; n: string }>("SELECT level, count(*) AS n FROM calls GROUP BY 1 ORDER BY 1");
      return rows.map(({ level, n }) => [level, Number(n)]);
    };
    assert.deepEqual(await left(), [
      [0, 3],
      [60, 2],
      [3600, 1],
    ]);
    await forget(db, retention, midnight + 3_600_000 + 30 * second);
    assert.deepEqual(await left(), [
      [0, 2],
      [60, 2],
      [3600, 1],
    ]);
    await forget(db, retention, midnight + 864_000_001);
    assert.deepEqual(await left(), []);
  });

  it("is written by one process; another takes over when it leaves", async () => {
    const names = { ids: new Map<string, string>() };
    const [first, other] = [randomUUID(), randomUUID()];
    assert.equal(await writeWindows(db, first, [windowAt(midnight, 1)], names), true);
    assert.equal(await writeWindows(db, other, [windowAt(midnight + 10 * second, 1)], { ids: new Map() }), false);
    await db.query("UPDATE writer SET until = now() - interval '1 s'");
    assert.equal(await writeWindows(db, other, [windowAt(midnight + 10 * second, 1)], { ids: new Map() }), true);
    assert.equal(await writeWindows(db, first, [], names), false);
  });

  it("waits in memory while the database is away, gives up the oldest beyond its bound, and is written when it is back", async () => {
    let away = true;
    const wall: Database = {
      ...db,
      transaction: (work, o) => (away ? Promise.reject(unavailable("away", 1000)) : db.transaction(work, o)),
      query: (sql, params) => db.query(sql, params),
    };
    const windows = Array.from({ length: 10 }, (_, at) => windowAt(midnight + at * 10 * second, 10));
    let at = 0;
    const collector = { closeWindow: () => windows[at++] };
    // A window with one service and one method is three rows.
    const options = {
      db: wall,
      collector,
      intervalMs: 10_000,
      retention,
      maxPendingRows: 15,
      holder,
      log,
      clock: () => midnight,
    };
    const recorder = new Recorder(options);
    for (let turn = 0; turn < 8; turn++) {
      recorder.close(0);
      await recorder.flush();
    }
    assert.deepEqual([recorder.pending.length, recorder.dropped, recorder.problem], [5, 3, "away"]);
    assert.equal(recorder.recent.length, 6);
    away = false;
    await recorder.flush();
    assert.deepEqual([recorder.pending.length, recorder.dropped, recorder.problem, recorder.writer], [0, 3, undefined, true]);
    const [point] = await historyOf(db, ask(midnight, midnight + 100 * second, 100 * second), recorder.pending);
    assert.deepEqual([point?.traffic?.calls, point?.collected], [50, 50]);
    // What is left is written at the end, and the next process need not wait.
    recorder.close(0);
    await recorder[Symbol.asyncDispose]();
    assert.deepEqual((await db.query("SELECT 1 FROM writer")).length, 0);
    const [whole] = await historyOf(db, ask(midnight, midnight + 100 * second, 100 * second), []);
    assert.equal(whole?.traffic?.calls, 70);
  });
});
